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
    assert_eq!(several.dim_names()?, None);
    Ok(())
}
