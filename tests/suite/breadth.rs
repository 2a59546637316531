//! Functions that are made of structural operations, against loops over indices.

use dask_rs::array::{
    self, Array, AxisSpec, Boundary, ChunkSpec, Element, Index, PadMode, QuantileMethod, Side,
    bins, block, diag,
};
use dask_rs::{Config, Error, ExecutorKind};
use ndarray::{ArrayD, Axis, Dimension, IxDyn};
use proptest::prelude::*;

use super::oracle::{Draws, cases, python_range};

/// Computes in every way, and compares with what it should be, also what was declared.
#[track_caller]
fn check<T: Element>(what: &str, lazy: &Array<T>, want: &ArrayD<T>) {
    let base = Config::new().with_memory_limit(1 << 30);
    let ways = [
        base.clone().with_executor(ExecutorKind::Serial),
        base.clone().with_executor(ExecutorKind::Serial).with_optimize(false),
        base.clone().with_executor(ExecutorKind::Seeded(7)),
        base.with_threads(2),
    ];
    for way in ways {
        let got = way.scope(|| lazy.compute()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(got.shape(), want.shape(), "{what}");
        // What is not equal to itself is NaN.
        let is_nan = |x: &T| PartialEq::ne(x, x);
        let same = |(a, b): (&T, &T)| a == b || is_nan(a) && is_nan(b);
        assert!(
            got.iter().zip(want).all(same),
            "{what} gave\n{got:?}\nexpected\n{want:?}\n{way:?}"
        );
    }
    if let Ok(shape) = lazy.shape() {
        assert!(shape.iter().zip(want.shape()).all(|(&a, &b)| a == b as u64), "{what}: {shape:?}");
    }
}

fn pair(draws: &mut Draws<'_>) -> (Array<f64>, ArrayD<f64>) {
    let shape: Vec<usize> = (0..2).map(|_| [5, 1, 7, 3, 6, 2, 4][draws.below(7)]).collect();
    let offset = draws.below(9) as f64 - 4.0;
    let mut i = 0.0;
    let data = ArrayD::from_shape_simple_fn(IxDyn(&shape), || {
        i += 1.0;
        (i * 7.0) % 11.0 + offset
    });
    (array::from_ndarray(data.clone(), draws.chunks(&shape)), data)
}

/// What stands at `index` is what stood at the index that `from` makes of it.
fn moved(x: &ArrayD<f64>, shape: &[usize], from: impl Fn(&[usize]) -> Vec<usize>) -> ArrayD<f64> {
    ArrayD::from_shape_fn(IxDyn(shape), |index| {
        x[IxDyn(&from(index.as_array_view().as_slice().unwrap()))]
    })
}

fn picked(x: &ArrayD<f64>, axis: usize, places: &[usize]) -> ArrayD<f64> {
    x.select(Axis(axis), places)
}

/// The position that a padded position stands for.
fn mirrored(at: i64, n: i64, mode: &PadMode<f64>) -> i64 {
    match mode {
        PadMode::Edge => at.clamp(0, n - 1),
        PadMode::Wrap => at.rem_euclid(n),
        PadMode::Symmetric => {
            let at = at.rem_euclid(2 * n);
            if at < n { at } else { 2 * n - 1 - at }
        }
        _ if n == 1 => 0,
        _ => {
            let at = at.rem_euclid(2 * n - 2);
            if at < n { at } else { 2 * n - 2 - at }
        }
    }
}

fn moves(draws: &mut Draws<'_>) {
    let (x, m) = pair(draws);
    let shape = m.shape().to_vec();
    let axis = draws.below(2);
    let n = shape[axis];
    let shift = draws.below(20) as i64 - 10;
    let back = |i: usize| (i as i64 - shift).rem_euclid(n as i64) as usize;
    let places: Vec<usize> = (0..n).map(back).collect();
    check("roll", &x.roll(shift, axis), &picked(&m, axis, &places));

    let times: Vec<u64> = (0..n).map(|_| draws.below(3) as u64).collect();
    let again: Vec<usize> = (0..n).flat_map(|i| vec![i; times[i] as usize]).collect();
    check("repeat", &x.repeat(times, axis), &picked(&m, axis, &again));
    let k = draws.below(4);
    let again: Vec<usize> = (0..n).flat_map(|i| vec![i; k]).collect();
    check("repeat", &x.repeat(k, axis), &picked(&m, axis, &again));

    let times = [draws.below(3), draws.below(4)];
    let to = [shape[0] * times[0], shape[1] * times[1]];
    let tiled = moved(&m, &to, |i| vec![i[0] % shape[0], i[1] % shape[1]]);
    check("tile", &x.tile(times), &tiled);

    let widths = [0; 2].map(|_: i32| (draws.below(9), draws.below(9)));
    let modes = [PadMode::Edge, PadMode::Wrap, PadMode::Symmetric, PadMode::Reflect];
    let mode = modes[draws.below(4)];
    let to = [0, 1].map(|axis| widths[axis].0 + shape[axis] + widths[axis].1);
    let at = |axis: usize, i: usize| {
        mirrored(i as i64 - widths[axis].0 as i64, shape[axis] as i64, &mode) as usize
    };
    check("pad", &x.pad(widths, mode), &moved(&m, &to, |i| vec![at(0, i[0]), at(1, i[1])]));

    let picks: Vec<i64> =
        (0..draws.below(12)).map(|_| draws.below(2 * n) as i64 - n as i64).collect();
    let places: Vec<usize> = picks.iter().map(|i| i.rem_euclid(n as i64) as usize).collect();
    let taken = x.take(picks.clone(), axis);
    check("take", &taken, &picked(&m, axis, &places));
    // A part of what was taken.
    let (start, step) = (draws.below(6) as i64, [1, 2, -1][draws.below(3)]);
    let mut index = vec![Index::ALL; 2];
    index[axis] = Index::Slice { start: Some(start), stop: None, step: Some(step) };
    index[1 - axis] = Index::from(..2);
    let part = picked(&m, axis, &places);
    let part = picked(&part, axis, &python_range(Some(start), None, step, places.len() as i64));
    let part = picked(&part, 1 - axis, &python_range(None, Some(2), 1, shape[1 - axis] as i64));
    check("take and slice", &taken.slice(index), &part);

    check("delete", &x.delete(picks, axis), &{
        let left: Vec<usize> = (0..n).filter(|i| !places.contains(i)).collect();
        picked(&m, axis, &left)
    });
    let at = draws.below(n + 1);
    let both = ndarray::concatenate(Axis(axis), &[m.view(), m.view()]).unwrap();
    let order: Vec<usize> = (0..at).chain(n..2 * n).chain(at..n).collect();
    check("insert", &x.insert(at as i64, &x, axis), &picked(&both, axis, &order));

    let k = draws.below(7) as i64 - 3;
    let below = |x: f64, i: &[usize], low: bool| {
        let is_kept =
            if low { i[1] as i64 - i[0] as i64 <= k } else { i[1] as i64 - i[0] as i64 >= k };
        if is_kept { x } else { 0.0 }
    };
    let corner = |low| {
        let mut kept = m.clone();
        kept.indexed_iter_mut().for_each(|(i, x)| *x = below(*x, &[i[0], i[1]], low));
        kept
    };
    check("tril", &x.tril(k), &corner(true));
    check("triu", &x.triu(k), &corner(false));
    let row = x.slice([Index::At(0)]);
    let size = shape[1] + k.unsigned_abs() as usize;
    let on = |i: IxDyn| {
        let (down, right) = (k.min(0).unsigned_abs() as usize, k.max(0) as usize);
        if i[0] + right == i[1] + down { m[[0, i[0].max(down) - down]] } else { 0.0 }
    };
    check("diag", &diag(&row, k), &ArrayD::from_shape_fn(IxDyn(&[size, size]), on));
    let on: Vec<f64> = (0..shape[0])
        .filter_map(|i| usize::try_from(i as i64 + k).ok().and_then(|j| m.get([i, j].as_slice())))
        .copied()
        .collect();
    check("diagonal", &x.diagonal(k), &ndarray::Array1::from(on).into_dyn());

    for k in -1..4_i64 {
        let mut turned = m.clone();
        for _ in 0..k.rem_euclid(4) {
            turned.invert_axis(Axis(1));
            turned = turned.reversed_axes();
        }
        check("rot90", &x.rot90(k, [0, 1]), &turned);
    }
    let order = draws.below(3);
    let mut steps = m.clone();
    for _ in 0..order.min(n) {
        let len = steps.len_of(Axis(axis));
        let later = picked(&steps, axis, &(1..len).collect::<Vec<_>>());
        steps = later - picked(&steps, axis, &(0..len.saturating_sub(1)).collect::<Vec<_>>());
    }
    check("diff", &x.diff(order as u64, axis), &steps);
    let whole = block(&[vec![x.clone(), x.clone()], vec![x.clone(), x.clone()]]);
    let doubled =
        moved(&m, &[2 * shape[0], 2 * shape[1]], |i| vec![i[0] % shape[0], i[1] % shape[1]]);
    check("block", &whole, &doubled);
    let pairs = x.repeat(2, axis).coarsen([(axis, 2)], |x, axes| x.max(axes));
    check("coarsen", &pairs, &m);
    if n > 1 {
        let last = |i: usize| picked(&m, axis, &[i.saturating_sub(1)]);
        let next = |i: usize| picked(&m, axis, &[(i + 1).min(n - 1)]);
        let slope = |i| (next(i) - last(i)) / if i == 0 || i == n - 1 { 0.5 } else { 1.0 };
        let slopes: Vec<_> = (0..n).map(slope).collect();
        let views: Vec<_> = slopes.iter().map(|slope| slope.view()).collect();
        let slopes = ndarray::concatenate(Axis(axis), &views).unwrap();
        check("gradient", &x.gradient(0.5, axis), &slopes);
    }
}

fn picks(draws: &mut Draws<'_>) {
    let (x, m) = pair(draws);
    let shape = m.shape().to_vec();
    let axis = draws.below(2);
    let n = shape[axis];
    let bound = draws.below(9) as f64 - 2.0;
    let left: Vec<f64> = m.iter().copied().filter(|&x| x > bound).collect();
    let masked = x.mask(&x.gt(bound));
    check("mask", &masked, &ndarray::Array1::from(left.clone()).into_dyn());
    // Two arrays cut by one mask fit; what follows from them is as it should be.
    let mask = x.gt(bound);
    let both = x.mask(&mask) + x.square().mask(&mask);
    let sums: Vec<f64> = left.iter().map(|x| x + x * x).collect();
    check("mask twice", &both, &ndarray::Array1::from(sums).into_dyn());
    check("mask and sum", &masked.sum(0), &ndarray::arr0(left.iter().sum()).into_dyn());
    let known = masked.compute_chunk_sizes().unwrap();
    assert_eq!(known.shape().unwrap(), [left.len() as u64]);
    let backwards: Vec<f64> = left.iter().rev().copied().collect();
    check("measured", &known.flip(0), &ndarray::Array1::from(backwards).into_dyn());

    let other = if axis == 0 { x.max(1) } else { x.max(0) }.gt(bound + 3.0);
    let other_m = m.map_axis(Axis(1 - axis), |lane| lane.iter().fold(f64::MIN, |a, &b| a.max(b)));
    let places: Vec<usize> = (0..n).filter(|&i| other_m[[i].as_slice()] > bound + 3.0).collect();
    check("compress", &x.compress(&other, axis), &picked(&m, axis, &places));
    let found = x.gt(bound).argwhere();
    let at: Vec<[i64; 2]> = m
        .indexed_iter()
        .filter(|(_, x)| **x > bound)
        .map(|(i, _)| [i[0] as i64, i[1] as i64])
        .collect();
    check("argwhere", &found, &ndarray::arr2(&at).into_dyn());

    let n_points = draws.below(9);
    let mut list =
        |len: usize| -> Vec<i64> { (0..n_points).map(|_| draws.below(len) as i64).collect() };
    let (rows, columns) = (list(shape[0]), list(shape[1]));
    let points = rows.iter().zip(&columns).map(|(&i, &j)| m[[i as usize, j as usize]]);
    let points = ndarray::Array1::from_iter(points).into_dyn();
    check("vindex", &x.vindex([(0, rows.clone()), (1, columns.clone())]), &points);
    let rows_m: Vec<usize> = rows.iter().map(|&i| i as usize).collect();
    check("vindex", &x.vindex([(0, rows.clone())]), &picked(&m, 0, &rows_m));
    let columns_m: Vec<usize> = columns.iter().map(|&i| i as usize).collect();
    check("vindex", &x.vindex([(1, columns.clone())]), &picked(&m, 1, &columns_m).reversed_axes());

    // Assignment, of numbers and of arrays.
    let step = [1, 2, 3, -1, -2][draws.below(5)];
    let bound =
        |draws: &mut Draws<'_>| draws.coin().then(|| draws.below(2 * n + 2) as i64 - n as i64);
    let (start, stop) = (bound(draws), bound(draws));
    let mut index = vec![Index::ALL; 2];
    index[axis] = Index::Slice { start, stop, step: Some(step) };
    let places = python_range(start, stop, step, n as i64);
    let value: ArrayD<f64> = picked(&m, axis, &places) * 100.0;
    let mut numbers = m.clone();
    let mut values = m.clone();
    for (i, &place) in places.iter().enumerate() {
        numbers.index_axis_mut(Axis(axis), place).fill(-5.0);
        values.index_axis_mut(Axis(axis), place).assign(&value.index_axis(Axis(axis), i));
    }
    check("assign a number", &x.assign(index.clone(), -5.0), &numbers);
    check("assign an array", &x.assign(index.clone(), x.slice(index) * 100.0), &values);
    let (i, j) = (draws.below(shape[0]), draws.below(shape[1]));
    let mut row = m.clone();
    row.index_axis_mut(Axis(0), i).slice_mut(ndarray::s![j..]).fill(1.5);
    let index = [Index::At(i as i64), Index::from(j as i64..)];
    check("assign a row", &x.assign(index, &ndarray::arr1(&[1.5])), &row);

    let at: Vec<i64> = (0..draws.below(5)).map(|_| draws.below(n) as i64).collect();
    let mut shape_at = shape.clone();
    shape_at[axis] = at.len();
    let value = ArrayD::from_shape_fn(IxDyn(&shape_at), |i| (10 * i[0] + i[1]) as f64);
    let mut values = m.clone();
    for (i, &place) in at.iter().enumerate() {
        values.index_axis_mut(Axis(axis), place as usize).assign(&value.index_axis(Axis(axis), i));
    }
    check("assign_at", &x.assign_at(at, axis, &value), &values);
    let set = m.mapv(|x| if x > 2.0 { 0.0 } else { x });
    check("assign_where", &x.assign_where(&x.gt(2.0), 0.0), &set);
}

fn neighbours(draws: &mut Draws<'_>) {
    let (x, m) = pair(draws);
    let shape = m.shape().to_vec();
    let depth =
        [0, 1].map(|axis: usize| (draws.below(shape[axis] + 1), draws.below(shape[axis] + 1)));
    let boundaries = [
        Boundary::None,
        Boundary::Constant(0.5),
        Boundary::Nearest,
        Boundary::Reflect,
        Boundary::Periodic,
    ];
    let boundary = [0, 1].map(|_| boundaries[draws.below(5)]);
    let at = |i: i64, j: i64| -> Option<f64> {
        let place = |axis: usize, i: i64| {
            let n = shape[axis] as i64;
            match boundary[axis] {
                Boundary::Nearest => Some(mirrored(i, n, &PadMode::Edge)),
                Boundary::Reflect => Some(mirrored(i, n, &PadMode::Symmetric)),
                Boundary::Periodic => Some(mirrored(i, n, &PadMode::Wrap)),
                _ => (0..n).contains(&i).then_some(i),
            }
        };
        match (place(0, i), place(1, j)) {
            (Some(i), Some(j)) => Some(m[[i as usize, j as usize]]),
            // Where a block ends, there is nothing along the other axis either.
            (None, _) if boundary[0] == Boundary::None => None,
            (_, None) if boundary[1] == Boundary::None => None,
            _ => Some(0.5),
        }
    };
    let [rows, columns] = depth.map(|(a, b)| (-(a as i64), b as i64));
    let sum_m = ArrayD::from_shape_fn(IxDyn(&shape), |index| {
        let mut sum = 0.0;
        for i in rows.0..=rows.1 {
            for j in columns.0..=columns.1 {
                sum += at(index[0] as i64 + i, index[1] as i64 + j).unwrap_or(0.0);
            }
        }
        sum
    });
    let sum = x.map_overlap(depth, boundary, move |block, _| {
        let (n, k) = (block.shape()[0] as i64, block.shape()[1] as i64);
        ArrayD::from_shape_fn(block.raw_dim(), |index| {
            let (i, j) = (index[0] as i64, index[1] as i64);
            let mut sum = 0.0;
            for i in (i + rows.0).max(0)..=(i + rows.1).min(n - 1) {
                for j in (j + columns.0).max(0)..=(j + columns.1).min(k - 1) {
                    sum += block[[i as usize, j as usize]];
                }
            }
            sum
        })
    });
    check("map_overlap", &sum, &sum_m);

    let windows = [0, 1].map(|axis: usize| 1 + draws.below(shape[axis]));
    let view = x.sliding_window_view([(0, windows[0] as u64), (1, windows[1] as u64)]);
    let to = [shape[0] + 1 - windows[0], shape[1] + 1 - windows[1], windows[0], windows[1]];
    let view_m = moved(&m, &to, |i| vec![i[0] + i[2], i[1] + i[3]]);
    check("windows", &view, &view_m);
    check("sums of windows", &view.sum([-2, -1]), &view_m.sum_axis(Axis(3)).sum_axis(Axis(2)));
    let largest = view_m.fold_axis(Axis(3), f64::MIN, |a, b| a.max(*b));
    let largest = largest.fold_axis(Axis(2), f64::MIN, |a, b| a.max(*b));
    check("largest of windows", &view.max([2, 3]), &largest);
    let columns = x.sliding_window_view([(1, windows[1] as u64)]);
    let to = [shape[0], to[1], windows[1]];
    let columns_m = moved(&m, &to, |i| vec![i[0], i[1] + i[2]]);
    check("windows", &columns, &columns_m);
    check(
        "means of windows",
        &columns.mean(-1),
        &(columns_m.sum_axis(Axis(2)) / windows[1] as f64),
    );
    check(
        "sums of other axes",
        &columns.sum([0, 2]),
        &columns_m.sum_axis(Axis(2)).sum_axis(Axis(0)),
    );
}

fn orders(draws: &mut Draws<'_>) {
    let (x, m) = pair(draws);
    let axis = draws.below(2);
    let scan = |f: fn(f64, f64) -> f64| {
        let mut out = m.clone();
        out.accumulate_axis_inplace(Axis(axis), |&last, x| *x = f(last, *x));
        out
    };
    check("cumsum", &x.cumsum(axis), &scan(|a, b| a + b));
    check("cummax", &x.cummax(axis), &scan(f64::max));
    check("cummin", &x.cummin(axis), &scan(f64::min));
    let holes = |x: f64| if x % 3.0 == 0.0 { f64::NAN } else { x };
    let with_holes = x.assign_where(&(&x % 3.0).eq(0.0), f64::NAN);
    let mut filled = m.mapv(holes);
    filled.accumulate_axis_inplace(Axis(axis), |&last, x| *x = if x.is_nan() { last } else { *x });
    check("ffill", &with_holes.ffill(axis), &filled);
    let mut sums = m.mapv(|x| if x % 3.0 == 0.0 { 0.0 } else { x });
    sums.accumulate_axis_inplace(Axis(axis), |&last, x| *x += last);
    check("nancumsum", &with_holes.nancumsum(axis), &sums);
    let flat: Vec<f64> = m.iter().copied().collect();
    let mut all = flat.clone();
    (1..all.len()).for_each(|i| all[i] += all[i - 1]);
    check("cumsum of all", &x.cumsum(..), &ndarray::Array1::from(all).into_dyn());

    let sorted = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all
    };
    let q = draws.below(5) as f64 / 4.0;
    let of = |lane: Vec<f64>| {
        let lane = sorted(lane);
        let place = q * (lane.len() - 1) as f64;
        let (low, high) = (lane[place.floor() as usize], lane[place.ceil() as usize]);
        low + (high - low) * place.fract()
    };
    let quantiles = m.map_axis(Axis(axis), |lane| of(lane.to_vec()));
    let got = x.quantile(q, QuantileMethod::Linear, axis) - array::from_ndarray(quantiles, -1);
    check("quantile", &got.abs().lt(1e-12).all(..), &ndarray::arr0(true).into_dyn());
    let got = x.quantile([q, 0.0], QuantileMethod::Linear, ..) - of(flat.clone());
    let got = got.slice([Index::At(0)]);
    check("quantile of all", &got.abs().lt(1e-12), &ndarray::arr0(true).into_dyn());

    let k = draws.below(9) as i64 - 4;
    let tops = |lane: ndarray::ArrayView1<'_, f64>| -> Vec<f64> {
        let mut lane = sorted(lane.to_vec());
        if k > 0 {
            lane.reverse();
        }
        lane.truncate(k.unsigned_abs() as usize);
        lane
    };
    let tops: Vec<Vec<f64>> = m.lanes(Axis(axis)).into_iter().map(tops).collect();
    let n = tops[0].len();
    let tops = ndarray::Array2::from_shape_fn((tops.len(), n), |(i, j)| tops[i][j]);
    let tops = if axis == 0 { tops.reversed_axes() } else { tops };
    check("topk", &x.topk(k, axis), &tops.into_dyn());

    let mut distinct = sorted(flat.clone());
    distinct.dedup();
    let count = |x: &f64| flat.iter().filter(|y| *y == x).count() as i64;
    let counts: Vec<i64> = distinct.iter().map(count).collect();
    let (values, numbers) = x.unique_counts();
    check("unique", &values, &ndarray::Array1::from(distinct.clone()).into_dyn());
    check("unique_counts", &numbers, &ndarray::Array1::from(counts).into_dyn());
    let edges = bins(1 + draws.below(4), -2.0, 6.0);
    let in_bin = |i: usize| {
        let is_last = i + 2 == edges.len();
        let is_in =
            |x: &f64| edges[i] <= *x && (*x < edges[i + 1] || is_last && *x == edges[i + 1]);
        flat.iter().copied().filter(|x| is_in(x)).collect::<Vec<_>>()
    };
    let counts = (0..edges.len() - 1).map(|i| in_bin(i).len() as i64);
    check("histogram", &x.histogram(&edges), &ndarray::Array1::from_iter(counts).into_dyn());
    let sums = (0..edges.len() - 1).map(|i| in_bin(i).iter().sum::<f64>());
    let weighted = x.histogram_weighted(&edges, &x);
    check("histogram", &weighted, &ndarray::Array1::from_iter(sums).into_dyn());
    let numbers = (0..8).map(|i| count(&f64::from(i)));
    check("bincount", &x.bincount(8), &ndarray::Array1::from_iter(numbers).into_dyn());

    let len = distinct.len();
    let vector = array::from_ndarray(ndarray::Array1::from(distinct.clone()), draws.chunks(&[len]));
    let others = &x + 0.5 * draws.below(3) as f64;
    let others_m = others.compute().unwrap();
    let is_in = others_m.mapv(|x| distinct.contains(&x));
    check("isin", &others.isin(&vector), &is_in);
    let less = others_m.mapv(|x| distinct.iter().filter(|y| **y < x).count() as i64);
    check("searchsorted", &vector.searchsorted(&others, Side::Left), &less);
    check("digitize", &others.digitize(&vector, Side::Right), &less);
    let less = others_m.mapv(|x| distinct.iter().filter(|y| **y <= x).count() as i64);
    check("searchsorted", &vector.searchsorted(&others, Side::Right), &less);
}

