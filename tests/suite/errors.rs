//! Wrong steps: what the message says, which line it names, and that chains go on until they are asked.

use std::path::Path;

use dask_rs::array::{Index, concatenate, stack};
use dask_rs::prelude::*;

fn ones(shape: &[i64]) -> Array<f64> {
    array::ones(shape, -1)
}

/// The message has every part, and names the line on which this was called.
#[track_caller]
fn check<T: array::Element>(array: &Array<T>, parts: &[&str]) {
    let here = std::panic::Location::caller();
    let message = array.check().expect_err("this must be refused").to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    let line = format!("{}:{}:", here.file(), here.line());
    assert!(message.contains(&line), "no {line} in: {message}");
    assert!(!message.ends_with('.'), "{message}");
}

#[test]
fn each_mistake_says_operation_got_expected_line_and_remedy() {
    let x = ones(&[4, 6]);
    let y = ones(&[3, 6]);
    check(&(&x + &y), &["+:", "[4, 6]", "[3, 6]"]);
    check(&(&x * &ndarray::Array1::<f64>::zeros(5)), &["*:", "[4, 6]", "[5]"]);
    check(&x.maximum(&y), &["maximum:", "[4, 6]", "[3, 6]"]);
    check(&x.reshape([5, 5]), &["reshape:", "[4, 6]", "[5, 5]", "same number of elements"]);
    check(&x.reshape([-1, -1]), &["reshape:", "-1"]);
    check(&x.sum(2), &["sum:", "axis 2", "2 dimensions", "-ndim to ndim - 1"]);
    check(&x.sum("time"), &["sum:", "\"time\"", "with_dim_names"]);
    check(&x.with_dim_names(["a", "b"]).mean("c"), &["mean:", "\"c\"", "a, b"]);
    check(&x.var([0, 0]), &["var:", "[0, 0]", "each axis at most once"]);
    check(&x.slice(s![4, ..]), &["slice:", "index 4", "axis 0", "length 4", "-4 to 4 - 1"]);
    check(&x.slice([Index::At(0); 3]), &["slice:", "3 axes", "2 dimensions"]);
    check(&x.slice([Index::Ellipsis; 2]), &["slice:", "ellips"]);
    let still = Index::Slice { start: None, stop: None, step: Some(0) };
    check(&x.slice([still]), &["slice:", "step", "0"]);
    check(&x.rechunk([3]), &["rechunk:", "one entry for each axis", "[4, 6]"]);
    check(&x.rechunk([vec![1, 2], vec![6]]), &["rechunk:", "[4, 6]"]);
    check(&x.rechunk("12 parsecs"), &["rechunk:", "12 parsecs"]);
    check(&array::ones::<f64>([4], 0), &["ones:", "[4]"]);
    check(&array::zeros::<f64>([-4], 1), &["zeros:", "[-4]", "0 or more"]);
    check(&array::full([1_u64 << 40, 1 << 40], 1.0, "auto"), &["full:", "2^63"]);
    check(&array::arange(0, 5, 0, 1), &["arange:", "step", "other than 0"]);
    check(&array::linspace(0, 1, 5, 1), &["linspace:", "int32", "float"]);
    check(&x.transpose().permute_axes([0]), &["permute_axes:", "1 of 2 axes", "every axis once"]);
    check(&x.squeeze(0), &["squeeze:", "length 4", "length 1"]);
    check(&x.expand_dims([0, 0]), &["expand_dims:", "[0, 0]"]);
    check(&x.broadcast_to([4, 5]), &["broadcast_to:", "[4, 6]", "[4, 5]"]);
    check(&x.flip(5), &["flip:", "axis 5"]);
    check(&x.moveaxis(0, 7), &["moveaxis:", "axis 7"]);
    check(&concatenate(&[x.clone(), y.clone()], 1), &["concatenate:", "[4, 6]", "[3, 6]"]);
    check(&concatenate::<f64>(&[], 0), &["concatenate:"]);
    check(&stack(&[x.clone(), y.clone()], 0), &["stack:", "[4, 6]", "[3, 6]"]);
    check(&x.matmul(&y), &["matmul:", "[4, 6]", "[3, 6]", "same length"]);
    check(&x.dot(&x.sum(..)), &["dot:", "without dimensions", "multiply with *"]);
    check(&x.tensordot(&y, 0, 0), &["tensordot:", "[4, 6]", "[3, 6]"]);
    check(&array::zeros::<f64>([0, 3], 1).min(0), &["min:", "length 0", "at least one element"]);
    check(&array::zeros::<f64>([2, 2, 2], 1).argmax([0, 1]), &["argmax:", "[0, 1]", "all of them"]);
    check(&x.cast::<num_complex::Complex<f64>>().max(0), &["max:", "complex128", "real", "cast()"]);
    check(&x.to_dyn().cast_to::<f32>(), &["cast_to:", "float64", "float32", "cast()"]);
    check(&(!&x), &["!:", "float64", "cast()"]);
    check(&x.map_blocks_with_chunks::<f64>(&[vec![2, 2]], |b, _| b.to_owned()), &["one block"]);
    check(&x.with_dim_names(["a"]), &["with_dim_names:", "1 names for 2 dimensions"]);
    check(&array::where_(&x.gt(0.0), &y, 1.0), &["where_:", "[4, 6]", "[3, 6]"]);
    check(&array::open_npy::<f64>(Path::new("/nowhere/x.npy")), &["open_npy:", "/nowhere/x.npy"]);
}

