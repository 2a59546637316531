//! Which variants of a genome go with a trait, and who is whose nearest relative: a genome-wide association study.
//!
//! Each variant has a linear regression of its own, of each trait on the dosage of the variant and on covariates. By the
//! theorem of Frisch, Waugh and Lovell that is one matrix product for all variants, once what the covariates explain is taken out of
//! dosages and traits. Distances between samples are sums over variants, in blocks of both axes.

use std::path::Path;

use dask_rs::array::ChunkSpec;
use dask_rs::array::linalg::qr;
use dask_rs::prelude::*;
use ndarray::{Array2, ArrayD, ArrayView1, ArrayViewD, Axis};
use noto_sans_mono_bitmap::RasterHeight;
use plotters::prelude::*;

use crate::common::Failure;
use crate::picture;
use crate::workload::Workload;

/// The variant that each trait depends on, by its place among all, and how much a copy of it adds.
const EFFECTS: [(f64, f64); 2] = [(0.3, 1.5), (0.7, 1.2)];
/// The intercept, age and sex.
const N_COVARIATES: usize = 3;
/// A genotype that could not be told.
const MISSING: i8 = -1;
/// Of so many neighbouring variants, which say the same, one counts for distances.
const PRUNING: isize = 16;

pub(crate) fn run(w: &mut Workload) -> Result<(), Failure> {
    let n_samples = (w.data_bytes() / 256).isqrt().clamp(64, 2048) as usize;
    let n_variants = w.data_bytes() / n_samples as u64;
    // Dosages have eight bytes for each of a genotype, which itself comes in blocks of an eighth of that: twice a usual chunk, as
    // blocks of less than 128 KiB are left to malloc.
    let rows = (Config::current()?.chunk_bytes() / 4 / n_samples as u64).max(1);
    genotypes(n_variants, n_samples, rows).to_zarr(w.path("calls"))?;
    let covariates = Array2::from_shape_fn((n_samples, N_COVARIATES), |at| covariate(at.0, at.1));
    let traits = Array2::from_shape_fn((n_samples, 2), |(i, k)| {
        let (place, effect) = EFFECTS[k];
        let dosage = f64::from(genotypes_of(causal(place, n_variants), n_samples)[i].max(0));
        effect * dosage + 0.3 * covariates[[i, 1]] - 0.5 * covariates[[i, 2]] + noise(i + 1000 * k)
    });

    let calls: Array<i8> = array::open_zarr(w.path("calls"));
    let dosage = dosage(&calls.rechunk(ChunkSpec::axes([(0, rows)])));
    let t = association(&dosage, &covariates, &traits);
    let probes: Vec<u64> = (0..20).map(|i| i * (n_variants - 1) / 19).collect();
    let in_bins = t.abs().resample("variant", n_variants.div_ceil(560)).max();
    // What is left of a block is joined with that of its neighbours: many small blocks take more memory than they hold.
    let pruned = dosage.slice(s![..;PRUNING, ..]).rechunk(ChunkSpec::axes([(0, rows)]));
    let distance = distances(&pruned)?;
    let is_self = array::eye::<f64>(n_samples as u64, n_samples as u64, 0, "auto").gt(0.0);
    let nearest = array::where_(&is_self, f64::INFINITY, &distance).argmin(1);
    let (best, probed, in_bins, of_first, nearest) = w.compute((
        t.abs().argmax("variant"),
        t.take(&probes, "variant"),
        in_bins,
        distance.slice(s![0, ..]),
        nearest,
    ))?;

    for (k, (place, _)) in EFFECTS.into_iter().enumerate() {
        let causal = causal(place, n_variants) as f64;
        w.check(&format!("variant of trait {k}"), best[[k]] as f64, causal, 0.0);
    }
    let expected = probes.iter().flat_map(|&variant| {
        let calls = genotypes_of(variant, n_samples);
        [0, 1].map(|k| t_of_regression(&calls, &covariates, &traits.column(k)))
    });
    w.check_all("t of a variant", probed.iter().copied().zip(expected), 1e-6);
    w.check_all(
        "nearest relatives of the twins",
        [(nearest[[0]] as f64, 1.0), (nearest[[1]] as f64, 0.0)],
        0.0,
    );
    let others = [1, 2, n_samples / 2, n_samples - 1];
    let expected = distances_of_first(n_variants, n_samples, &others);
    w.check_all("distance", others.iter().map(|&i| of_first[[i]]).zip(expected), 1e-5);

    if let Some(path) = w.picture() {
        manhattan(path, &in_bins)?;
    }
    Ok(())
}

/// How many copies of a variant each sample has; where that is missing, the mean of the others.
fn dosage(calls: &Array<i8>) -> Array<f64> {
    let is_called = calls.ge(0);
    let copies = array::where_(&is_called, calls, 0).sum(over("sample").keepdims());
    let n_called = is_called.count_nonzero(over("sample").keepdims());
    array::where_(&is_called, calls.cast::<f64>(), copies / n_called)
}

/// Student's t of each variant and trait.
fn association(dosage: &Array<f64>, covariates: &Array2<f64>, traits: &Array2<f64>) -> Array<f64> {
    let freedom = (traits.nrows() - N_COVARIATES - 1) as f64;
    let (q, _) = qr(&array::from_ndarray(covariates.clone(), -1));
    let traits = array::from_ndarray(traits.clone(), -1);
    let y = &traits - q.matmul(&q.transpose().matmul(&traits));
    let x = dosage - dosage.matmul(&q).matmul(&q.transpose());
    let xx = x.square().sum(over(1).keepdims());
    let slope = x.matmul(&y) / &xx;
    let residual = y.square().sum(0) - slope.square() * &xx;
    (slope / (residual / xx / freedom).sqrt()).with_dim_names(["variant", "trait"])
}

