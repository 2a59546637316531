//! Random expressions over random chunks give what ndarray gives, and the same bits however they run.

use dask_rs::array::{
    self, Array, AxisSpec, ChunkSpec, Element, Index, Over, concatenate, over, stack, where_,
};
use dask_rs::{Config, Error, ExecutorKind};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngSeed};

/// More elements than this are not made, so that a case takes milliseconds.
const LEN_MAX: usize = 3000;

/// Draws without end from a few numbers, so that proptest can shrink them.
pub(super) struct Draws<'a> {
    pub(super) numbers: &'a [u32],
    pub(super) at: usize,
    /// Whether nothing may hold a function.
    pub(super) is_sendable: bool,
}

impl Draws<'_> {
    pub(super) fn below(&mut self, n: usize) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        number as usize % n.max(1)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Block lengths of an axis, some of them zero.
    pub(super) fn sizes(&mut self, len: usize) -> AxisSpec {
        match self.below(5) {
            0 => AxisSpec::Whole,
            1 => AxisSpec::Size(1 + self.below(len) as u64),
            _ => {
                let (mut sizes, mut left) = (Vec::new(), len);
                while left > 0 && sizes.len() < 6 {
                    let size = self.below(left + 1);
                    sizes.push(size as u64);
                    left -= size;
                }
                if left > 0 || sizes.is_empty() {
                    sizes.push(left as u64);
                }
                AxisSpec::Explicit(sizes)
            }
        }
    }

    pub(super) fn chunks(&mut self, shape: &[usize]) -> ChunkSpec {
        ChunkSpec::PerAxis(shape.iter().map(|&len| self.sizes(len)).collect())
    }

    pub(super) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..n).collect();
        (0..n).map(|_| left.remove(self.below(left.len()))).collect()
    }
}

/// A lazy array beside what it should be.
#[derive(Clone, Debug)]
struct Pair {
    lazy: Array<f64>,
    mirror: ArrayD<f64>,
    /// Whether all values are integers and exact, so that steps with jumps may follow.
    exact: bool,
}

fn make_input(draws: &mut Draws<'_>) -> Pair {
    let ndim = draws.below(4);
    let shape: Vec<usize> = (0..ndim).map(|_| [5, 1, 7, 3, 12, 2, 0, 4][draws.below(8)]).collect();
    let n: usize = shape.iter().product();
    let offset = draws.below(40) as f64 - 20.0;
    let data = (0..n).map(|i| (i as f64 * 7.0) % 101.0 + offset).collect();
    let mirror = ArrayD::from_shape_vec(IxDyn(&shape), data).expect("as many as the shape says");
    let chunks = draws.chunks(&shape);
    let lazy = match draws.below(3) {
        0 => array::from_ndarray(mirror.clone(), chunks),
        1 => {
            let source = mirror.clone();
            let lazy = array::from_fn(shape, chunks, move |index| {
                source[IxDyn(&index.iter().map(|&i| i as usize).collect::<Vec<_>>())]
            });
            if draws.is_sendable { lazy.persist().expect("the function works") } else { lazy }
        }
        // In one dimension a formula, of which the rules know more.
        _ => {
            let flat: Array<f64> = array::arange(0.0, n as f64, 1.0, "auto");
            let lazy = (flat * 7.0) % 101.0 + offset;
            lazy.reshape(shape.iter().map(|&len| len as i64).collect::<Vec<_>>()).rechunk(chunks)
        }
    };
    Pair { lazy, mirror, exact: true }
}

fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let ndim = a.len().max(b.len());
    let of = |shape: &[usize], i: usize| {
        (i + shape.len()).checked_sub(ndim).map_or(1, |axis| shape[axis])
    };
    (0..ndim)
        .map(|i| match (of(a, i), of(b, i)) {
            (a, b) if a == b => Some(a),
            (1, b) => Some(b),
            (a, 1) => Some(a),
            _ => None,
        })
        .collect()
}

fn zip_with(a: &ArrayD<f64>, b: &ArrayD<f64>, f: fn(f64, f64) -> f64) -> Option<ArrayD<f64>> {
    let shape = broadcast_shape(a.shape(), b.shape())?;
    let (a, b) = (a.broadcast(IxDyn(&shape))?, b.broadcast(IxDyn(&shape))?);
    let data: Vec<f64> = a.iter().zip(b.iter()).map(|(&a, &b)| f(a, b)).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), data).ok()
}