#[test]
fn what_is_too_much_or_unknown_is_no_error_of_ours() {
    let x = ones(&[3, 7]);
    let small = Config::new().with_chunk_bytes(64);
    let many = small.scope(|| x.repeat(1_i64 << 40, 0).check().unwrap_err());
    assert!(matches!(many, Error::TooManyTasks { .. }), "{many}");
    check(&small.scope(|| x.repeat(1_i64 << 40, 0)), &["reshape", "tasks"]);
    let unknown = x.mask(&x.gt(0.0));
    let none = unknown.tile([2, 0]).check().unwrap_err();
    assert!(matches!(none, Error::UnknownChunks { .. }), "{none}");
    check(&unknown.tile(0), &["tile"]);
}

#[test]
fn a_chain_keeps_its_first_error() {
    let line = line!() + 1;
    let wrong = ones(&[4, 6]).reshape([7]);
    let chain = (&wrong + 1.0).sum(0).transpose().slice(s![3..5]).rechunk(9).matmul(&ones(&[2]));
    let here = format!("errors.rs:{line}:");
    let is_here = |error: Error| {
        assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
        assert!(error.to_string().starts_with("reshape:"), "{error}");
        assert!(error.to_string().contains(&here), "{error}");
    };
    is_here(chain.check().unwrap_err());
    is_here(chain.compute().unwrap_err());
    is_here(chain.persist().unwrap_err());
    is_here(chain.shape().unwrap_err());
    is_here(chain.chunks().unwrap_err());
    is_here(chain.dtype().unwrap_err());
    is_here(chain.ndim().unwrap_err());
    is_here(chain.nbytes().unwrap_err());
    is_here(compute((ones(&[1]), chain.clone())).unwrap_err());
    is_here(compute(vec![chain.clone()]).unwrap_err());
    is_here(chain.to_dyn().compute().unwrap_err());
    is_here(array::zeros_like(&chain).check().unwrap_err());
    is_here(concatenate(&[ones(&[2]), chain.clone()], 0).check().unwrap_err());
    is_here(array::where_(&chain.gt(0.0), &chain, 0.0).check().unwrap_err());
    assert!(chain.to_string().contains(&here), "{chain}");
    // The first of two errors, from the left.
    is_here((&wrong + &ones(&[2]).sum(9)).check().unwrap_err());
    is_here(wrong.tensordot(&ones(&[2]).sum(9), 0, 0).check().unwrap_err());
}

#[test]
fn a_result_that_does_not_fit_names_the_users_line() {
    let huge: Array<f64> = array::zeros([1_i64 << 50], [1_i64 << 48]);
    let config = Config::new().with_memory_limit(1 << 60);
    let lines = [line!() + 2, line!() + 3];
    let errors = [
        config.scope(|| huge.compute().unwrap_err()),
        config.scope(|| huge.to_dyn().compute().unwrap_err()),
    ];
    for (line, error) in lines.into_iter().zip(errors) {
        let text = error.to_string();
        assert!(text.contains("fits into memory"), "{text}");
        assert!(text.contains(&format!("errors.rs:{line}:")), "{line} in {text}");
    }
}

#[test]
fn errors_found_late_name_the_users_line() {
    let many: Array<f64> = array::zeros([1_u64 << 40], [1]);
    let line = |error: Error| error.to_string();
    for text in [
        line(many.compute().unwrap_err()),
        line(many.persist().unwrap_err()),
        line(many.map_blocks(|block, _| block.to_owned()).rechunk([3]).explain().unwrap_err()),
        line(array::ones::<f64>([1_u64 << 40], [4]).slice(s![..;3]).check().unwrap_err()),
    ] {
        assert!(text.contains("tasks, at tests/suite/errors.rs:"), "{text}");
    }
    let nan: Array<f64> = array::full([4], f64::NAN, [2]);
    let text = line(nan.nanargmin(0).compute().unwrap_err());
    assert!(text.contains("argmin: axes [0]") && text.contains("errors.rs:"), "{text}");
}

#[cfg(feature = "netcdf")]
#[test]
fn a_netcdf_file_that_is_missing_names_the_line() {
    let error = array::NetcdfFile::open("/no/such.nc").unwrap_err().to_string();
    assert!(
        error.contains("NetcdfFile::open: /no/such.nc") && error.contains("errors.rs:"),
        "{error}"
    );
}
