//! What has to be computed to write into Zarr arrays that are there.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::args::AxisRef;
use super::chunks::{AxisSlice, ChunkSpec, aligned_to};
use super::expr::{Handle, Node};
use super::io::{Source, ZarrSource, ZarrUpdate};
use super::ops::{creation, indexing, joins};
use crate::error::{Call, Error, Result};

/// A box of an array, and `node` in chunks that own whole storage units of it.
pub(super) fn region(
    call: Call,
    path: &Path,
    node: &Arc<Node>,
    region: &[Range<u64>],
) -> Result<(ZarrUpdate, Arc<Node>)> {
    let source = opened(call, path, node)?;
    let (shape, unit) = (source.shape().to_vec(), unit(&source));
    let lens: Vec<u64> = region.iter().map(|range| range.end.saturating_sub(range.start)).collect();
    if lens != node.known_shape(call)? {
        let (left, right) = (node.known_shape(call)?, lens);
        let remedy = "the region has to be as large as what is written";
        return Err(Error::ShapeMismatch { call, left, right, remedy });
    }
    let axes = || region.iter().zip(&shape).zip(&unit);
    if axes().any(|((range, &len), _)| range.end > len) {
        let got = format!("{region:?} of an array of shape {shape:?}");
        let expected = "a region inside of the array; append_zarr makes it longer";
        return Err(Error::InvalidArgument { call, argument: "region", got, expected });
    }
    let is_whole = |((range, &len), &unit): ((&Range<u64>, &u64), &u64)| {
        range.is_empty()
            || range.start.is_multiple_of(unit)
                && (range.end.is_multiple_of(unit) || range.end == len)
    };
    if !axes().all(is_whole) {
        let got = format!("{region:?} in stored chunks of {unit:?}");
        let problem = "a region has to begin and end where stored chunks (or shards) do, or at the end of the array";
        return Err(Error::InvalidChunks { call, got, shape, problem });
    }
    let origin = region.iter().map(|range| range.start).collect();
    update(&source, origin, shape, node)
}

/// More behind the end of an array, with what its last storage units have already.
pub(super) fn append(
    call: Call,
    path: &Path,
    node: &Arc<Node>,
    axis: &AxisRef,
) -> Result<(ZarrUpdate, Arc<Node>)> {
    let source = Arc::new(opened(call, path, node)?);
    let axis = axis.resolve(call, node.ndim(), node.dim_names())?;
    let (old, unit) = (source.shape().to_vec(), unit(&source));
    let (mut shape, mut origin) = (node.known_shape(call)?, vec![0; old.len()]);
    if (0..old.len()).any(|other| other != axis && shape[other] != old[other]) {
        let remedy = "all axes but the one that grows have to be as long as those of the array";
        return Err(Error::ShapeMismatch { call, left: shape, right: old, remedy });
    }
    shape[axis] += old[axis];
    origin[axis] = old[axis] / unit[axis] * unit[axis];
    if origin[axis] == old[axis] {
        return update(&source, origin, shape, node);
    }
    let (dtype, start) = (source.dtype(), origin[axis]);
    let all =
        creation::from_source(call, Arc::clone(&source) as _, dtype, &ChunkSpec::from("auto"));
    let rest = all.then(|all| {
        let slice = AxisSlice::new(start, old[axis] - start, 1);
        indexing::slice_along(call, all, axis, slice)
    });
    let more = Handle::from_result(Ok(Arc::clone(node)));
    let joined = joins::concatenate(call, &[&rest, &more], &AxisRef::from(axis as i64));
    update(&source, origin, shape, joined.node()?)
}

fn update(
    source: &ZarrSource,
    origin: Vec<u64>,
    shape: Vec<u64>,
    node: &Arc<Node>,
) -> Result<(ZarrUpdate, Arc<Node>)> {
    let unit = unit(source);
    let unit_bytes =
        unit.iter().fold(source.dtype().nbytes() as u64, |n, len| n.saturating_mul(*len));
    // The box begins at a storage unit, so units of the box are units of the array.
    let aligned = node.in_chunks(aligned_to(&node.meta.chunks, &unit))?;
    let seen = source.shape().to_vec();
    Ok((ZarrUpdate { seen, origin, shape, unit_bytes }, aligned))
}