fn maximum(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

fn minimum(a: f64, b: f64) -> f64 {
    if a <= b || a.is_nan() { a } else { b }
}

/// Reductions of the elements of one result, in order.
fn reduce(
    x: &ArrayD<f64>,
    axes: &[usize],
    keepdims: bool,
    f: impl Fn(&[f64]) -> f64,
) -> ArrayD<f64> {
    let kept: Vec<usize> = (0..x.ndim()).filter(|axis| !axes.contains(axis)).collect();
    let order = [kept.clone(), axes.to_vec()].concat();
    let moved = x.view().permuted_axes(IxDyn(&order));
    let shape: Vec<usize> = kept.iter().map(|&axis| x.shape()[axis]).collect();
    let n: usize = shape.iter().product();
    let n_reduced: usize = axes.iter().map(|&axis| x.shape()[axis]).product();
    let flat: Vec<f64> = moved.iter().copied().collect();
    let one = |i: usize| f(&flat[i * n_reduced..(i + 1) * n_reduced]);
    let data: Vec<f64> = (0..n).map(one).collect();
    let mut out = ArrayD::from_shape_vec(IxDyn(&shape), data).expect("one for each kept place");
    if keepdims {
        for &axis in axes {
            out = out.insert_axis(Axis(axis));
        }
    }
    out
}

/// The next step from the arrays so far, or `None` if the draws make no sense here.
fn step(draws: &mut Draws<'_>, pairs: &[Pair]) -> Option<Pair> {
    // Mostly the newest, so that chains grow deep.
    let pick = |draws: &mut Draws<'_>| {
        let from_end = if draws.below(3) > 0 { 0 } else { draws.below(pairs.len()) };
        pairs[pairs.len() - 1 - from_end].clone()
    };
    let x = pick(draws);
    let (shape, ndim) = (x.mirror.shape().to_vec(), x.mirror.ndim());
    let same = |lazy, mirror| Some(Pair { lazy, mirror, exact: x.exact });
    match draws.below(20) {
        0 | 1 => {
            let y = pick(draws);
            binary(draws, &x, &y)
        }
        2 => unary(draws, &x),
        3 if x.exact => casts(draws, &x),
        4..=6 => slice(draws, &x),
        7 => {
            let to = new_shape(draws, &shape);
            let lazy = x.lazy.reshape(to.iter().map(|&len| len as i64).collect::<Vec<_>>());
            same(lazy, x.mirror.as_standard_layout().into_owned().into_shape_with_order(to).ok()?)
        }
        8 | 9 => {
            let order = draws.permutation(ndim);
            same(x.lazy.permute_axes(order.clone()), x.mirror.permuted_axes(order))
        }
        10 => {
            let y = pick(draws);
            joined(draws, &x, &y)
        }
        11 | 12 => same(x.lazy.rechunk(draws.chunks(&shape)), x.mirror.clone()),
        13 | 14 => reduction(draws, &x),
        15 if x.exact => {
            let y = pick(draws);
            let bound = draws.below(60) as f64 - 10.0;
            let mirror = zip_with(&x.mirror, &y.mirror, |_, y| y)?;
            let cond = zip_with(&x.mirror, &mirror, |x, _| x)?;
            let values = cond.iter().zip(mirror.iter());
            let data = values.map(|(&x, &y)| if x > bound { y } else { -1.0 }).collect();
            let mirror = ArrayD::from_shape_vec(mirror.raw_dim(), data).ok()?;
            let lazy = where_(&x.lazy.gt(bound), &y.lazy, -1.0);
            Some(Pair { lazy, mirror, exact: y.exact })
        }
        16 if ndim > 0 => {
            let axis = draws.below(ndim);
            let mut mirror = x.mirror.clone();
            mirror.invert_axis(Axis(axis));
            same(x.lazy.flip(axis), mirror)
        }
        17 => {
            let times = draws.below(4);
            let to: Vec<usize> = [vec![times], shape].concat();
            let lazy = x.lazy.broadcast_to(to.clone());
            same(lazy, x.mirror.broadcast(IxDyn(&to))?.to_owned())
        }
        18 if ndim == 2 => {
            let y = pick(draws);
            let y = if y.mirror.ndim() == 2 && y.mirror.shape()[0] == shape[1] {
                y
            } else {
                Pair { lazy: x.lazy.transpose(), mirror: x.mirror.t().to_owned(), exact: x.exact }
            };
            let (n, m) = (shape[0], y.mirror.shape()[1]);
            let element = |at: IxDyn| {
                (0..shape[1]).map(|k| x.mirror[[at[0], k]] * y.mirror[[k, at[1]]]).sum()
            };
            let mirror = ArrayD::from_shape_fn(IxDyn(&[n, m]), element);
            clipped(&x.lazy.matmul(&y.lazy), &mirror, false)
        }
        _ => {
            let axis = draws.below(ndim + 1);
            same(x.lazy.expand_dims(axis), x.mirror.insert_axis(Axis(axis)))
        }
    }
}

