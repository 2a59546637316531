//! The variable that is looked at, with its axes.

use std::path::{Path, PathBuf};

use dask_rs::array::NetcdfFile;
use dask_rs::prelude::*;
use ndarray::{ArrayD, ArrayView1, ArrayView2, Axis, Ix1, Ix2};

use crate::common::Failure;

/// What the axes are called in the files that people have.
const TIME: [&str; 5] = ["time", "month", "valid_time", "date", "year"];
const LATITUDE: [&str; 3] = ["latitude", "lat", "y"];
const LONGITUDE: [&str; 3] = ["longitude", "lon", "x"];

pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) values: Array<f32>,
    /// The names of three of the axes.
    pub(crate) time: String,
    pub(crate) latitude: String,
    pub(crate) longitude: String,
    /// Degrees, or positions if the file does not say.
    pub(crate) latitudes: Vec<f64>,
    pub(crate) longitudes: Vec<f64>,
}

impl Field {
    /// A variable of a NetCDF file, or the Zarr array in a directory.
    pub(crate) fn open(path: &Path, variable: Option<&str>) -> Result<Field, Failure> {
        if path.is_dir() {
            Field::of_zarr(path, variable)
        } else {
            Field::of_netcdf(path, variable)
        }
    }

    fn of_netcdf(path: &Path, variable: Option<&str>) -> Result<Field, Failure> {
        let file = NetcdfFile::open(path)?;
        let is_large = |name: &&str| file.dim_names(name).is_ok_and(|dims| dims.len() >= 3);
        let name = variable.or_else(|| file.variables().find(is_large));
        let name = name.ok_or("the file has no variable of three or more dimensions")?.to_owned();
        let values = DynArray::open_netcdf(path, &name).cast();
        let coordinate = |axis: &str| DynArray::open_netcdf(path, axis).cast::<f64>();
        Field::new(name, path, values, coordinate)
    }

    /// Coordinates are arrays beside it, as in a Zarr group.
    fn of_zarr(path: &Path, variable: Option<&str>) -> Result<Field, Failure> {
        let path = variable.map_or(path.to_owned(), |name| path.join(name));
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let values = DynArray::open_zarr(&path).cast();
        let coordinate = |axis: &str| DynArray::open_zarr(path.with_file_name(axis)).cast();
        Field::new(name, &path, values, coordinate)
    }

    fn new(
        name: String,
        path: &Path,
        values: Array<f32>,
        coordinate: impl Fn(&str) -> Array<f64>,
    ) -> Result<Field, Failure> {
        let values = named(values)?;
        let names = values.dim_names()?.unwrap_or_default();
        let find = |known: &[&str], position: usize| {
            let found = names.iter().find(|name| known.contains(&name.as_str()));
            found.unwrap_or(&names[position]).clone()
        };
        let n = names.len();
        let (time, latitude) = (find(&TIME, 0), find(&LATITUDE, n - 2));
        let longitude = find(&LONGITUDE, n - 1);
        let shape = values.shape()?;
        let degrees = |axis: &String| {
            let len = names.iter().position(|name| name == axis).map_or(0, |i| shape[i] as usize);
            let read = coordinate(axis).compute().ok().filter(|read| read.shape() == [len]);
            read.map_or_else(
                || (0..len).map(|i| i as f64).collect(),
                |read| read.into_iter().collect(),
            )
        };
        let (latitudes, longitudes) = (degrees(&latitude), degrees(&longitude));
        let path = path.to_owned();
        Ok(Field { name, path, values, time, latitude, longitude, latitudes, longitudes })
    }

    /// The map of latitudes and longitudes at the first position of all other axes.
    pub(crate) fn first_map<'a>(
        &self,
        mean: &'a ArrayD<f32>,
    ) -> Result<ArrayView2<'a, f32>, Failure> {
        let names = self.values.dim_names()?.unwrap_or_default();
        let mut names: Vec<String> = names.into_iter().filter(|name| *name != self.time).collect();
        let mut view = mean.view();
        let is_map = |name: &String| [&self.latitude, &self.longitude].contains(&name);
        while let Some(axis) = names.iter().position(|name| !is_map(name)) {
            names.remove(axis);
            view = view.index_axis_move(Axis(axis), 0);
        }
        let map = view.into_dimensionality::<Ix2>()?;
        Ok(if names[0] == self.latitude { map } else { map.reversed_axes() })
    }
}

/// The array with names for its dimensions, if it has none.
fn named(values: Array<f32>) -> Result<Array<f32>, Failure> {
    let ndim = values.ndim()?;
    if ndim < 3 {
        return Err(format!("{ndim} dimensions, expected time, latitude, longitude or more").into());
    }
    if values.dim_names()?.is_some() {
        return Ok(values);
    }
    let name = |axis| match ndim - axis {
        _ if axis == 0 => TIME[0].to_owned(),
        2 => LATITUDE[0].to_owned(),
        1 => LONGITUDE[0].to_owned(),
        _ => format!("axis{axis}"),
    };
    Ok(values.with_dim_names((0..ndim).map(name)))
}

/// The last axis at the first position of all others.
pub(crate) fn first_profile(values: &ArrayD<f32>) -> ArrayView1<'_, f32> {
    let mut view = values.view();
    while view.ndim() > 1 {
        view = view.index_axis_move(Axis(0), 0);
    }
    view.into_dimensionality::<Ix1>().expect("one axis is left")
}
