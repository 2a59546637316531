//! Axes by the names of dimensions: where they may be written, and what keeps them.

use dask_rs::array::{AxisSpec, Boundary, PadMode, QuantileMethod};
use dask_rs::prelude::*;

fn maps() -> Array<f32> {
    let x = array::arange(0.0, 120.0, 1.0, [24]).reshape([5, 4, 6]);
    x.with_dim_names(["time", "lat", "lon"])
}

#[test]
fn chunks_of_some_axes_by_name() -> Result<()> {
    let x = maps().rechunk([2, 2, 3]);
    assert_eq!(x.rechunk([("time", -1)]).grid()?, [1, 2, 2]);
    let both = x.rechunk([("lon", AxisSpec::Size(2)), ("lat", AxisSpec::Whole)]);
    assert_eq!(both.chunks()?.to_string(), "((2, 2, 1), (4,), (2, 2, 2))");
    assert_eq!(both.dim_names()?, x.dim_names()?);
    assert_eq!(both.compute()?, x.compute()?);

    let wrong = x.rechunk([("level", -1)]).check().unwrap_err();
    assert!(matches!(&wrong, Error::InvalidAxis { names, .. } if names.contains("lat")), "{wrong}");
    let unnamed = array::zeros::<f32>([4, 4], 2).rechunk([("x", -1)]).check();
    assert!(matches!(unnamed, Err(Error::InvalidAxis { .. })));
    let new = array::zeros::<f32>([4, 4], [("x", -1)]).check();
    assert!(matches!(new, Err(Error::InvalidAxis { .. })));
    Ok(())
}

#[test]
fn chunks_by_name_beside_an_unknown_length() -> Result<()> {
    let x = array::arange(0, 96, 1, [24]).reshape([12, 8]).with_dim_names(["place", "copy"]);
    let is_odd = (array::arange(0, 12, 1, [3]) % 2).eq(1);
    let odd = x.compress(&is_odd, "place");
    let cut = odd.rechunk([("copy", 4)]);
    assert_eq!(cut.grid()?[1], 2);
    assert_eq!(cut.compute()?, x.slice(s![1..;2, ..]).compute()?);
    let refused = odd.rechunk([("place", -1)]).check();
    assert!(matches!(refused, Err(Error::UnknownChunks { .. })));
    Ok(())
}

#[test]
fn margins_of_some_axes_by_name() -> Result<()> {
    let x = maps();
    let wrapped = x.pad([("lon", (1, 2))], PadMode::Wrap);
    assert_eq!(wrapped.compute()?, x.pad([(0, 0), (0, 0), (1, 2)], PadMode::Wrap).compute()?);
    assert_eq!(wrapped.dim_names()?, x.dim_names()?);
    let both = x.pad([(-1, (1, 0)), (0, (0, 1))], PadMode::Edge);
    assert_eq!(both.compute()?, x.pad([(0, 1), (0, 0), (1, 0)], PadMode::Edge).compute()?);
    let wrong = x.pad([("level", (1, 1))], PadMode::Wrap).check();
    assert!(matches!(wrong, Err(Error::InvalidAxis { .. })));

    let difference = |x: ndarray::ArrayViewD<'_, f32>| {
        let mut y = x.to_owned();
        y.slice_mut(s![1.., .., ..])
            .zip_mut_with(&x.slice(s![..-1, .., ..]), |y, before| *y -= before);
        y
    };
    let steps = x.map_overlap([("time", (1, 0))], Boundary::Nearest, move |x, _| difference(x));
    assert_eq!(steps.dim_names()?, x.dim_names()?);
    let expected = x.diff(1, "time").compute()?;
    assert_eq!(steps.slice(s![1.., .., ..]).compute()?, expected);
    Ok(())
}

#[test]
fn functions_of_blocks_and_quantiles_keep_names() -> Result<()> {
    let x = maps();
    let names = |x: &Array<f32>| x.dim_names().map(Option::unwrap_or_default);
    assert_eq!(names(&x.map_blocks(|x, _| x.to_owned()))?, ["time", "lat", "lon"]);
    assert_eq!(names(&x.median("lat"))?, ["time", "lon"]);
    assert_eq!(names(&x.median(over("lat").keepdims()))?, ["time", "lat", "lon"]);
    let several = x.quantile([0.1, 0.9], QuantileMethod::Linear, "lat");
    assert_eq!(names(&several)?, ["", "time", "lon"]);
    assert_eq!(names(&x.quantile_approximate(0.5, 0.1, "lat"))?, ["time", "lon"]);
    assert_eq!(x.quantile_approximate(0.5, 0.1, "lat").compute()?.shape(), [5, 6]);
    let ones = array::ones::<f64>([4, 6], [4, 6]);
    assert_eq!(names(&x.quantile_weighted([0.5], &ones, "time"))?, ["", "lat", "lon"]);
    let by_season = x.group_by_axis("time", [0, 0, 1, 1, 1]);
    let quartiles = by_season.quantile([0.25, 0.75], QuantileMethod::Linear);
    assert_eq!(names(&quartiles)?, ["", "time", "lat", "lon"]);
    Ok(())
}

