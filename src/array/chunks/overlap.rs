//! Chunks for operations in which blocks see the edges of their neighbours.

use super::axis::AxisChunks;
use super::limit::check_listed;
use crate::error::{Call, Error, Result};

/// Chunks of which each has at least `depth` elements, so that an edge of this depth comes from
/// one neighbour only. Short blocks are joined with neighbours, or take elements of them.
///
/// # Errors
/// [`Error::UnknownChunks`] (with axis 0); [`Error::InvalidArgument`] if the axis is shorter than
/// `depth`; [`Error::TooManyTasks`].
///
/// # Source
/// Dask, `ensure_minimum_chunksize`.
pub(crate) fn min_overlap_chunks(call: Call, axis: &AxisChunks, depth: u64) -> Result<AxisChunks> {
    let (Some(len), Some(shortest)) = (axis.len(), axis.min_len()) else {
        return Err(Error::UnknownChunks { call, axis: 0 });
    };
    if len < depth {
        return Err(Error::InvalidArgument {
            call,
            argument: "depth",
            got: depth.to_string(),
            expected: "at most the length of the axis",
        });
    }
    if shortest >= depth {
        return Ok(axis.clone());
    }
    check_listed(call.op, Some(call), axis.n_blocks())?;
    let sizes = at_least(axis.sizes(), depth);
    Ok(AxisChunks::from_size_iter(sizes).unwrap_or_else(|| AxisChunks::whole(len)))
}

fn at_least(sizes: impl Iterator<Item = u64>, depth: u64) -> Vec<u64> {
    let mut out = Vec::new();
    let mut open = 0u64;
    for size in sizes {
        let missing = depth.saturating_sub(size);
        if missing > 0 && open > depth.saturating_add(missing) {
            // The block before is long enough to give this one what it lacks.
            out.push(open - missing);
            open = depth;
        } else if missing > 0 {
            open += size;
        }
        if open >= depth {
            out.push(open);
            open = 0;
        }
        if missing == 0 {
            open += size;
        }
    }
    match out.last_mut() {
        Some(last) if open < depth => *last += open,
        _ => out.push(open),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_blocks_are_deep_enough(
            sizes in prop::collection::vec(0u64..9, 1..9), depth in 0u64..12,
        ) {
            let axis = AxisChunks::from_sizes(&sizes).unwrap();
            match min_overlap_chunks(Call::new("test"), &axis, depth) {
                Ok(out) => {
                    prop_assert_eq!(out.len(), axis.len());
                    prop_assert!(out.min_len().unwrap() >= depth);
                }
                Err(_) => prop_assert!(axis.len().unwrap() < depth),
            }
        }
    }
}