fn run(numbers: &[u32], draw: fn(&mut Draws<'_>)) {
    draw(&mut Draws { numbers, at: 0, is_sendable: false });
}

proptest! {
    #![proptest_config(cases(25))]

    #[test]
    fn elements_move(numbers in proptest::collection::vec(any::<u32>(), 60)) {
        run(&numbers, moves);
    }

    #[test]
    fn elements_are_picked_and_replaced(numbers in proptest::collection::vec(any::<u32>(), 60)) {
        run(&numbers, picks);
    }

    #[test]
    fn blocks_see_their_neighbours(numbers in proptest::collection::vec(any::<u32>(), 30)) {
        run(&numbers, neighbours);
    }

    #[test]
    fn elements_are_put_in_order(numbers in proptest::collection::vec(any::<u32>(), 40)) {
        run(&numbers, orders);
    }
}

#[test]
fn masks_that_differ_do_not_fit() {
    let x = array::arange(0.0, 20.0, 1.0, [5]);
    let two = x.mask(&x.gt(3.0)) + x.mask(&x.gt(6.0));
    assert!(matches!(two.check(), Err(Error::UnknownChunks { .. })), "{two}");
    let kept = x.mask(&x.gt(3.0)).persist().unwrap();
    let later = x.mask(&x.gt(6.0));
    assert!((kept + later).check().is_err());
}

#[test]
fn statistics_are_those_of_loops() {
    let m = ndarray::arr2(&[[1.0, 5.0, 2.0, 9.0], [4.0, 1.0, 0.0, 3.0], [2.0, 2.5, 7.0, 1.0]]);
    let x = array::from_ndarray(m.clone(), [2, 3]);
    let mean = |row: usize| m.row(row).sum() / 4.0;
    let cov = |i: usize, j: usize| {
        (0..4).map(|k| (m[[i, k]] - mean(i)) * (m[[j, k]] - mean(j))).sum::<f64>() / 3.0
    };
    let (got, correlations) = dask_rs::compute((x.cov(1.0), x.corrcoef())).unwrap();
    for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
        assert!((got[[i, j]] - cov(i, j)).abs() < 1e-12);
        let correlation = cov(i, j) / (cov(i, i) * cov(j, j)).sqrt();
        assert!((correlations[[i, j]] - correlation).abs() < 1e-12);
    }
    let third = x.moment(3, 1).compute().unwrap();
    let of_row = |i: usize| m.row(i).iter().map(|x| (x - mean(i)).powi(3)).sum::<f64>() / 4.0;
    assert!((0..3).all(|i| (third[[i]] - of_row(i)).abs() < 1e-12));
    assert_eq!(x.ptp(1).compute().unwrap(), ndarray::arr1(&[8.0, 4.0, 6.0]).into_dyn());
    let weights = array::from_ndarray(ndarray::arr1(&[1.0, 0.0, 2.0]), [2]);
    let average = x.average(&weights, 0).compute().unwrap();
    assert_eq!(average[[1]], (5.0 + 2.0 * 2.5) / 3.0);
    let whole = x.average(&array::ones_like(&x), 1).compute().unwrap();
    assert_eq!(whole[[0]], 17.0 / 4.0);
}