#[test]
fn new_axes_have_no_name_and_the_others_keep_theirs() -> Result<()> {
    let x = maps();
    let names = |x: &Array<f32>| x.dim_names().map(Option::unwrap_or_default);
    let rolling = x.sliding_window_view([("time", 3)]);
    assert_eq!(names(&rolling)?, ["time", "lat", "lon", ""]);
    assert_eq!(names(&rolling.mean(-1))?, ["time", "lat", "lon"]);
    let both = array::stack(&[x.clone(), &x * 2.0], 1);
    assert_eq!(names(&both)?, ["time", "", "lat", "lon"]);
    assert_eq!(both.sum("lat").compute()?, both.sum(2).compute()?);
    assert_eq!(names(&both.max(1))?, ["time", "lat", "lon"]);
    let climate = x.mean("time").expand_dims(0);
    assert_eq!(names(&climate)?, ["", "lat", "lon"]);
    // An axis gets the name that another operand has for it.
    assert_eq!(names(&(&climate - &x))?, ["time", "lat", "lon"]);
    assert_eq!(names(&x.mean("time").broadcast_to([7, 4, 6]))?, ["", "lat", "lon"]);
    let halves = x.coarsen([("lon", 2)], |x, axes| x.mean(axes));
    assert_eq!(names(&halves)?, ["time", "lat", "lon"]);

    let plane = x.slice(s![0, .., ..]);
    let product = plane.matmul(&plane.transpose());
    assert_eq!(names(&product)?, ["lat", ""], "no two axes have one name");
    let other = array::ones::<f32>([6, 2], 2).with_dim_names(["lon", "band"]);
    assert_eq!(names(&plane.matmul(&other))?, ["lat", "band"]);
    assert_eq!(names(&x.matmul(&other))?, ["time", "lat", "band"]);

    // An empty text is no name.
    assert!(matches!(both.sum("").check(), Err(Error::InvalidAxis { .. })));
    assert_eq!(x.with_dim_names(["", "", ""]).dim_names()?, None);
    Ok(())
}

#[test]
fn a_reshape_keeps_the_names_of_axes_that_stay() -> Result<()> {
    let x = maps();
    let names = |shape: &[i64]| x.reshape(shape).dim_names().map(Option::unwrap_or_default);
    assert_eq!(names(&[5, 24])?, ["time", ""]);
    assert_eq!(names(&[20, 6])?, ["", "lon"]);
    assert_eq!(names(&[5, 2, 2, 6])?, ["time", "", "", "lon"]);
    assert_eq!(names(&[5, 4, 6])?, ["time", "lat", "lon"]);
    assert!(names(&[120])?.is_empty() && names(&[6, 4, 5])?.is_empty());
    // Where they stand is told by what is before them, which axes of length 1 do not change.
    assert_eq!(names(&[1, 5, 4, 1, 6])?, ["", "time", "lat", "", "lon"]);
    let one = x.slice(s![..1, .., ..]);
    assert_eq!(one.reshape([1, 4, 6]).dim_names()?, x.dim_names()?);
    assert_eq!(one.reshape([1, 1, 4, 6]).dim_names()?.unwrap(), ["", "", "lat", "lon"]);
    let none = x.slice(s![.., ..0, ..]);
    assert_eq!(none.reshape([5, 0, 6]).dim_names()?, x.dim_names()?);
    Ok(())
}

#[test]
fn boundaries_of_some_axes_by_name() -> Result<()> {
    let x = maps();
    let around = |x: ndarray::ArrayViewD<'_, f32>, _: &array::BlockInfo| {
        let mut y = x.to_owned();
        let n = x.shape()[2];
        for i in 1..n - 1 {
            y.slice_mut(s![.., .., i])
                .assign(&(&x.slice(s![.., .., i - 1]) + &x.slice(s![.., .., i + 1])));
        }
        y
    };
    let by_name = x.map_overlap([("lon", (1, 1))], [("lon", Boundary::Periodic)], around);
    let sides = [Boundary::None, Boundary::None, Boundary::Periodic];
    let by_place = x.map_overlap([(0, 0), (0, 0), (1, 1)], sides, around);
    assert_eq!(by_name.compute()?, by_place.compute()?);
    let expected = x.roll(1, "lon") + x.roll(-1, "lon");
    assert_eq!(by_name.compute()?, expected.compute()?);
    let wrong = x.map_overlap([("lon", (1, 1))], [("level", Boundary::Periodic)], around).check();
    assert!(matches!(wrong, Err(Error::InvalidAxis { .. })));
    Ok(())
}

#[cfg(feature = "zarr")]
#[test]
fn files_have_names_for_all_axes_or_none() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zarr");
    array::stack(&[maps(), maps()], 0).to_zarr(&path)?;
    let back = array::open_zarr::<f32>(&path);
    assert_eq!(back.dim_names()?.unwrap(), ["dim_0", "time", "lat", "lon"]);
    Ok(())
}