/// The root of the mean squared difference of the dosages of each two samples.
fn distances(dosage: &Array<f64>) -> Result<Array<f64>> {
    let (squares, products) = (dosage.square().mean(0), dosage.transpose().matmul(dosage));
    let n_variants = dosage.shape()?[0] as f64;
    let squared = squares.expand_dims(1) + squares.expand_dims(0) - products * (2.0 / n_variants);
    Ok(squared.clip(0.0, None).sqrt())
}

/// Genotypes by variant and sample: the copies of the rarer allele, 0, 1 or 2.
fn genotypes(n_variants: u64, n_samples: usize, rows: u64) -> Array<i8> {
    let frame: Array<bool> = array::zeros([n_variants, n_samples as u64], [rows, n_samples as u64]);
    let calls = frame.map_blocks(move |block: ArrayViewD<'_, bool>, info| {
        let first = info.start.as_ref().map_or(0, |start| start[0]);
        let mut calls = ArrayD::zeros(block.raw_dim());
        for (variant, mut row) in (first..).zip(calls.rows_mut()) {
            row.assign(&ArrayView1::from(&genotypes_of(variant, n_samples)));
        }
        calls
    });
    calls.with_dim_names(["variant", "sample"])
}

/// One row of them, of which the first two samples are twins.
fn genotypes_of(variant: u64, n_samples: usize) -> Vec<i8> {
    let mut bits = variant.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    let frequency = 0x2000 + (bits >> 50);
    let mut call = || {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [a, b] = [bits >> 48, bits >> 32 & 0xffff].map(|draw| i8::from(draw < frequency));
        if bits >> 24 & 0xff == 0 { MISSING } else { a + b }
    };
    let mut calls: Vec<i8> = (0..n_samples).map(|_| call()).collect();
    calls[1] = calls[0];
    calls
}

fn causal(place: f64, n_variants: u64) -> u64 {
    (place * n_variants as f64) as u64
}

fn covariate(sample: usize, k: usize) -> f64 {
    match k {
        0 => 1.0,
        1 => ((sample * 7919) % 61) as f64 / 30.0 - 1.0,
        _ => (sample / 3 % 2) as f64,
    }
}

/// Between -1.7 and 1.7, with a deviation of 1.
fn noise(i: usize) -> f64 {
    let bits = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
    (bits as f64 / f64::from(1 << 24) - 0.5) * 12_f64.sqrt()
}

/// The dosages of one variant.
fn imputed(calls: &[i8]) -> Vec<f64> {
    let called = || calls.iter().filter(|call| **call != MISSING).map(|&call| f64::from(call));
    let mean = called().sum::<f64>() / called().count() as f64;
    calls.iter().map(|&call| if call == MISSING { mean } else { f64::from(call) }).collect()
}

/// Student's t of the last of the variables in an ordinary regression, by its normal equations.
fn t_of_regression(calls: &[i8], covariates: &Array2<f64>, y: &ArrayView1<'_, f64>) -> f64 {
    const N: usize = N_COVARIATES + 1;
    let mut design = covariates.clone();
    design.push_column(ArrayView1::from(&imputed(calls))).expect("a dosage for each sample");
    // [XᵀX | Xᵀy | 1] becomes [1 | β | (XᵀX)⁻¹].
    let mut system = Array2::zeros((N, N + 2));
    system.slice_mut(s![.., ..N]).assign(&design.t().dot(&design));
    system.slice_mut(s![.., N]).assign(&design.t().dot(y));
    system[[N - 1, N + 1]] = 1.0;
    for i in 0..N {
        let pivot = &system.row(i) / system[[i, i]];
        system.row_mut(i).assign(&pivot);
        for other in (0..N).filter(|other| *other != i) {
            let factor = system[[other, i]];
            system.row_mut(other).scaled_add(-factor, &pivot);
        }
    }
    let residual = y - &design.dot(&system.column(N));
    let variance = residual.dot(&residual) / (y.len() - N) as f64;
    system[[N - 1, N]] / (variance * system[[N - 1, N + 1]]).sqrt()
}

/// Distances of some samples from the first one, one variant after another.
fn distances_of_first(n_variants: u64, n_samples: usize, others: &[usize]) -> Vec<f64> {
    let mut squares = vec![0.0; others.len()];
    let pruned = || (0..n_variants).step_by(PRUNING as usize);
    for variant in pruned() {
        let dosage = imputed(&genotypes_of(variant, n_samples));
        for (square, &other) in squares.iter_mut().zip(others) {
            *square += (dosage[0] - dosage[other]).powi(2);
        }
    }
    squares.into_iter().map(|square| (square / pruned().count() as f64).sqrt()).collect()
}

/// The largest |t| of neighbouring variants along the genome, in a colour for each trait.
fn manhattan(path: &Path, in_bins: &ArrayD<f64>) -> Result<(), Failure> {
    picture::save(path, (640, 240), |area| {
        let highest = in_bins.fold(0.0_f64, |a, b| a.max(*b));
        picture::text(
            area,
            "largest |t| along the genome, of two traits",
            (40, 10),
            RasterHeight::Size16,
        )?;
        for (k, heights) in in_bins.axis_iter(Axis(1)).enumerate() {
            for (i, height) in heights.iter().enumerate() {
                let place = (40 + i as i32, 220 - (180.0 * height / highest) as i32);
                area.draw(&Circle::new(place, 2, picture::CURVES[k].filled()))?;
            }
        }
        area.draw(&PathElement::new(vec![(40, 36), (40, 224), (610, 224)], picture::INK))?;
        Ok(())
    })
}