#[test]
fn grids_of_coordinates() {
    use dask_rs::array::{Indexing, hstack, indices, meshgrid, vstack};
    let (a, b) = (array::arange(0, 3, 1, [2]), array::arange(5, 7, 1, [1]));
    let [x, y] = &meshgrid(&[a.clone(), b.clone()], Indexing::Xy)[..] else { unreachable!() };
    check("x", x, &ndarray::arr2(&[[0, 1, 2], [0, 1, 2]]).into_dyn());
    check("y", y, &ndarray::arr2(&[[5, 5, 5], [6, 6, 6]]).into_dyn());
    let expected = ndarray::arr3(&[[[0, 0], [1, 1]], [[0, 1], [0, 1]]]).into_dyn();
    check("indices", &indices([2, 2], [1, 2]), &expected);
    check(
        "vstack",
        &vstack(&[a.clone(), a.clone()]),
        &ndarray::arr2(&[[0, 1, 2], [0, 1, 2]]).into_dyn(),
    );
    check("hstack", &hstack(&[a, b]), &ndarray::arr1(&[0, 1, 2, 5, 6]).into_dyn());
    let modes = [PadMode::Maximum, PadMode::Minimum, PadMode::Mean, PadMode::Constant(7)];
    let x = array::arange(0, 4, 1, [2]);
    for (mode, value) in modes.into_iter().zip([3, 0, 2, 7]) {
        check("pad", &x.pad(1, mode), &ndarray::arr1(&[value, 0, 1, 2, 3, value]).into_dyn());
    }
}

