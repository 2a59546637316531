//! Zarr arrays in object stores.

use ndarray::s;

use super::*;
use crate::array::{self, Array, ZarrFormat, ZarrWrite};

fn ramp() -> Array<f64> {
    array::arange(0., 600., 1., [170]).reshape([30, 20]).rechunk([10, 10])
}

#[test]
fn arrays_go_there_and_back() {
    let (store, url) = TestStore::register("zarr");
    let expected = ramp().compute().unwrap();
    for (i, how) in [
        ZarrWrite::new().chunks(&[7, 6]),
        ZarrWrite::new().chunks(&[7, 6]).format(ZarrFormat::V2),
        ZarrWrite::new().chunks(&[5, 2]).shards(&[10, 10]),
    ]
    .into_iter()
    .enumerate()
    {
        let url = format!("{url}/{i}.zarr");
        crate::compute(ramp().store_zarr(&url, how.clone())).unwrap();
        let read: Array<f64> = array::open_zarr(&url);
        assert_eq!(read.compute().unwrap(), expected);
        store.take_gets();
        let part = read.slice(s![3..5, 1..2]).compute().unwrap();
        assert_eq!(part, expected.slice(s![3..5, 1..2]).into_dyn());
        let gets = store.take_gets();
        assert!((1..=3).contains(&gets.len()), "{gets:?}");
        let error = crate::compute(ramp().store_zarr(&url, how.clone())).unwrap_err();
        assert!(error.to_string().contains("which exists"), "{error}");
        let twice = &ramp() * 2.;
        crate::compute(twice.store_zarr(&url, how.overwrite())).unwrap();
        let read: Array<f64> = array::open_zarr(&url);
        assert_eq!(read.compute().unwrap(), &expected * 2.);
    }
    let error = array::open_zarr::<f64>(format!("{url}/none")).compute().unwrap_err().to_string();
    assert!(error.contains("test://zarr/none") && error.contains("neither zarr.json"), "{error}");
}

/// All chunks of a shard come with one request.
#[test]
fn shards_that_are_wanted_whole_are_one_request() {
    let (store, url) = TestStore::register("shards");
    let how = ZarrWrite::new().chunks(&[5, 2]).shards(&[10, 10]);
    crate::compute(ramp().store_zarr(&url, how)).unwrap();
    let read: Array<f64> = array::open_zarr(&url);
    store.take_gets();
    read.sum(..).compute().unwrap();
    assert_eq!(store.take_gets().len(), 6);
}

#[test]
fn whatever_goes_wrong_leaves_no_array() {
    let (store, url) = TestStore::register("zarr-trouble");
    let url = format!("{url}/x");
    for k in 0.. {
        store.set_trouble(Some((k, Trouble::Fails)));
        let written = ramp().to_zarr(&url);
        let n_requests = store.n_requests();
        store.set_trouble(None);
        if n_requests <= k {
            written.unwrap();
            break;
        }
        let error = written.unwrap_err().to_string();
        assert!(error.contains(&url) && error.contains("trouble"), "{error}");
        assert!(!store.keys().contains(&"x/zarr.json".to_string()), "{:?}", store.keys());
    }
    let expected = ramp().compute().unwrap();
    for trouble in [Trouble::Fails, Trouble::IsShort, Trouble::Hangs] {
        for k in 0.. {
            store.set_trouble(Some((k, trouble)));
            let got = array::open_zarr::<f64>(&url).compute();
            let is_over = store.n_requests() <= k;
            store.set_trouble(None);
            match got {
                Ok(got) => assert_eq!(got, expected),
                Err(error) => assert!(error.to_string().contains(&url), "{error}"),
            }
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn regions_and_appends_in_a_store() {
    let (_store, url) = TestStore::register("zarr-regions");
    let url = format!("{url}/x");
    ramp().to_zarr(&url).unwrap();
    array::zeros::<f64>([10, 20], [10, 10]).to_zarr_region(&url, &[10..20, 0..20]).unwrap();
    array::ones::<f64>([5, 20], [3, 7]).append_zarr(&url, 0).unwrap();
    array::ones::<f64>([5, 20], [3, 7]).append_zarr(&url, 0).unwrap();
    let got = array::open_zarr::<f64>(&url).compute().unwrap();
    assert_eq!(got.shape(), [40, 20]);
    assert_eq!(got.slice(s![..10, ..]), ramp().compute().unwrap().slice(s![..10, ..]));
    assert!(got.slice(s![10..20, ..]).iter().all(|&x| x == 0.));
    assert!(got.slice(s![30.., ..]).iter().all(|&x| x == 1.));
}

/// What is read and replaced in one run would read zeros: chunks of a store can't be of both arrays.
#[test]
fn what_a_run_reads_is_not_replaced() {
    let (store, url) = TestStore::register("zarr-self");
    let (url, taken) = (format!("{url}/x"), format!("{url}/taken"));
    ramp().to_zarr(&url).unwrap();
    ramp().to_zarr(&taken).unwrap();
    let keys = store.keys();
    let x = array::open_zarr::<f64>(&url);
    let overwrite = || ZarrWrite::new().overwrite();
    let twice = &x * 2.;
    let shifted = x.slice(s![10..20, ..]).store_zarr_region(format!("{url}/"), &[0..10, 0..20]);
    for error in [
        crate::compute(twice.store_zarr(&url, overwrite())).unwrap_err(),
        crate::compute(shifted).unwrap_err(),
        // What another result of the run reads.
        crate::compute((x.sum(..), ramp().store_zarr(&url, overwrite()))).unwrap_err(),
    ] {
        assert!(error.to_string().contains("the same run reads"), "{error}");
    }
    // A write that is refused comes before anything is removed.
    let taken = ramp().store_zarr(&taken, ZarrWrite::new());
    let error = crate::compute((ramp().store_zarr(&url, overwrite()), taken)).unwrap_err();
    assert!(error.to_string().contains("which exists"), "{error}");
    assert_eq!(store.keys(), keys);
    assert_eq!(x.compute().unwrap(), ramp().compute().unwrap());
    // Appending changes nothing that is read.
    x.slice(s![..5, ..]).append_zarr(&url, 0).unwrap();
    let longer = array::open_zarr::<f64>(&url).compute().unwrap();
    assert_eq!(longer.slice(s![30.., ..]), ramp().compute().unwrap().slice(s![..5, ..]));
}
