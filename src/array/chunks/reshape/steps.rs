//! Takes any legal reshape apart into ones that can be planned.

use super::plan::n_elements;
#[cfg(test)]
use super::plan::{ReshapePlan, Unsupported, plan_reshape_within};
#[cfg(test)]
use crate::array::chunks::{grid::Chunks, limit::MAX_LISTED};
use crate::error::{Call, Error, Result};

/// The shapes to go through, of which the last is `out_shape`.
///
/// Both shapes are cut into the smallest groups of axes with as many elements. A group of one axis
/// on either side is merged or split in one step. Other groups are split into a common refinement
/// first, such as `[4, 6]` to `[4, 2, 3]` to `[8, 3]`, or merged into one axis if there is none.
pub(crate) fn reshape_steps(in_shape: &[u64], out_shape: &[u64]) -> Vec<Vec<u64>> {
    if in_shape.contains(&0) {
        return vec![out_shape.to_vec()];
    }
    let groups = groups(in_shape, out_shape);
    if groups.iter().all(|(a, b)| a.len() <= 1 || b.len() <= 1) {
        return vec![out_shape.to_vec()];
    }
    let between = groups.into_iter().flat_map(|(a, b)| between(&a, b)).collect();
    vec![between, out_shape.to_vec()]
}

/// The shape between both sides of a group.
fn between(a: &[u64], b: Vec<u64>) -> Vec<u64> {
    match (a.len(), b.len()) {
        (_, 0 | 1) | (0 | 1, _) => b,
        _ => refinement(a, &b).unwrap_or_else(|| vec![a.iter().product()]),
    }
}

/// The coarsest shape whose axes merge into either, if there is one.
fn refinement(a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let mut products: Vec<u64> = prefix_products(a).chain(prefix_products(b)).collect();
    products.sort_unstable();
    products.dedup();
    let mut before = 1;
    let axis = |product: u64| {
        let len = product.is_multiple_of(before).then(|| product / before)?;
        before = product;
        Some(len)
    };
    products.into_iter().map(axis).collect()
}

fn prefix_products(shape: &[u64]) -> impl Iterator<Item = u64> + '_ {
    shape.iter().scan(1u64, |product, len| {
        *product = product.saturating_mul(*len);
        Some(*product)
    })
}

/// The smallest groups of neighbouring axes with equal products, without axes of length 1.
fn groups(a: &[u64], b: &[u64]) -> Vec<(Vec<u64>, Vec<u64>)> {
    let mut a = a.iter().copied().filter(|&len| len != 1).peekable();
    let mut b = b.iter().copied().filter(|&len| len != 1).peekable();
    let mut groups = Vec::new();
    while a.peek().is_some() || b.peek().is_some() {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let (mut n_left, mut n_right) = (1u64, 1u64);
        // Products are equal at the ends of the shapes at last.
        while left.is_empty() || n_left != n_right {
            let (side, n, next) = match n_left <= n_right && a.peek().is_some() {
                true => (&mut left, &mut n_left, a.next()),
                false => (&mut right, &mut n_right, b.next()),
            };
            let Some(len) = next else { break };
            side.push(len);
            *n = n.saturating_mul(len);
        }
        groups.push((left, right));
    }
    groups
}

/// The plans of any reshape, one for each step. Each step's input is the result of the one before.
///
/// No block is larger than `limit` elements or the largest block of `chunks`, whichever is greater.
///
/// # Errors
/// [`Error::ShapeMismatch`] if the shapes have different numbers of elements;
/// [`Error::UnknownChunks`]; [`Error::TooManyTasks`] if there are more irregular blocks than may
/// be listed.
#[cfg(test)]
pub(crate) fn plan_reshape_steps(
    call: Call,
    chunks: &Chunks,
    out_shape: &[u64],
    limit: u64,
) -> Result<Vec<ReshapePlan>> {
    if let Some(axis) = chunks.first_unknown() {
        return Err(Error::UnknownChunks { call, axis });
    }
    let mut shape = chunks.known_shape().unwrap_or_default();
    let error = |problem: Unsupported, left: &[u64]| refused(call, problem, left, out_shape);
    if n_elements(&shape).ok() != n_elements(out_shape).ok() || n_elements(out_shape).is_err() {
        return Err(error(Unsupported::SizeMismatch, &shape));
    }
    let mut plans: Vec<ReshapePlan> = Vec::new();
    let limit = limit.max(chunks.max_block_len().unwrap_or(0));
    for next in reshape_steps(&shape, out_shape) {
        let current = plans.last().map_or(chunks, |plan| &plan.output);
        let plan = plan_reshape_within(&shape, &next, current, limit);
        plans.push(plan.map_err(|problem| error(problem, &shape))?);
        shape = next;
    }
    Ok(plans)
}