/// Values stay small, so that integers stay exact.
fn clipped(lazy: &Array<f64>, mirror: &ArrayD<f64>, exact: bool) -> Option<Pair> {
    let mirror = mirror.mapv(|v| minimum(maximum(v, -2000.0), 2000.0));
    Some(Pair { lazy: lazy.clip(-2000.0, 2000.0), mirror, exact })
}

fn binary(draws: &mut Draws<'_>, x: &Pair, y: &Pair) -> Option<Pair> {
    let (a, b) = (&x.lazy, &y.lazy);
    let exact = x.exact && y.exact;
    let (lazy, f): (Array<f64>, fn(f64, f64) -> f64) = match draws.below(6) {
        0 => (a + b, |a, b| a + b),
        1 => (a - b, |a, b| a - b),
        2 => (a * b, |a, b| a * b),
        3 => (a.maximum(b), maximum),
        4 => (a.minimum(b), minimum),
        _ if exact => (a.lt(b).cast::<f64>(), |a, b| f64::from(a < b)),
        _ => (b - a, |a, b| b - a),
    };
    clipped(&lazy, &zip_with(&x.mirror, &y.mirror, f)?, exact)
}

fn unary(draws: &mut Draws<'_>, x: &Pair) -> Option<Pair> {
    let (lazy, f, keeps): (Array<f64>, fn(f64) -> f64, bool) = match draws.below(7) {
        0 => (-&x.lazy, |v| -v, true),
        1 => (x.lazy.abs(), f64::abs, true),
        2 => (x.lazy.abs().sqrt(), |v| v.abs().sqrt(), false),
        3 => (&x.lazy / 3.0, |v| v / 3.0, false),
        4 => (x.lazy.square() + 1.0, |v| v * v + 1.0, true),
        5 => (x.lazy.sin(), f64::sin, false),
        _ => (2.0 * &x.lazy - 1.0, |v| 2.0 * v - 1.0, true),
    };
    clipped(&lazy, &x.mirror.mapv(f), x.exact && keeps)
}

fn casts(draws: &mut Draws<'_>, x: &Pair) -> Option<Pair> {
    // No NaN here: what it becomes as an integer is not defined.
    if x.mirror.iter().any(|v| v.is_nan()) {
        return None;
    }
    let (lazy, f): (Array<f64>, fn(f64) -> f64) = match draws.below(5) {
        0 => (x.lazy.cast::<i32>().cast(), |v| v),
        1 => (x.lazy.cast::<f32>().cast(), |v| v),
        2 => (x.lazy.cast::<bool>().cast(), |v| f64::from(v != 0.0)),
        3 => (x.lazy.cast::<i64>().cast::<u8>().cast(), |v| f64::from(v as i64 as u8)),
        _ => (x.lazy.cast::<i16>().floor_div(3_i16).cast(), |v| (v / 3.0).floor()),
    };
    Some(Pair { lazy, mirror: x.mirror.mapv(f), exact: true })
}