/// Mirror images and repetitions may have to be longer than the axis.
#[test]
fn dask_defect_10_a_pad_wider_than_its_axis_has_the_right_shape() {
    let x = array::arange(1, 3, 1, [1]);
    let padded = |mode| x.pad(3, mode);
    check(
        "reflect",
        &padded(PadMode::Reflect),
        &ndarray::arr1(&[2, 1, 2, 1, 2, 1, 2, 1]).into_dyn(),
    );
    check("wrap", &padded(PadMode::Wrap), &ndarray::arr1(&[2, 1, 2, 1, 2, 1, 2, 1]).into_dyn());
    check(
        "symmetric",
        &padded(PadMode::Symmetric),
        &ndarray::arr1(&[2, 2, 1, 1, 2, 2, 1, 1]).into_dyn(),
    );
}

/// Blocks that differ are no trouble for what is exact.
#[test]
fn dask_defect_12_percentiles_are_exact() {
    let n = 1000;
    let data: Vec<f64> =
        (0..n).map(|i| if i < n / 2 { f64::from(i) } else { 1e6 + f64::from(i) }).collect();
    let x = array::from_ndarray(ndarray::Array1::from(data.clone()), [100]);
    let got = x.percentile([0.0, 49.9, 90.0, 100.0], QuantileMethod::Lower, 0).compute().unwrap();
    assert_eq!(got, ndarray::arr1(&[data[0], data[498], data[899], data[999]]).into_dyn());
}