#[cfg(test)]
fn refused(call: Call, problem: Unsupported, left: &[u64], right: &[u64]) -> Error {
    match problem {
        Unsupported::UnknownChunks(axis) => Error::UnknownChunks { call, axis },
        Unsupported::TooManyBlocks => {
            Error::TooManyTasks { op: call.op.to_string(), call: Some(call), limit: MAX_LISTED }
        }
        Unsupported::SizeMismatch | Unsupported::NeedsSteps | Unsupported::TooLarge => {
            Error::ShapeMismatch {
                call,
                left: left.to_vec(),
                right: right.to_vec(),
                remedy: "both shapes need the same number of elements",
            }
        }
    }
}

/// The shape that a user wrote with at most one -1, for so many elements as `in_shape` has.
///
/// # Errors
/// [`Error::InvalidArgument`] for a second -1, another negative length, or one that does not
/// divide the number of elements.
pub(crate) fn resolve_shape(call: Call, in_shape: &[u64], wanted: &[i64]) -> Result<Vec<u64>> {
    let wrong = |expected| Error::InvalidArgument {
        call,
        argument: "shape",
        got: format!("{wanted:?}"),
        expected,
    };
    let open = wanted.iter().position(|&len| len == -1);
    let lens = wanted.iter().enumerate().filter(|&(axis, _)| Some(axis) != open);
    let lens: Option<Vec<u64>> = lens.map(|(_, &len)| u64::try_from(len).ok()).collect();
    let mut shape = lens.ok_or_else(|| wrong("lengths, of which at most one is -1"))?;
    let Some(open) = open else { return Ok(shape) };
    let divides = || {
        let (have, rest) = (n_elements(in_shape).ok()?, n_elements(&shape).ok()?);
        (rest > 0 && have % rest == 0).then(|| have / rest)
    };
    let len = divides().ok_or_else(|| wrong("lengths that divide the number of elements"))?;
    shape.insert(open, len);
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::moves_right;
    use super::*;
    use crate::array::chunks::axis::AxisChunks;
    use proptest::prelude::*;

    #[test]
    fn groups_go_through_what_they_have_in_common() {
        assert_eq!(reshape_steps(&[4, 6], &[24]), [vec![24]]);
        assert_eq!(reshape_steps(&[4, 6], &[8, 3]), [vec![4, 2, 3], vec![8, 3]]);
        assert_eq!(reshape_steps(&[6, 5, 4], &[4, 5, 6]), [vec![120], vec![4, 5, 6]]);
        assert_eq!(
            reshape_steps(&[7, 1, 4, 6, 2], &[7, 6, 4, 1, 2]),
            [vec![7, 24, 2], vec![7, 6, 4, 1, 2]]
        );
        assert_eq!(reshape_steps(&[1, 1], &[]), [Vec::<u64>::new()]);
        assert_eq!(reshape_steps(&[0, 3], &[2, 0]), [vec![2, 0]]);
    }

    #[test]
    fn an_open_length_is_computed() {
        let resolve = |wanted: &[i64]| resolve_shape(Call::new("reshape"), &[4, 6], wanted);
        assert_eq!(resolve(&[-1, 3]).unwrap(), [8, 3]);
        assert_eq!(resolve(&[2, 3]).unwrap(), [2, 3]);
        for wanted in [&[-1, -1][..], &[-1, 5], &[-2, 3], &[-1, 0], &[i64::MIN]] {
            assert!(resolve(wanted).is_err());
        }
    }

    proptest! {
        #[test]
        fn every_legal_reshape_is_planned(
            factors in prop::collection::vec(1u64..5, 1..6),
            cuts: (u8, u8),
            order in prop::sample::select(vec![false, true]),
            size in 1u64..5,
            limit in 0u64..50,
        ) {
            // Both shapes merge the same factors, forwards and backwards, at random places.
            let merged = |factors: &[u64], cuts: u8| {
                let mut shape = vec![1];
                for (i, factor) in factors.iter().enumerate() {
                    if cuts >> i & 1 == 1 { shape.push(1) }
                    *shape.last_mut().unwrap() *= factor;
                }
                shape
            };
            let mut other = factors.clone();
            if order { other.reverse() }
            let (a, b) = (merged(&factors, cuts.0), merged(&other, cuts.1));
            let chunks: Chunks = a.iter().map(|&len| AxisChunks::uniform(len, size)).collect();
            let plans = plan_reshape_steps(Call::new("reshape"), &chunks, &b, limit).unwrap();
            let most = chunks.max_block_len().unwrap().max(limit);
            for plan in &plans {
                prop_assert!(moves_right(plan));
                prop_assert!(plan.output.max_block_len().unwrap() <= most);
            }
            prop_assert_eq!(plans.last().unwrap().output.known_shape(), Some(b));
        }

        #[test]
        fn any_shapes_are_planned_or_refused(a: Vec<u64>, b: Vec<u64>, size in 1u64..9) {
            let chunks: Chunks = a.iter().map(|&len| AxisChunks::uniform(len, size)).collect();
            let _ = plan_reshape_steps(Call::new("reshape"), &chunks, &b, 0);
        }
    }
}