fn slice(draws: &mut Draws<'_>, x: &Pair) -> Option<Pair> {
    let (mut index, mut mirror, mut axis) = (Vec::new(), x.mirror.clone(), 0);
    for &len in x.mirror.shape() {
        match draws.below(9) {
            0 if len > 0 => {
                let at = draws.below(len);
                let shown = if draws.coin() { at as i64 } else { at as i64 - len as i64 };
                index.push(Index::At(shown));
                mirror = mirror.index_axis(Axis(axis), at).to_owned();
                continue;
            }
            1 => {
                index.push(Index::NewAxis);
                mirror = mirror.insert_axis(Axis(axis));
                axis += 1;
                index.push(Index::ALL);
            }
            2..=4 => index.push(Index::ALL),
            _ => {
                let bound = |draws: &mut Draws<'_>| {
                    draws.coin().then(|| draws.below(2 * len + 3) as i64 - len as i64 - 1)
                };
                let (start, stop) = (bound(draws), bound(draws));
                let step = [1, 2, -1, -2, 3, -3, 1, -1][draws.below(8)];
                index.push(Index::Slice { start, stop, step: Some(step) });
                let places = python_range(start, stop, step, len as i64);
                mirror = mirror.select(Axis(axis), &places);
            }
        }
        axis += 1;
    }
    Some(Pair { lazy: x.lazy.slice(index), mirror, exact: x.exact })
}

/// What `range(*slice(start, stop, step).indices(len))` gives in Python.
pub(super) fn python_range(
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
    len: i64,
) -> Vec<usize> {
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |at: i64| (if at < 0 { at + len } else { at }).clamp(low, high);
    let mut at = start.map_or(if step > 0 { low } else { high }, place);
    let stop = stop.map_or(if step > 0 { high } else { low }, place);
    let mut places = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        places.push(at as usize);
        at += step;
    }
    places
}

fn new_shape(draws: &mut Draws<'_>, shape: &[usize]) -> Vec<usize> {
    let n: usize = shape.iter().product();
    let mut to = shape.to_vec();
    for _ in 0..1 + draws.below(3) {
        match draws.below(4) {
            0 if to.len() > 1 => {
                let axis = draws.below(to.len() - 1);
                to[axis] *= to.remove(axis + 1);
            }
            1 if !to.is_empty() => {
                let axis = draws.below(to.len());
                let divisors: Vec<usize> =
                    (1..=to[axis].max(1)).filter(|d| to[axis].is_multiple_of(*d)).collect();
                let divisor = divisors[draws.below(divisors.len())];
                to[axis] /= divisor;
                to.insert(axis, divisor);
            }
            2 => to = vec![n],
            _ => to.insert(draws.below(to.len() + 1), 1),
        }
    }
    to
}

fn joined(draws: &mut Draws<'_>, x: &Pair, y: &Pair) -> Option<Pair> {
    let exact = x.exact && y.exact;
    if draws.coin() {
        let axis = draws.below(x.mirror.ndim() + 1);
        let y = if y.mirror.shape() == x.mirror.shape() { y } else { x };
        let mirror = ndarray::stack(Axis(axis), &[x.mirror.view(), y.mirror.view()]).ok()?;
        return Some(Pair { lazy: stack(&[x.lazy.clone(), y.lazy.clone()], axis), mirror, exact });
    }
    if x.mirror.ndim() == 0 {
        return None;
    }
    let axis = draws.below(x.mirror.ndim());
    let first = x.mirror.slice_axis(Axis(axis), Slice::from(..x.mirror.shape()[axis] / 2));
    let mirror = ndarray::concatenate(Axis(axis), &[x.mirror.view(), first.view()]).ok()?;
    let mut index = vec![Index::ALL; axis];
    index.push(Index::from(..(x.mirror.shape()[axis] / 2) as i64));
    let lazy = concatenate(&[x.lazy.clone(), x.lazy.slice(index)], axis);
    Some(Pair { lazy, mirror, exact: x.exact })
}