/// Values that are inserted have the type of the array, and chunks may be as short as they like.
#[test]
fn dask_defect_13_insert_keeps_the_type_and_gradient_takes_any_chunks() {
    let x: Array<f32> = array::arange(0.0, 5.0, 1.0, [1]);
    let y: Array<f32> = x.insert(2, &array::full([1], 9.0, -1), 0);
    check("insert", &y, &ndarray::arr1(&[0.0, 1.0, 9.0, 2.0, 3.0, 4.0]).into_dyn());
    check(
        "gradient",
        &x.square().gradient(1.0, 0),
        &ndarray::arr1(&[1.0, 2.0, 4.0, 6.0, 7.0]).into_dyn(),
    );
}

/// Data that is skipped when a block is empty would be missing here.
#[test]
fn scans_and_masks_take_blocks_without_elements() {
    let x = array::from_ndarray(ndarray::arr1(&[1, 2, 3]), vec![vec![0, 2, 0, 1, 0]]);
    check("cumsum", &x.cumsum(0), &ndarray::arr1(&[1_i64, 3, 6]).into_dyn());
    check("mask", &x.mask(&x.ne(2)), &ndarray::arr1(&[1, 3]).into_dyn());
    check("topk", &x.topk(-2, 0), &ndarray::arr1(&[1, 2]).into_dyn());
    check("unique", &x.unique(), &ndarray::arr1(&[1, 2, 3]).into_dyn());
    let none: Array<i64> = array::zeros([0], -1);
    check("cumsum", &none.cumsum(0), &ndarray::arr1(&[0_i64; 0]).into_dyn());
    check("unique", &none.unique(), &ndarray::arr1(&[0_i64; 0]).into_dyn());
}

