//! Factorizations put together again, over random chunks, with and without the optimizer.

use ndarray::{Array1, Array2, ArrayD, Dimension, Ix1, Ix2};
use num_complex::Complex;
use proptest::prelude::*;

use super::*;
use crate::prelude::*;
use crate::{Config, ExecutorKind};

/// Numbers between -1 and 1 without a pattern.
fn noise(i: u64) -> f64 {
    let x = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((x ^ (x >> 32)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn random(m: u64, n: u64) -> Array2<f64> {
    Array2::from_shape_fn((m as usize, n as usize), |(i, j)| noise(i as u64 * 1000 + j as u64))
}

fn chunked(x: &Array2<f64>, chunks: [u64; 2]) -> Array<f64> {
    array::from_ndarray(x.clone(), chunks)
}

fn two<T: Element>(x: &Array<T>) -> Array2<T> {
    x.compute().unwrap().into_dimensionality::<Ix2>().unwrap()
}

fn one<T: Element>(x: &Array<T>) -> Array1<T> {
    x.compute().unwrap().into_dimensionality::<Ix1>().unwrap()
}

fn near(got: &Array2<f64>, expected: &Array2<f64>) {
    assert_eq!(got.dim(), expected.dim());
    let distance = (got - expected).iter().fold(0.0_f64, |max, x| max.max(x.abs()));
    assert!(distance < 1e-10, "{distance} away");
}

fn assert_orthonormal(columns: &Array2<f64>) {
    near(&columns.t().dot(columns), &Array2::eye(columns.ncols()));
}

fn upper(x: &Array2<f64>) -> bool {
    x.indexed_iter().all(|((i, j), &x)| i <= j || x == 0.0)
}

fn sizes() -> impl Strategy<Value = (u64, u64, [u64; 2], u64, bool)> {
    (1..40_u64, 1..12_u64, (1..12_u64, 1..12_u64), 1..2000_u64, any::<bool>())
        .prop_map(|(m, n, (a, b), bytes, optimize)| (m, n, [a, b], bytes, optimize))
}

/// Chunks of so many bytes, so that triangles take several levels.
fn small(bytes: u64, optimize: bool) -> Config {
    Config::new().with_chunk_bytes(bytes).with_optimize(optimize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn factors_of_any_shape_are_the_matrix((m, n, chunks, bytes, optimize) in sizes()) {
        for (m, n) in [(m, n), (n, m)] {
            let x = random(m, n);
            small(bytes, optimize).scope(|| {
                let (q, r) = qr(&chunked(&x, chunks));
                let (q, r) = compute((q, r)).unwrap();
                let [q, r] = [q, r].map(|x| x.into_dimensionality::<Ix2>().unwrap());
                near(&q.dot(&r), &x);
                assert_orthonormal(&q);
                assert!(upper(&r), "{r}");
            });
        }
    }

    #[test]
    fn singular_vectors_and_values_are_the_matrix((m, n, chunks, bytes, optimize) in sizes()) {
        for (m, n) in [(m, n), (n, m)] {
            let x = random(m, n);
            small(bytes, optimize).scope(|| {
                let (u, s, v) = svd(&chunked(&x, chunks));
                let (u, s, v) = compute((u, s, v)).unwrap();
                let [u, v] = [u, v].map(|x| x.into_dimensionality::<Ix2>().unwrap());
                let s = s.into_dimensionality::<Ix1>().unwrap();
                near(&(&u * &s).dot(&v), &x);
                assert_orthonormal(&u);
                assert_orthonormal(&v.t().to_owned());
                assert!(s.windows(2).into_iter().all(|pair| pair[0] >= pair[1]) && s[s.len() - 1] >= 0.0);
                assert!(v.rows().into_iter().all(|row| row.sum() >= -1e-12), "signs of {v}");
            });
        }
    }

    #[test]
    fn square_systems_are_solved((n, n_right, chunks, bytes, optimize) in sizes()) {
        let (a, b) = (random(n, n), random(n + 7, n_right).slice(s![7.., ..]).to_owned());
        small(bytes, optimize).scope(|| {
            let a_chunked = chunked(&a, [chunks[0], chunks[0]]);
            let x = two(&solve(&a_chunked, &chunked(&b, chunks)));
            let distance = (a.dot(&x) - &b).iter().fold(0.0_f64, |max, x| max.max(x.abs()));
            assert!(distance < 1e-8 * x.iter().fold(1.0_f64, |max, x| max.max(x.abs())), "{distance}");
            let (p, l, u) = lu(&a_chunked);
            let [p, l, u] = [p, l, u].map(|x| two(&x));
            near(&p.dot(&l).dot(&u), &a);
            assert!(upper(&u) && upper(&l.t().to_owned()) && l.diag().iter().all(|x| *x == 1.0));
            // Rows were exchanged wherever a pivot could be larger.
            assert!(l.iter().all(|x| x.abs() <= 1.0));
        });
    }

    #[test]
    fn triangles_are_roots_and_solved((n, n_right, chunks, bytes, optimize) in sizes()) {
        let root = random(n, n);
        let a = root.dot(&root.t()) + Array2::<f64>::eye(n as usize);
        let b = random(n, n_right);
        small(bytes, optimize).scope(|| {
            let l = cholesky(&chunked(&a, [chunks[0], chunks[0]]));
            let in_memory = two(&l);
            near(&in_memory.dot(&in_memory.t()), &a);
            assert!(upper(&in_memory.t().to_owned()));
            let x = two(&solve_triangular(&l, &chunked(&b, chunks), true));
            near(&in_memory.dot(&x), &b);
            // The other triangle is not read.
            let full = chunked(&(&in_memory.t() + &(in_memory.clone() * 3.0)), chunks);
            let upper = Array2::from_shape_fn(a.dim(), |(i, j)| {
                in_memory[[j, i]] * if i == j { 4.0 } else { 1.0 }
            });
            let x = two(&solve_triangular(&full, &chunked(&b, chunks), false));
            near(&upper.dot(&x), &b);
        });
    }

    #[test]
    fn einsum_is_the_sum_over_loops(
        case in 0..CASES.len(), chunks in prop::collection::vec(1..5_u64, 9), optimize in any::<bool>(),
    ) {
        let (subscripts, shapes) = CASES[case];
        let arrays: Vec<ArrayD<f64>> = shapes.iter().enumerate().map(|(i, shape)| {
            let shape: Vec<usize> = shape.iter().map(|&n| n as usize).collect();
            let mut next = i as u64 * 100;
            ArrayD::from_shape_simple_fn(shape, || { next += 1; noise(next) })
        }).collect();
        let expected = by_loops(subscripts, &arrays);
        let mut sizes = chunks.iter().cycle();
        let lazy: Vec<Array<f64>> = arrays.iter().map(|array| {
            let chunks: Vec<u64> = (0..array.ndim()).map(|_| *sizes.next().unwrap()).collect();
            array::from_ndarray(array.clone(), chunks)
        }).collect();
        let got = Config::new().with_optimize(optimize).scope(|| {
            einsum(subscripts, &lazy.iter().collect::<Vec<_>>()).compute().unwrap()
        });
        prop_assert_eq!(got.shape(), expected.shape());
        for (got, expected) in got.iter().zip(&expected) {
            prop_assert!((got - expected).abs() < 1e-12, "{subscripts}: {got} {expected}");
        }
    }
}

/// Subscripts that name their result, and shapes that they fit.
const CASES: [(&str, &[&[u64]]); 16] = [
    ("ij,jk->ik", &[&[4, 5], &[5, 3]]),
    ("ij,jk,kl->il", &[&[4, 5], &[5, 3], &[3, 2]]),
    ("ij->ji", &[&[4, 5]]),
    ("ij->", &[&[4, 5]]),
    ("ii->i", &[&[5, 5]]),
    ("ii->", &[&[5, 5]]),
    ("iji->j", &[&[3, 4, 3]]),
    ("i,j->ij", &[&[4], &[3]]),
    ("i,i->", &[&[6], &[6]]),
    ("ij,ij->i", &[&[4, 5], &[4, 5]]),
    ("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 5]]),
    ("bij,bkj->ibk", &[&[2, 3, 4], &[2, 5, 4]]),
    ("ijk,k->ij", &[&[2, 3, 4], &[4]]),
    ("ij,kl->", &[&[2, 3], &[4, 2]]),
    ("ij,j,i->", &[&[4, 3], &[3], &[4]]),
    ("ia,ja,ka->ijk", &[&[2, 3], &[3, 3], &[4, 3]]),
];

/// The sum of the products over all indices, one after another.
fn by_loops(subscripts: &str, arrays: &[ArrayD<f64>]) -> ArrayD<f64> {
    let (inputs, out) = subscripts.split_once("->").unwrap();
    let terms: Vec<&str> = inputs.split(',').collect();
    let mut lens: Vec<(char, usize)> = Vec::new();
    for (term, array) in terms.iter().zip(arrays) {
        for (letter, &len) in term.chars().zip(array.shape()) {
            if !lens.iter().any(|(other, _)| *other == letter) {
                lens.push((letter, len));
            }
        }
    }
    let shape: Vec<usize> = lens.iter().map(|(_, len)| *len).collect();
    let at = |term: &str, index: &[usize]| -> Vec<usize> {
        let place = |letter| lens.iter().position(|(other, _)| *other == letter).unwrap();
        term.chars().map(|letter| index[place(letter)]).collect()
    };
    let out_shape = at(out, &shape);
    let mut sum = ArrayD::zeros(out_shape);
    for index in ndarray::indices(shape) {
        let index = index.slice().to_vec();
        let product: f64 =
            terms.iter().zip(arrays).map(|(term, x)| x[&at(term, &index)[..]]).product();
        sum[&at(out, &index)[..]] += product;
    }
    sum
}

#[test]
fn implicit_results_and_ellipses_follow_numpy() {
    let x = array::arange(0.0, 24.0, 1.0, [5]).reshape([2, 3, 4]);
    let y = array::arange(0.0, 12.0, 1.0, [5]).reshape([3, 4]);
    // numpy.einsum gives these shapes and elements.
    let b = einsum("...ij,kj", &[&x, &y]);
    assert_eq!(b.shape().unwrap(), [2, 3, 3]);
    assert_eq!(b.compute().unwrap()[[1, 2, 1]], 478.0);
    assert_eq!(einsum("ba", &[&y]).shape().unwrap(), [4, 3]);
    assert_eq!(einsum("i...->...", &[&x]).compute().unwrap(), x.sum(0).compute().unwrap());
    let row = array::arange(0.0, 4.0, 1.0, [2]).reshape([1, 4]);
    let repeated = einsum("ij,ij->ij", &[&y, &row]).compute().unwrap();
    assert_eq!(repeated, (&y * &row).compute().unwrap());
}

#[test]
fn subscripts_that_do_not_fit_are_errors() {
    let x = array::ones::<f64>([2, 3], [2, 3]);
    for subscripts in ["i", "ijk", "ij,jk", "ij->ik", "ij->ii", "i1", "...ij...", "ij->j->i", ""] {
        let error = einsum(subscripts, &[&x]).check().unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{subscripts}: {error}");
    }
    assert!(matches!(
        einsum("ij,ij", &[&x, &x.transpose()]).check(),
        Err(Error::ShapeMismatch { .. })
    ));
    assert!(matches!(einsum("ii", &[&x]).check(), Err(Error::ShapeMismatch { .. })));
    assert!(einsum::<f64>("", &[]).check().is_err());
}

#[test]
fn complex_and_single_precision_and_integers_are_factored() {
    let of = |i: &[u64]| Complex::new(noise(i[0] * 100 + i[1]), noise(i[0] * 100 + i[1] + 7777));
    for (m, n) in [(20, 4), (4, 20), (6, 6)] {
        let x = array::from_fn([m, n], [5, 3], of);
        let (q, r) = qr(&x);
        let (u, s, v) = svd(&x);
        let far = |y: &Array<Complex<f64>>| (y - &x).abs().max(..).compute().unwrap()[[]];
        assert!(far(&q.matmul(&r)) < 1e-12);
        assert!(far(&(u * s.cast::<Complex<f64>>()).matmul(&v)) < 1e-12);
    }
    let x = array::from_fn([6, 6], [4, 4], of);
    let b = array::from_fn([6], [4], move |i| of(&[i[0], 50]));
    let solution = solve(&x, &b);
    assert!((x.matmul(&solution) - &b).abs().max(..).compute().unwrap()[[]] < 1e-11);
    let back = x.transpose().conj();
    let square = x.matmul(&back) + array::eye::<f64>(6, 6, 0, [4, 4]).cast::<Complex<f64>>();
    let l = Config::new().with_chunk_bytes(200).scope(|| cholesky(&square));
    let again = l.matmul(&l.transpose().conj());
    assert!((again - &square).abs().max(..).compute().unwrap()[[]] < 1e-11);
    let single = x.real().cast::<f32>();
    let (q, r): (Array<f32>, Array<f32>) = qr(&single);
    assert!((q.matmul(&r) - &single).abs().max(..).compute().unwrap()[[]] < 1e-5);
    let integers = array::from_fn([5, 3], [2, 3], |i| (i[0] * i[1] + i[0]) as i32);
    let (q, r): (Array<f64>, Array<f64>) = qr(&integers);
    assert!((q.matmul(&r) - integers.cast::<f64>()).abs().max(..).compute().unwrap()[[]] < 1e-12);
}

#[test]
fn matrices_without_full_rank_are_factored_too() {
    // Columns that are zero, equal, or sums of others.
    let x = Array2::from_shape_fn((30, 6), |(i, j)| match j {
        0 => 0.0,
        1 | 3 => noise(i as u64),
        2 | 4 => noise(i as u64 + 500),
        _ => noise(i as u64) + noise(i as u64 + 500),
    });
    for chunks in [[30, 6], [7, 2], [4, 6]] {
        let lazy = chunked(&x, chunks);
        let (q, r) = qr(&lazy);
        near(&two(&q).dot(&two(&r)), &x);
        assert_orthonormal(&two(&q));
        let (u, s, v) = svd(&lazy);
        near(&(two(&u) * one(&s)).dot(&two(&v)), &x);
        assert!(one(&s)[1] > 1.0 && one(&s)[2] < 1e-12);
        // Of all solutions the shortest: as far in the direction of equal columns, and none of the zeros.
        let solution = lstsq(&lazy, &chunked(&x, chunks).slice(s![.., 5]), None);
        assert_eq!(solution.rank.compute().unwrap()[[]], 2);
        let got = one(&solution.x);
        let expected = [0.0, 0.25, 0.25, 0.25, 0.25, 0.5];
        assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{got}");
        assert!(solution.residuals.compute().unwrap()[[0]] < 1e-20);
    }
}

#[test]
fn least_squares_are_those_of_numpy() {
    // numpy.linalg.lstsq of a[i, j] = (i + 1) ** j / 10 ** j, i < 12, j < 3, and two right-hand sides.
    let a = array::from_fn([12, 3], [5, 2], |i| ((i[0] + 1) as f64 / 10.0).powi(i[1] as i32));
    let b = array::from_fn([12, 2], [4, 1], |i| ((i[0] * (i[1] + 2)) % 5) as f64);
    let found = lstsq(&a, &b, None);
    let x = two(&found.x);
    let expected = NUMPY_LSTSQ;
    for (got, expected) in x.iter().zip(expected.0) {
        assert!((got - expected).abs() < 1e-9, "{x}");
    }
    for (got, expected) in one(&found.residuals).iter().zip(expected.1) {
        assert!((got - expected).abs() < 1e-9, "{got} {expected}");
    }
    for (got, expected) in one(&found.singular_values).iter().zip(expected.2) {
        assert!((got - expected).abs() < 1e-9, "{got} {expected}");
    }
    assert_eq!(found.rank.compute().unwrap()[[]], 3);
    // Fewer equations than unknowns: they hold, and the solution is the shortest, which is in the rows.
    let (wide, right) = (a.transpose(), array::arange(0.0, 3.0, 1.0, [3]));
    let short = lstsq(&wide, &right, None);
    let residual = wide.matmul(&short.x) - &right;
    assert!(residual.abs().max(..).compute().unwrap()[[]] < 1e-10);
    let (q, _) = qr(&a);
    let outside = &short.x - q.matmul(&q.transpose().matmul(&short.x));
    assert!(outside.abs().max(..).compute().unwrap()[[]] < 1e-10);
}

#[test]
fn compressed_values_of_low_rank_are_exact_in_any_chunks() {
    let x = random(60, 5).dot(&random(65, 5).slice(s![5.., ..]).t());
    let exact = one(&svd(&chunked(&x, [60, 60])).1);
    for chunks in [[60, 60], [13, 60], [60, 17], [13, 17]] {
        for n_power_iter in [0, 1] {
            let how = Compressed::default().n_power_iter(n_power_iter).seed(3);
            let (u, s, v) = svd_compressed(&chunked(&x, chunks), 5, how);
            let (u, s, v) = compute((u, s, v)).unwrap();
            let [u, v] = [u, v].map(|x| x.into_dimensionality::<Ix2>().unwrap());
            let s = s.into_dimensionality::<Ix1>().unwrap();
            assert!(
                s.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-9 * exact[0]),
                "{s} {exact}"
            );
            assert_orthonormal(&u);
            near(&(&u * &s).dot(&v), &x);
        }
    }
    let error = svd_compressed(&chunked(&x, [60, 60]), 61, Compressed::default()).1.check();
    assert!(matches!(error, Err(Error::InvalidArgument { .. })));
}

#[test]
fn power_iterations_find_slowly_falling_values() {
    let (q, _) = qr(&chunked(&random(80, 80), [80, 80]));
    let falling = array::from_fn([80], [80], |i| 1.0 / (1.0 + i[0] as f64));
    let x = (&q * falling).matmul(&q.transpose()).rechunk([30, 25]).persist().unwrap();
    let error = |n_power_iter| {
        let how = Compressed::default().n_power_iter(n_power_iter).n_oversamples(0);
        let s = one(&svd_compressed(&x, 10, how).1);
        s.iter().enumerate().map(|(i, s)| (s - 1.0 / (1.0 + i as f64)).abs()).fold(0.0, f64::max)
    };
    let [none, some] = [error(0), error(6)];
    assert!(none > 1e-4 && some < 1e-4, "{none} {some}");
}

#[test]
fn executors_and_the_optimizer_do_not_change_bits() {
    let of_all = |config: Config| {
        config.with_chunk_bytes(600).with_threads(3).scope(|| {
            let x = chunked(&random(50, 7), [9, 4]);
            let square = chunked(&random(20, 20), [6, 6]);
            let (q, r) = qr(&x);
            let (u, s, _) = svd_compressed(&x, 3, Compressed::default().n_power_iter(1));
            let all = [q, r, u, s, svd(&x).1, inv(&square), lu(&square).1];
            let bits = |x: ArrayD<f64>| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let alone: Vec<Vec<u64>> = all.iter().map(|x| bits(x.compute().unwrap())).collect();
            let together = compute(all.to_vec()).unwrap().into_iter().map(bits);
            assert!(together.eq(alone.iter().cloned()), "what is computed beside it changes bits");
            alone
        })
    };
    let serial = of_all(Config::new().with_executor(ExecutorKind::Serial));
    for kind in [ExecutorKind::Threaded, ExecutorKind::Seeded(3), ExecutorKind::Seeded(4)] {
        for optimize in [true, false] {
            let config = Config::new().with_executor(kind).with_optimize(optimize);
            assert_eq!(of_all(config), serial, "{kind:?}, optimized {optimize}");
        }
    }
}

#[test]
fn matrices_that_cannot_be_factored_are_errors_with_the_column() {
    fn column(x: Result<ArrayD<f64>>) -> (u64, String) {
        let error = x.unwrap_err();
        let Error::TaskFailed { source, .. } = &error else { panic!("{error}") };
        let Error::InvalidMatrix { column, .. } = **source else { panic!("{error}") };
        (column, error.to_string())
    }
    Config::new().with_chunk_bytes(8 * 12 * 3).scope(|| {
        let mut x = random(12, 12);
        x.column_mut(7).fill(0.0);
        let lazy = chunked(&x, [6, 6]);
        let (at, text) = column(solve(&lazy, &array::ones([12], [12])).compute());
        assert_eq!(at, 7, "{text}");
        assert!(text.contains("singular") && text.contains("tests.rs"), "{text}");
        assert_eq!(column(lu(&lazy).2.compute()).0, 7);
        let mut x = Array2::<f64>::eye(12);
        x[[8, 8]] = -1.0;
        let (at, text) = column(cholesky(&chunked(&x, [5, 5])).compute());
        assert_eq!(at, 8, "{text}");
        assert!(text.contains("positive definite"), "{text}");
        x[[8, 8]] = 0.0;
        let triangle = chunked(&x, [4, 4]);
        assert_eq!(
            column(solve_triangular(&triangle, &array::ones([12], [3]), true).compute()).0,
            8
        );
        x[[8, 8]] = f64::NAN;
        let lazy = chunked(&x, [12, 12]);
        assert_eq!(column(qr(&lazy).0.compute()).0, 8);
        assert_eq!(column(svd(&lazy).1.compute()).0, 8);
    });
    let x = array::ones::<f64>([2, 3], [2, 3]);
    for wrong in [solve(&x, &x), inv(&x), cholesky(&x), lu(&x).0] {
        assert!(matches!(wrong.check(), Err(Error::ShapeMismatch { .. })));
    }
    assert!(matches!(
        qr(&array::ones::<f64>([4], [2])).0.check(),
        Err(Error::InvalidArgument { .. })
    ));
}

#[test]
fn matrices_without_rows_or_columns_have_factors() {
    for shape in [[0, 3], [3, 0], [0, 0]] {
        let x: Array<f64> = array::zeros(shape, [2, 2]);
        let (q, r) = qr(&x);
        assert_eq!(
            (q.compute().unwrap().shape(), r.compute().unwrap().shape()),
            (&[shape[0] as usize, 0][..], &[0, shape[1] as usize][..])
        );
        assert_eq!(svd(&x).1.compute().unwrap().len(), 0);
    }
    assert_eq!(inv(&array::zeros::<f64>([0, 0], [1, 1])).compute().unwrap().len(), 0);
}

#[test]
fn norms_are_those_of_numpy() {
    // numpy.linalg.norm of arange(12).reshape(3, 4) - 5.
    let x = array::arange(-5.0, 7.0, 1.0, [5]).reshape([3, 4]);
    let of = |kind: Norm, axes: &[i64]| -> ArrayD<f64> {
        norm(&x, kind, axes.to_vec()).compute().unwrap()
    };
    let cases = NUMPY_NORMS;
    for (kind, expected) in cases {
        let got = of(kind, &[0, 1])[[]];
        assert!((got - expected).abs() < 1e-12, "{kind:?}: {got} {expected}");
    }
    for (kind, expected) in NUMPY_ROW_NORMS {
        let got = of(kind, &[1]);
        assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{kind:?}: {got}");
    }
    for axes in [&[1][..], &[0, 1]] {
        assert_eq!(of(Norm::P(f64::INFINITY), axes), of(Norm::Inf, axes));
        assert_eq!(of(Norm::P(f64::NEG_INFINITY), axes), of(Norm::NegInf, axes));
    }
    assert_eq!(norm(&x, Norm::P(1.0), over([0, 1]).keepdims()).shape().unwrap(), [1, 1]);
    assert_eq!(norm(&x, Norm::P(2.0), over([0, 1]).keepdims()).shape().unwrap(), [1, 1]);
    let all: Array<f64> = norm(&x, Norm::Frobenius, ..);
    assert!((all.compute().unwrap()[[]] - 146.0_f64.sqrt()).abs() < 1e-12);
    assert!(matches!(norm(&x, Norm::Nuclear, 0).check(), Err(Error::InvalidArgument { .. })));
    assert!(matches!(norm(&x, Norm::P(3.0), [0, 1]).check(), Err(Error::InvalidArgument { .. })));
}

#[test]
fn small_products_are_those_of_numpy() {
    let x = array::arange(0_i64, 12, 1, [5]).reshape([3, 4]);
    let y = array::arange(1_i64, 5, 1, [3]);
    let matrix = |x: Array<i64>| two(&x);
    assert_eq!(outer(&y, &y).compute().unwrap()[[3, 2]], 12);
    assert_eq!(vdot(&x, &x).compute().unwrap()[[]], 506);
    let i = array::full([2], Complex::new(0.0, 1.0), [1]);
    assert_eq!(vdot(&i, &i).compute().unwrap()[[]], Complex::new(2.0, 0.0));
    assert_eq!(trace(&x, 0, 0, 1).compute().unwrap()[[]], 15);
    assert_eq!(trace(&x, 1, 0, 1).compute().unwrap()[[]], 18);
    assert_eq!(trace(&x, -1, 0, 1).compute().unwrap()[[]], 13);
    let stack = array::arange(0_i64, 24, 1, [7]).reshape([2, 3, 4]);
    assert_eq!(trace(&stack, 0, 1, 2).compute().unwrap(), ndarray::arr1(&[15_i64, 51]).into_dyn());
    let k = matrix(kron(
        &x.slice(s![..2, ..2]),
        &array::from_ndarray(ndarray::arr2(&[[1, 10]]), [1, 1]),
    ));
    assert_eq!(k, ndarray::arr2(&[[0, 0, 1, 10], [4, 40, 5, 50]]));
    let (a, b, c) = (random(6, 2), random(2, 9), random(9, 3));
    let lazy: Vec<_> = [&a, &b, &c].map(|x| chunked(x, [4, 4])).into();
    let product = multi_dot(&lazy.iter().collect::<Vec<_>>());
    near(&two(&product), &a.dot(&b).dot(&c));
    let ends = multi_dot(&[&lazy[0].slice(s![0, ..]), &lazy[1], &lazy[2].slice(s![.., 0])]);
    assert!((ends.compute().unwrap()[[]] - a.row(0).dot(&b.dot(&c.column(0)))).abs() < 1e-12);
    assert!(multi_dot::<f64>(&[]).check().is_err());
}

/// The solution, the residuals and the singular values.
const NUMPY_LSTSQ: ([f64; 6], [f64; 2], [f64; 3]) = (
    [
        0.7272727272727433,
        0.977272727272739,
        4.6153846153846025,
        3.214285714285702,
        -3.496503496503503,
        -2.1228771228771244,
    ],
    [22.027972027972027, 24.019730269730267],
    [4.725124025010142, 1.482404470260337, 0.21605539758156256],
);

const NUMPY_NORMS: [(Norm, f64); 8] = [
    (Norm::Frobenius, 12.083045973594572),
    (Norm::Nuclear, 15.28514341446709),
    (Norm::Inf, 18.0),
    (Norm::NegInf, 4.0),
    (Norm::P(1.0), 10.0),
    (Norm::P(-1.0), 8.0),
    (Norm::P(2.0), 11.462401245288007),
    (Norm::P(-2.0), 2.802528132482417e-16),
];

const NUMPY_ROW_NORMS: [(Norm, [f64; 3]); 7] = [
    (Norm::Frobenius, [7.3484692283495345, 2.449489742783178, 9.273618495495704]),
    (Norm::Inf, [5.0, 2.0, 6.0]),
    (Norm::NegInf, [2.0, 0.0, 3.0]),
    (Norm::P(0.0), [4.0, 3.0, 4.0]),
    (Norm::P(1.0), [14.0, 4.0, 18.0]),
    (Norm::P(2.0), [7.3484692283495345, 2.449489742783178, 9.273618495495704]),
    (Norm::P(3.0), [6.0731779437513245, 2.154434690031884, 7.559526299369238]),
];