fn reduction(draws: &mut Draws<'_>, x: &Pair) -> Option<Pair> {
    let ndim = x.mirror.ndim();
    let mut axes: Vec<usize> = (0..ndim).filter(|_| draws.coin()).collect();
    let keepdims = draws.coin();
    let kind = draws.below(9);
    let is_position = kind == 7;
    if is_position && axes.len() != 1 {
        axes = (0..ndim).collect();
    }
    let n_reduced: usize = axes.iter().map(|&axis| x.mirror.shape()[axis]).product();
    if n_reduced == 0 && matches!(kind, 1 | 2 | 7) || is_position && !x.exact {
        return None;
    }
    // Axes as a user might write them, from the end and out of order.
    let written: Vec<i64> = axes.iter().rev().map(|&axis| axis as i64 - ndim as i64).collect();
    let ddof = draws.below(2) as f64;
    let mut how: Over = over(written).ddof(ddof);
    if draws.coin() {
        how = how.split_every(2);
    }
    if keepdims {
        how = how.keepdims();
    }
    let spread = move |v: &[f64]| {
        let n = v.len() as f64;
        let mean = v.iter().sum::<f64>() / n;
        v.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - ddof).max(0.0)
    };
    let has_nan = x.mirror.iter().any(|v| v.is_nan());
    let mirror = |f: &dyn Fn(&[f64]) -> f64| reduce(&x.mirror, &axes, keepdims, f);
    let y = &x.lazy;
    let (lazy, mirror, keeps) = match kind {
        0 => (y.sum(how), mirror(&|v| v.iter().sum()), true),
        1 => (y.min(how), mirror(&|v| v.iter().copied().fold(v[0], minimum)), true),
        2 => (y.max(how), mirror(&|v| v.iter().copied().fold(v[0], maximum)), true),
        3 => (y.mean(how), mirror(&|v| v.iter().sum::<f64>() / v.len() as f64), false),
        4 => (y.var(how), mirror(&spread), false),
        5 => (y.std(how), mirror(&|v| spread(v).sqrt()), false),
        6 if !has_nan && x.exact => {
            let count = |v: &[f64]| v.iter().filter(|v| **v != 0.0).count() as f64;
            (y.count_nonzero(how).cast(), mirror(&count), true)
        }
        7 if !has_nan => {
            let first = |v: &[f64]| {
                (1..v.len()).fold(0, |best, i| if v[i] > v[best] { i } else { best }) as f64
            };
            (y.argmax(how).cast(), mirror(&first), true)
        }
        _ => (y.nansum(how), mirror(&|v| v.iter().filter(|v| !v.is_nan()).sum()), true),
    };
    clipped(&lazy, &mirror, x.exact && keeps)
}

fn expression(numbers: &[u32], is_sendable: bool) -> Vec<Pair> {
    let mut draws = Draws { numbers, at: 0, is_sendable };
    let mut pairs: Vec<Pair> = (0..2).map(|_| make_input(&mut draws)).collect();
    while draws.at < numbers.len() {
        if let Some(pair) = step(&mut draws, &pairs)
            && pair.mirror.len() <= LEN_MAX
            && pair.mirror.ndim() <= 5
        {
            pairs.push(pair);
        }
    }
    pairs
}

fn agrees(got: &ArrayD<f64>, want: &ArrayD<f64>) -> Result<(), String> {
    if got.shape() != want.shape() {
        return Err(format!("shape {:?}, expected {:?}", got.shape(), want.shape()));
    }
    let size = want.iter().copied().filter(|v| v.is_finite()).fold(1.0, |a: f64, v| a.max(v.abs()));
    let is_close = |got: f64, want: f64| {
        got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= 1e-7 * size
    };
    match got.iter().zip(want).position(|(&got, &want)| !is_close(got, want)) {
        None => Ok(()),
        Some(i) => Err(format!("element {i} of\n{got}\nexpected\n{want}")),
    }
}

fn bits(results: &[ArrayD<f64>]) -> Vec<Vec<u64>> {
    // What NaN looks like inside says nothing.
    let bits = |v: &f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
    results.iter().map(|result| result.iter().map(bits).collect()).collect()
}

fn check(numbers: &[u32]) -> Result<(), TestCaseError> {
    let pairs = expression(numbers, false);
    // The last one, and another that may share work with it.
    let roots = [&pairs[pairs.len() - 1], &pairs[pairs.len() / 2]];
    let lazy = || roots.map(|pair| pair.lazy.clone()).to_vec();
    let base = Config::new().with_memory_limit(1 << 30);
    let seed = u64::from(numbers.first().copied().unwrap_or(0));
    let serial = base.clone().with_executor(ExecutorKind::Serial);
    let first = serial.scope(|| dask_rs::compute(lazy()));
    let first = first.map_err(|error| TestCaseError::fail(error.to_string()))?;
    for (got, pair) in first.iter().zip(roots) {
        agrees(got, &pair.mirror).map_err(TestCaseError::fail)?;
    }
    let others = [
        serial.clone().with_optimize(false),
        base.clone().with_executor(ExecutorKind::Seeded(seed)),
        base.clone().with_executor(ExecutorKind::Seeded(seed + 1)).with_optimize(false),
        base.clone().with_threads(1),
        base.clone().with_threads(2),
        base.clone().with_threads(4),
        base.clone().with_threads(4).with_optimize(false),
        base.clone().with_threads(2).with_memory_limit(100_000),
        base.with_threads(2).with_memory_limit(30_000),
    ];
    for config in others {
        let again = match config.scope(|| dask_rs::compute(lazy())) {
            Err(Error::OverBudget { .. }) if config.memory_limit() < 1 << 20 => continue,
            other => other.map_err(|error| TestCaseError::fail(format!("{config:?}: {error}")))?,
        };
        if bits(&again) != bits(&first) {
            let shown = format!("{config:?} gives\n{again:?}\nand not\n{first:?}");
            return Err(TestCaseError::fail(shown));
        }
    }
    Ok(())
}