/// What fills a block must be told how long it is, by the plan or by another block.
#[test]
fn what_is_made_beside_unknown_lengths_fills_its_blocks() {
    let x = array::arange(0, 6, 1, [3]);
    let left = x.mask(&x.gt(0));
    let five = |value: i32| ndarray::Array1::from_elem(5, value).into_dyn();
    check("ones_like", &array::ones_like(&left), &five(1));
    check("zeros_like", &array::zeros_like(&left), &five(0));
    check("sum", &array::ones_like(&left).sum(0), &ndarray::arr0(5_i64).into_dyn());
    let mask = array::from_ndarray(ndarray::arr1(&[true, false, true, true]), [2]);
    let y = array::arange(0, 12, 1, [12]).reshape([4, 3]).rechunk([2, 3]).compress(&mask, 0);
    let edges = ndarray::arr2(&[[0, 1, 2, 2, 2], [6, 7, 8, 8, 8], [9, 10, 11, 11, 11]]);
    check("pad", &y.pad([(0, 0), (0, 2)], PadMode::Edge), &edges.into_dyn());
    // These have no input of the unknown length once they are fused, or are indices along the other axis.
    let sum = y.slice(ndarray::s![.., 0..1]) + array::arange(0, 3, 1, [3]);
    check("sum", &sum, &ndarray::arr2(&[[0, 1, 2], [6, 7, 8], [9, 10, 11]]).into_dyn());
    let is_unknown = |error: Option<Error>| matches!(error, Some(Error::UnknownChunks { .. }));
    assert!(is_unknown(y.pad([(0, 0), (0, 2)], PadMode::Constant(1)).check().err()));
    assert!(is_unknown(y.tril(0).check().err()));
    assert!(is_unknown(y.argwhere().check().err()));
}

