//! Chunks of windows that slide along axes.

use super::axis::AxisChunks;
use super::grid::Chunks;
use super::overlap::min_overlap_chunks;
use crate::error::{Call, Result};

/// How much longer than wanted a chunk may be before it is split.
const TOLERANCE: f64 = 1.25;

/// Chunks of an array in which each block, with what follows it, has `depths` more elements along some axes:
/// blocks there are longer than the depth, and the other axes are cut as blocks grow, by the volume of
/// the windows.
///
/// # Errors
/// As [`min_overlap_chunks`].
///
/// # Source
/// Dask, `sliding_window_view` with `automatic_rechunk`.
pub(crate) fn window_chunks(
    call: Call,
    chunks: &Chunks,
    depths: &[u64],
    windows: &[u64],
) -> Result<Chunks> {
    let mut wide = chunks.clone();
    for (axis, &depth) in depths.iter().enumerate() {
        if depth > 0 {
            let deep = min_overlap_chunks(call, &chunks.axes()[axis], depth + 1)?;
            wide = wide.with_axis(axis, deep);
        }
    }
    let volume = windows.iter().fold(1_u64, |n, &window| n.saturating_mul(window));
    let others =
        (0..depths.len()).filter(|&axis| depths[axis] == 0 && chunks.axes()[axis].is_known());
    Ok(shrunk(chunks, wide, others.collect(), volume))
}

/// `new` cut along `axes`, by about the same factor each, until its blocks times `volume` are no larger than
/// those of `old`, or nothing is left to cut.
pub(super) fn shrunk(old: &Chunks, mut new: Chunks, mut axes: Vec<usize>, volume: u64) -> Chunks {
    let most = old.max_block_len().unwrap_or(1).max(1) as f64;
    while !axes.is_empty() {
        let growth = new.max_block_len().unwrap_or(1).saturating_mul(volume) as f64 / most;
        if growth <= 1.0 {
            break;
        }
        let factor = growth.powf(1.0 / axes.len() as f64);
        axes.retain(|&axis| {
            let limit = new.axes()[axis].max_len().unwrap_or(1) as f64 / factor;
            let parts = old.axes()[axis].sizes().flat_map(|size| parts(size, limit));
            let Some(cut) = AxisChunks::from_size_iter(parts) else { return false };
            let is_done = cut == new.axes()[axis] || cut.max_len() <= Some(1);
            new = new.with_axis(axis, cut);
            !is_done
        });
    }
    new
}

/// A block of `size` in parts of about `limit`, longer ones first, if it is much longer than that.
fn parts(size: u64, limit: f64) -> impl Iterator<Item = u64> {
    let is_long = size as f64 > TOLERANCE * limit;
    let n = if is_long { ((size as f64 / limit).ceil() as u64).clamp(1, size) } else { 1 };
    (0..n).map(move |i| size / n + u64::from(i < size % n))
}
