//! How the axes of one group of a reshape are cut.

use super::plan::Unsupported;
use crate::array::chunks::axis::AxisChunks;
use crate::array::chunks::limit::MAX_LISTED;
use crate::array::chunks::split::near_equal;

type Result<T> = std::result::Result<T, Unsupported>;

/// Lists blocks, as long as there are not too many.
fn listed(sizes: impl Iterator<Item = u64>) -> Result<AxisChunks> {
    let mut n = 0;
    let counted = sizes.inspect(|_| n += 1).take(MAX_LISTED as usize + 1);
    let axis = AxisChunks::from_size_iter(counted);
    if n > MAX_LISTED { Err(Unsupported::TooManyBlocks) } else { axis.ok_or(Unsupported::TooLarge) }
}

/// Longest block of an axis of known lengths.
pub(super) fn longest(axis: &AxisChunks) -> u64 {
    axis.max_len().unwrap_or(0)
}

/// Elements of the largest block of some axes.
pub(super) fn largest_block(axes: &[AxisChunks]) -> u64 {
    axes.iter().map(longest).fold(1, u64::saturating_mul)
}

/// Whether an axis is cut into single elements.
pub(super) fn all_ones(axis: &AxisChunks) -> bool {
    matches!(axis, AxisChunks::Uniform { size: 1, len: 1.. })
}

/// Cuts each block into about `parts` parts, so that what follows may be joined `parts` times.
pub(super) fn expand(axis: &AxisChunks, parts: u64) -> Result<AxisChunks> {
    match axis {
        _ if parts <= 1 => Ok(axis.clone()),
        _ if longest(axis) <= parts => Ok(AxisChunks::uniform(axis.len().unwrap_or(0), 1)),
        AxisChunks::Uniform { len, size } if len % size == 0 && size % parts == 0 => {
            Ok(AxisChunks::uniform(*len, size / parts))
        }
        _ => listed(axis.sizes().flat_map(|size| expand_block(size, parts))),
    }
}

/// Parts of the whole part of `size / parts` elements, and a last one of what is left, which has
/// less than twice as many.
fn expand_block(size: u64, parts: u64) -> impl Iterator<Item = u64> {
    let (size, parts) = (u128::from(size), u128::from(parts));
    // A part has `size / parts` elements, but at least one; doubled, as a fraction over `parts`.
    let twice = 2 * size.max(parts);
    let step = (size / parts).max(1);
    let mut left = size;
    std::iter::from_fn(move || {
        let emit = if left * parts >= twice { step } else { left };
        left -= emit;
        (emit > 0).then_some(emit as u64)
    })
}

/// Moves boundaries down to multiples of `unit`; blocks that become empty are left out.
pub(super) fn contract(axis: &AxisChunks, unit: u64) -> Result<AxisChunks> {
    match axis {
        AxisChunks::Uniform { size, .. } if size % unit == 0 => return Ok(axis.clone()),
        // Boundaries are so close that one lies between any two multiples.
        AxisChunks::Uniform { len, size } if *size < unit => {
            return Ok(AxisChunks::uniform(*len, unit));
        }
        _ if axis.n_blocks() > MAX_LISTED => return Err(Unsupported::TooManyBlocks),
        _ => {}
    }
    let mut carry = 0;
    let cut = |size: u64| {
        let have = carry + size;
        carry = have % unit;
        have - carry
    };
    listed(axis.sizes().map(cut).filter(|&size| size > 0))
}

/// All lengths divided by `unit`, of which they are multiples.
pub(super) fn divided(axis: &AxisChunks, unit: u64) -> Result<AxisChunks> {
    match axis {
        AxisChunks::Uniform { len, size } => Ok(AxisChunks::uniform(len / unit, size / unit)),
        _ => listed(axis.sizes().map(|size| size / unit)),
    }
}

/// Elements of each block of some axes, in row-major order.
pub(super) fn row_major(axes: &[AxisChunks]) -> Result<AxisChunks> {
    axes.iter().rev().try_fold(AxisChunks::whole(1), |inner, outer| outer_times(outer, &inner))
}