#[test]
fn rechunks_keep_axes_of_unknown_lengths() {
    let m = ndarray::Array1::from_iter((0..16).map(f64::from)).into_shape_with_order([4, 4]);
    let m = m.unwrap().into_dyn();
    let x = array::from_ndarray(m.clone(), [2, 4]);
    let mask = array::from_ndarray(ndarray::arr1(&[true, false, true, true]), [2]);
    let (a, b) = (x.compress(&mask, 0), x.rechunk([2, 2]).compress(&mask, 0));
    let left = picked(&m, 0, &[0, 2, 3]);
    check("sum", &(&a + &b), &(&left * 2.0));
    check("rechunk", &b.rechunk(ChunkSpec::from([AxisSpec::Keep, AxisSpec::from(3)])), &left);
    check("median", &b.median(1), &left.mean_axis(Axis(1)).unwrap());
    for boundary in [Boundary::None, Boundary::Nearest] {
        let same = b.map_overlap([(0, 0), (1, 1)], boundary, |block, _| block.to_owned());
        check("map_overlap", &same, &left);
    }
}

/// Between numbers that are infinitely far apart there is no step.
#[test]
fn quantiles_between_numbers_that_are_far_apart() {
    let median = |of: [f64; 2]| array::from_ndarray(ndarray::arr1(&of), [2]).median(0);
    let inf = f64::INFINITY;
    check("inf", &median([1.0, inf]), &ndarray::arr0(inf).into_dyn());
    check("-inf", &median([1.0, -inf]), &ndarray::arr0(-inf).into_dyn());
    let got = median([-1e308, 1.7e308]).compute().unwrap()[[]];
    assert!((got - 3.5e307).abs() < 1e294, "{got}");
}
