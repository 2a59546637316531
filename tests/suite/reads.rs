//! Only what is needed is read, and only once.

use dask_rs::array::over;
use dask_rs::prelude::*;

use super::recorder::Recorder;

fn n_read(boxes: &[super::recorder::Box]) -> usize {
    boxes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

#[test]
fn a_slice_reads_only_its_box() {
    let (source, x) = Recorder::array(&[100, 40], &[10, 40]);
    let part = ((&x * 2.0).transpose() + 1.0).slice(s![5..7, 12..14]).compute().unwrap();
    assert_eq!(part[[1, 0]], (12.0 * 40.0 + 6.0) * 2.0 + 1.0);
    assert_eq!(source.take(), [(vec![12, 5], vec![2, 2])]);
}

#[test]
fn a_slice_of_a_reduction_reads_only_what_it_keeps() {
    let (source, x) = Recorder::array(&[100, 40], &[25, 40]);
    let kept = x.mean(0).slice(s![3..5]).compute().unwrap();
    assert_eq!(kept[[0]], 99.0 * 40.0 / 2.0 + 3.0);
    assert_eq!(n_read(&source.take()), 200);
    x.rechunk([10, 10]).slice(s![..10, ..10]).compute().unwrap();
    assert_eq!(n_read(&source.take()), 100);
    x.reshape([100, 8, 5]).slice(s![7, .., ..]).compute().unwrap();
    assert_eq!(n_read(&source.take()), 40);
    array::concatenate(&[x.clone(), x.clone()], 0).slice(s![100..101, ..]).compute().unwrap();
    assert_eq!(source.take(), [(vec![0, 0], vec![1, 40])]);
    array::stack(&[x.clone(), &x + 1.0], 0).slice(s![0, 5, ..]).compute().unwrap();
    assert_eq!(source.take(), [(vec![5, 0], vec![1, 40])]);
}

#[test]
fn a_slice_of_nothing_reads_nothing() {
    let (source, x) = Recorder::array(&[100, 40], &[10, 40]);
    assert_eq!(x.slice(s![3..3, ..]).compute().unwrap().shape(), [0, 40]);
    assert_eq!(n_read(&source.take()), 0);
}

#[test]
fn backwards_reads_each_element_once() {
    let (source, x) = Recorder::array(&[20], &[5]);
    let got = x.slice(s![..;-1]).compute().unwrap();
    assert_eq!(got, ndarray::Array1::from_iter((0..20).rev().map(f64::from)).into_dyn());
    assert_eq!(n_read(&source.take()), 20);
}

#[test]
fn results_computed_together_read_each_box_once() {
    let (source, x) = Recorder::array(&[40, 30], &[10, 15]);
    compute((x.mean(0), x.std(0))).unwrap();
    let boxes = source.take();
    assert_eq!(boxes.len(), 8);
    assert_eq!(n_read(&boxes), 1200);
    let anomaly = &x - &x.mean(over(0).keepdims());
    compute((&anomaly, anomaly.std(..), x.max(..))).unwrap();
    assert_eq!(n_read(&source.take()), 1200);
    // Some want a part, some all.
    compute((x.slice(s![..10, ..]), x.sum(..))).unwrap();
    assert_eq!(n_read(&source.take()), 1200);
}

#[test]
fn what_is_persisted_is_not_read_again() {
    let (source, x) = Recorder::array(&[40, 30], &[10, 15]);
    let y = (&x + 1.0).persist().unwrap();
    assert_eq!(n_read(&source.take()), 1200);
    assert_eq!(y.grid().unwrap(), [4, 2]);
    let total = (0..1200).map(|v| f64::from(v) + 1.0).sum::<f64>();
    assert_eq!(y.sum(..).compute().unwrap()[[]], total);
    assert_eq!(y.slice(s![3, 4]).compute().unwrap()[[]], 95.0);
    assert_eq!((&y * 2.0).transpose().compute().unwrap()[[4, 3]], 190.0);
    assert_eq!(y.compute().unwrap().sum(), total);
    assert!(source.take().is_empty());
}

#[test]
fn a_rechunked_read_reads_the_new_boxes() {
    let (source, x) = Recorder::array(&[40, 30], &[10, 30]);
    x.rechunk([20, 30]).compute().unwrap();
    assert_eq!(source.take(), [(vec![0, 0], vec![20, 30]), (vec![20, 0], vec![20, 30])]);
}

#[test]
fn overlapping_slices_share_one_read() {
    let (source, x) = Recorder::array(&[100, 40], &[10, 40]);
    let difference = &x.slice(s![1.., ..]) - &x.slice(s![..-1, ..]);
    assert_eq!(difference.mean(..).compute().unwrap()[[]], 40.0);
    assert_eq!(n_read(&source.take()), 4000);
}

#[test]
fn a_slice_with_a_sliced_reader_of_its_own_still_sinks() {
    let (source, x) = Recorder::array(&[1000], &[100]);
    let z = (&x + 1.0).slice(s![..10]);
    let (all, half) = compute((z.sum(..), z.slice(s![..5]).sum(..))).unwrap();
    assert_eq!((all[[]], half[[]]), (55.0, 15.0));
    assert_eq!(n_read(&source.take()), 10);
}

#[test]
fn a_wide_step_reads_each_storage_chunk_once() {
    let (source, x) = Recorder::stored(&[200, 60], &[100, 60], Some(&[50, 20]));
    for part in [s![..;20, 5..;11], s![..;-20, ..;-11], s![7.., 3..;9]] {
        let got = x.slice(part).compute().unwrap();
        let boxes = source.take();
        let want = ndarray::Array::from_iter((0..12_000).map(f64::from));
        let want = array::from_ndarray(want.into_shape_with_order([200, 60]).unwrap(), [200, 60]);
        assert_eq!(got, want.slice(part).compute().unwrap());
        let mut chunks: Vec<_> =
            boxes.iter().map(|(start, _)| [start[0] / 50, start[1] / 20]).collect();
        chunks.sort();
        chunks.dedup();
        assert_eq!(chunks.len(), boxes.len(), "{boxes:?}");
        assert!(boxes.len() <= 12, "{boxes:?}");
    }
    // Chunks that no position lies in are not read.
    x.slice(s![..;150, 0]).compute().unwrap();
    assert_eq!(source.take(), [(vec![0, 0], vec![1, 1]), (vec![150, 0], vec![1, 1])]);
}

#[test]
fn chunks_across_storage_chunks_are_cut_out_of_whole_ones() {
    let (source, x) = Recorder::stored(&[100, 40], &[30, 40], Some(&[20, 8]));
    assert_eq!(x.grid().unwrap(), [4, 1]);
    assert_eq!(x.sum(..).compute().unwrap()[[]], 3999.0 * 2000.0);
    let boxes = source.take();
    assert_eq!(n_read(&boxes), 4000, "{boxes:?}");
    assert!(
        boxes.iter().all(|(start, shape)| start[0] % 20 == 0 && shape[0] % 20 == 0),
        "{boxes:?}"
    );
    // No block is longer than asked for, unless one storage chunk is.
    assert!(boxes.iter().all(|(_, shape)| shape[0] <= 30), "{boxes:?}");
    let (source, x) = Recorder::stored(&[100, 40], &[7, 7], Some(&[50, 40]));
    assert_eq!(x.grid().unwrap(), [15, 6]);
    x.max(..).compute().unwrap();
    assert_eq!(source.take(), [(vec![0, 0], vec![50, 40]), (vec![50, 0], vec![50, 40])]);
}