/// For each block of `outer` all blocks of `inner`, as many times as long.
fn outer_times(outer: &AxisChunks, inner: &AxisChunks) -> Result<AxisChunks> {
    let inner_len = inner.len().unwrap_or(0);
    let len = outer.len().unwrap_or(0).checked_mul(inner_len).ok_or(Unsupported::TooLarge)?;
    match (outer, inner) {
        (AxisChunks::Uniform { size, .. }, _) if inner.is_whole() => {
            Ok(AxisChunks::uniform(len, size.saturating_mul(inner_len)))
        }
        (_, AxisChunks::Uniform { size, .. })
            if all_ones(outer) && inner_len.is_multiple_of(*size) =>
        {
            Ok(AxisChunks::uniform(len, *size))
        }
        _ => listed(outer.sizes().flat_map(|a| inner.sizes().map(move |b| a * b))),
    }
}

/// The same blocks `times` times.
pub(super) fn repeated(axis: &AxisChunks, times: u64) -> Result<AxisChunks> {
    outer_times(&AxisChunks::uniform(times, 1), axis)
}

/// Cuts the axes of a group until a block has about `target` elements.
///
/// An axis is only cut if all before it in the group are cut into single elements, since else a
/// block would not be contiguous in C order.
pub(super) fn smooth(axes: &mut [AxisChunks], target: u64) -> Result<()> {
    let target = target.max(1);
    loop {
        let largest = largest_block(axes);
        let Some(p) = axes.iter().position(|axis| !all_ones(axis)) else { return Ok(()) };
        if largest == target {
            return Ok(());
        }
        if !axes[p].is_whole() {
            let other = largest / longest(&axes[p]).max(1);
            axes[p] = cut_blocks(&axes[p], |len| len.saturating_mul(other).div_ceil(target))?;
            return Ok(());
        }
        axes[p] = cut_blocks(&axes[p], |_| largest.div_ceil(target))?;
        if !all_ones(&axes[p]) || p + 1 == axes.len() {
            return Ok(());
        }
    }
}

/// Cuts the axes of a group until no block has more than `target` elements.
pub(super) fn fit(axes: &mut [AxisChunks], target: u64) -> Result<()> {
    for p in 0..axes.len() {
        if largest_block(axes) <= target {
            return Ok(());
        }
        let width = (target / largest_block(&axes[p + 1..]).max(1)).max(1);
        axes[p] = cut_blocks(&axes[p], |len| len.div_ceil(width))?;
    }
    Ok(())
}

/// Cuts each block into near-equal parts, at most so many as it has elements.
fn cut_blocks(axis: &AxisChunks, parts: impl Fn(u64) -> u64) -> Result<AxisChunks> {
    if let AxisChunks::Uniform { len, size } = axis
        && len % size == 0
        && size % parts(*size).clamp(1, *size) == 0
    {
        return Ok(AxisChunks::uniform(*len, size / parts(*size).clamp(1, *size)));
    }
    listed(axis.sizes().flat_map(|len| near_equal(len, parts(len))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(sizes: &[u64]) -> AxisChunks {
        AxisChunks::from_sizes(sizes).unwrap()
    }

    #[test]
    fn blocks_expand_into_parts() {
        assert_eq!(expand(&axis(&[7, 4]), 2), Ok(axis(&[3, 4, 2, 2])));
        assert_eq!(expand(&axis(&[5]), 2), Ok(axis(&[2, 3])));
        assert_eq!(expand(&axis(&[3, 2]), 5), Ok(axis(&[1, 1, 1, 1, 1])));
    }

    #[test]
    fn boundaries_contract_to_multiples() {
        assert_eq!(contract(&axis(&[7, 1, 4]), 3), Ok(axis(&[6, 6])));
        assert_eq!(contract(&axis(&[1, 1, 1]), 3), Ok(axis(&[3])));
        assert_eq!(contract(&axis(&[2, 2, 2, 2, 1]), 3), Ok(axis(&[3, 3, 3])));
    }

    #[test]
    fn regular_axes_are_never_listed() {
        let long = AxisChunks::uniform(1 << 60, 1 << 4);
        assert_eq!(expand(&long, 4), Ok(AxisChunks::uniform(1 << 60, 4)));
        assert_eq!(contract(&long, 4), Ok(long.clone()));
        assert_eq!(repeated(&long, 2), Ok(AxisChunks::uniform(1 << 61, 1 << 4)));
        assert_eq!(contract(&long, 1 << 50), Ok(AxisChunks::uniform(1 << 60, 1 << 50)));
        assert_eq!(contract(&long, 3), Err(Unsupported::TooManyBlocks));
    }
}