fn opened(call: Call, path: &Path, node: &Node) -> Result<ZarrSource> {
    let source = ZarrSource::open(call, path)?;
    if source.dtype() != node.meta.dtype {
        let (got, expected) = (node.meta.dtype.to_string(), source.dtype().to_string());
        return Err(Error::DTypeMismatch { call, got, expected });
    }
    if source.shape().len() != node.ndim() {
        let (left, right) = (node.known_shape(call)?, source.shape().to_vec());
        let remedy = "the array that is there has another number of dimensions";
        return Err(Error::ShapeMismatch { call, left, right, remedy });
    }
    Ok(source)
}

fn unit(source: &ZarrSource) -> Vec<u64> {
    source.storage_chunks().expect("Zarr arrays are in chunks")
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, Axis, IxDyn, concatenate, s};

    use crate::array::{self, Array, ZarrFormat, ZarrWrite};
    use crate::error::Error;

    fn ramp(shape: [usize; 2], from: f64) -> ArrayD<f64> {
        let n = shape[0] * shape[1];
        let items = (0..n).map(|i| from + i as f64).collect();
        ArrayD::from_shape_vec(IxDyn(&shape), items).unwrap()
    }

    fn lazy(values: &ArrayD<f64>, chunks: [u64; 2]) -> Array<f64> {
        array::from_ndarray(values.clone(), chunks)
    }

    fn read(path: &std::path::Path) -> ArrayD<f64> {
        array::open_zarr(path).compute().unwrap()
    }

    /// Ways to store 12 by 10 elements in units of 4 by 5.
    fn ways() -> [ZarrWrite; 3] {
        [
            ZarrWrite::new().chunks(&[4, 5]),
            ZarrWrite::new().chunks(&[4, 5]).format(ZarrFormat::V2),
            ZarrWrite::new().chunks(&[2, 5]).shards(&[4, 5]),
        ]
    }

    #[test]
    fn regions_replace_whole_units_and_nothing_else() {
        for how in ways() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x");
            let mut expected = ramp([11, 10], 1.);
            crate::compute(lazy(&expected, [4, 5]).store_zarr(&path, how)).unwrap();
            // With chunks that fit no unit, to the end that cuts one, and with nothing but the fill value.
            for (region, from, chunks) in
                [([4..8, 0..10], 500., [3, 3]), ([8..11, 5..10], 700., [1, 5])]
            {
                let shape = [region[0].end - region[0].start, region[1].end - region[1].start];
                let values = ramp(shape.map(|len: u64| len as usize), from);
                lazy(&values, chunks).to_zarr_region(&path, &region).unwrap();
                let [rows, columns] = region.map(|range| range.start as usize..range.end as usize);
                expected.slice_mut(s![rows, columns]).assign(&values);
                assert_eq!(read(&path), expected);
            }
            array::zeros::<f64>([4, 5], [4, 5]).to_zarr_region(&path, &[0..4, 5..10]).unwrap();
            expected.slice_mut(s![0..4, 5..10]).fill(0.);
            assert_eq!(read(&path), expected);
            let names = std::fs::read_dir(dir.path()).unwrap().count();
            assert_eq!(names, 1, "nothing is left beside the array");
        }
    }

    #[test]
    fn appends_continue_in_the_middle_of_a_unit() {
        for how in ways() {
            for axis in [0, 1] {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("x");
                let mut expected = ramp([6, 7], 1.);
                crate::compute(lazy(&expected, [6, 7]).store_zarr(&path, how.clone())).unwrap();
                for (i, len) in [3, 0, 2, 9].into_iter().enumerate() {
                    let mut shape = [expected.shape()[0], expected.shape()[1]];
                    shape[axis] = len;
                    let more = ramp(shape, 1000. * (i + 1) as f64);
                    lazy(&more, [2, 4]).append_zarr(&path, axis as i64).unwrap();
                    expected = concatenate![Axis(axis), expected, more];
                    assert_eq!(read(&path), expected, "{how:?}, axis {axis}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let values = ramp([12, 10], 1.);
        let how = ZarrWrite::new().chunks(&[4, 5]);
        crate::compute(lazy(&values, [4, 5]).store_zarr(&path, how)).unwrap();
        let x = |shape: [u64; 2]| array::zeros::<f64>(shape, shape);
        let error = x([4, 10]).to_zarr_region(&path, &[2..6, 0..10]).unwrap_err();
        assert!(matches!(error, Error::InvalidChunks { .. }), "{error}");
        assert!(error.to_string().contains("stored chunks of [4, 5]"), "{error}");
        let error = x([4, 10]).to_zarr_region(&path, &[0..8, 0..10]).unwrap_err();
        assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
        let error = x([4, 10]).to_zarr_region(&path, &[12..16, 0..10]).unwrap_err();
        assert!(error.to_string().contains("append_zarr"), "{error}");
        let error = x([4, 9]).append_zarr(&path, 0).unwrap_err();
        assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
        let error = x([4, 10]).cast::<f32>().append_zarr(&path, 0).unwrap_err();
        assert!(matches!(error, Error::DTypeMismatch { .. }), "{error}");
        assert_eq!(read(&path), values);
    }

    #[test]
    fn writes_that_fail_leave_the_array_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let values = ramp([12, 10], 1.);
        let how = ZarrWrite::new().chunks(&[4, 5]);
        crate::compute(lazy(&values, [4, 5]).store_zarr(&path, how)).unwrap();
        let broken = || {
            array::from_fn([8, 10], [4, 5], |index| {
                assert!(index[0] < 6, "one block can't be made");
                7.
            })
        };
        broken().to_zarr_region(&path, &[0..8, 0..10]).unwrap_err();
        broken().append_zarr(&path, 0).unwrap_err();
        assert_eq!(read(&path), values);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn writes_that_did_not_see_each_other_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let values = ramp([11, 10], 1.);
        let how = ZarrWrite::new().chunks(&[4, 5]);
        crate::compute(lazy(&values, [4, 5]).store_zarr(&path, how)).unwrap();
        let x = |n: u64| array::zeros::<f64>([n, 10], [4, 10]);
        let append = || x(3).store_zarr_append(&path, 0);
        let region = |from: u64, to: u64| x(to - from).store_zarr_region(&path, &[from..to, 0..10]);
        for error in [
            crate::compute((append(), append())).unwrap_err(),
            crate::compute((region(8, 11), append())).unwrap_err(),
            crate::compute((region(0, 8), region(4, 8))).unwrap_err(),
        ] {
            assert!(error.to_string().contains("another write of the same run"), "{error}");
        }
        assert_eq!(read(&path), values);
        // Regions that are apart are one run.
        crate::compute((region(0, 4), region(4, 8))).unwrap();
        assert!(read(&path).slice(s![..8, ..]).iter().all(|&value| value == 0.));
        assert_eq!(read(&path).slice(s![8.., ..]), values.slice(s![8.., ..]));
    }

    /// Other programs may make an array longer by its metadata alone.
    #[test]
    fn chunks_are_filled_up_with_the_fill_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let how = ZarrWrite::new().chunks(&[4, 5]);
        crate::compute(array::zeros::<f64>([6, 5], [4, 5]).store_zarr(&path, how)).unwrap();
        let change = |name: &str, to: serde_json::Value| {
            let document = std::fs::read(path.join("zarr.json")).unwrap();
            let mut document: serde_json::Value = serde_json::from_slice(&document).unwrap();
            document[name] = to;
            std::fs::write(path.join("zarr.json"), document.to_string()).unwrap();
        };
        change("fill_value", (-1.5).into());
        array::ones::<f64>([2, 5], [2, 5]).to_zarr_region(&path, &[4..6, 0..5]).unwrap();
        change("shape", vec![8, 5].into());
        assert!(read(&path).slice(s![6.., ..]).iter().all(|&value| value == -1.5));
    }
}