/// Numbers from -30 to 70 of any type, in C order.
pub(super) fn numbers<T: Element>(shape: &[usize], of: impl Fn(i64) -> T) -> ArrayD<T> {
    let mut i = 0;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        of((i * 7) % 101 - 30)
    })
}

pub(super) fn cases(n: u32) -> Cases {
    Cases { cases: n, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..Cases::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn random_expressions(numbers in proptest::collection::vec(any::<u32>(), 10..120)) {
        check(&numbers)?;
    }
}

#[cfg(feature = "dist")]
mod on_a_cluster {
    use std::sync::LazyLock;

    use dask_rs::dist::LocalCluster;

    use super::*;

    /// Two workers with so many bytes together.
    fn cluster(bytes: u64) -> LocalCluster {
        let config = Config::new().with_threads(2).with_memory_limit(bytes);
        config.scope(|| LocalCluster::start(2)).expect("two workers")
    }

    static ROOMY: LazyLock<LocalCluster> = LazyLock::new(|| cluster(1 << 30));
    static TIGHT: LazyLock<LocalCluster> = LazyLock::new(|| cluster(300_000));

    fn check(numbers: &[u32]) -> Result<(), TestCaseError> {
        let pairs = expression(numbers, true);
        let roots = [&pairs[pairs.len() - 1], &pairs[pairs.len() / 2]];
        let lazy = || roots.map(|pair| pair.lazy.clone()).to_vec();
        let optimize = numbers[0].is_multiple_of(2);
        Config::new().with_memory_limit(1 << 30).with_optimize(optimize).scope(|| {
            let fail = |error: Error| TestCaseError::fail(error.to_string());
            let here = bits(&dask_rs::compute(lazy()).map_err(fail)?);
            for cluster in [&ROOMY, &TIGHT] {
                let there = match cluster.compute(lazy()) {
                    Err(Error::OverBudget { .. }) => continue,
                    other => other.map_err(fail)?,
                };
                prop_assert_eq!(bits(&there), here.clone());
            }
            Ok(())
        })
    }

    proptest! {
        #![proptest_config(cases(100))]

        #[test]
        fn random_expressions_have_the_same_bits(
            numbers in proptest::collection::vec(any::<u32>(), 10..120),
        ) {
            check(&numbers)?;
        }
    }
}

#[test]
fn the_element_of_an_axis_need_not_be_in_its_first_block() {
    let data = ndarray::arr2(&[[1.0, 2.0, 3.0]]);
    let x = array::from_ndarray(data, vec![vec![0, 1, 0], vec![2, 1]]);
    assert_eq!(x.squeeze(0).compute().unwrap(), ndarray::arr1(&[1.0, 2.0, 3.0]).into_dyn());
    let y = (&x + &array::zeros([4, 3], [3, 3])).sum(0);
    assert_eq!(y.compute().unwrap(), ndarray::arr1(&[4.0, 8.0, 12.0]).into_dyn());
    let z = x.broadcast_to([2, 3]).compute().unwrap();
    assert_eq!(z, ndarray::arr2(&[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]).into_dyn());
}

#[test]
fn expressions_of_many_kinds_are_drawn() {
    // Guards the generator itself: a mistake in it must not make all expressions trivial.
    let numbers: Vec<u32> = (0..2000_u32).map(|i| i.wrapping_mul(2_654_435_761) >> 7).collect();
    let pairs: Vec<Pair> =
        numbers.chunks(80).flat_map(|numbers| expression(numbers, false)).collect();
    assert!(pairs.len() > 40, "{}", pairs.len());
    assert!(pairs.iter().any(|pair| !pair.exact));
    assert!(pairs.iter().filter(|pair| pair.mirror.len() > 10).count() > 10);
}
