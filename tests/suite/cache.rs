//! Results that are kept in case that they are asked for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dask_rs::array::{AnyElement, AnyViewMut, DType, Source};
use dask_rs::prelude::*;
use dask_rs::{Cache, array::over};
use ndarray::{ArrayD, IxDyn};

/// Numbers the elements, counts what is read of them, and has a version that tests can change.
#[derive(Debug)]
struct Counted {
    shape: Vec<u64>,
    version: AtomicU64,
    n_read: AtomicUsize,
}

impl Counted {
    fn array(shape: &[u64], chunks: &[u64]) -> (Arc<Counted>, Array<f64>) {
        let source = Arc::new(Counted { shape: shape.into(), version: 0.into(), n_read: 0.into() });
        let array =
            array::from_source(Arc::clone(&source) as Arc<dyn Source>, chunks.to_vec()).cast_to();
        (source, array)
    }

    /// How many elements were read since the last call.
    fn take(&self) -> usize {
        self.n_read.swap(0, Ordering::Relaxed)
    }
}

impl Source for Counted {
    fn name(&self) -> String {
        "counted".into()
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// None is the first, to test what can't be told.
    fn version(&self) -> Option<String> {
        let version = self.version.load(Ordering::Relaxed);
        (version != u64::MAX).then(|| format!("{:p} {version}", &raw const *self))
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        let mut out = f64::from_any_view(out).expect("it is asked for its own dtype");
        self.n_read.fetch_add(out.len(), Ordering::Relaxed);
        let version = self.version.load(Ordering::Relaxed) as f64;
        for (index, element) in out.indexed_iter_mut() {
            let axes = start.iter().enumerate().map(|(axis, start)| start + index[axis] as u64);
            let number = axes.zip(&self.shape).fold(0, |number, (i, n)| number * n + i);
            *element = number as f64 + version / 2.0;
        }
        Ok(())
    }
}

fn numbers(shape: [usize; 2]) -> ArrayD<f64> {
    let all = ndarray::Array1::from_iter((0..shape[0] * shape[1]).map(|i| i as f64));
    all.into_shape_with_order(IxDyn(&shape)).unwrap()
}

/// A scope with a cache of so many bytes. Each test has a memory limit of its own, under which nobody else keeps anything.
fn with_cache<R>(bytes: u64, memory_limit: u64, f: impl FnOnce(&Cache) -> R) -> R {
    let cache = Cache::new(bytes);
    let config = Config::new().with_cache(&cache).with_memory_limit(memory_limit);
    config.scope(|| f(&cache))
}

#[test]
fn what_was_computed_is_not_computed_again_and_neither_are_its_slices() {
    let (source, x) = Counted::array(&[40, 30], &[10, 15]);
    let expected = (numbers([40, 30]) + 1.0).t().into_owned();
    with_cache(1 << 20, 100_000_007, |cache| {
        let y = (&x + 1.0).transpose();
        assert_eq!(y.compute().unwrap(), expected);
        assert_eq!((source.take(), cache.bytes(), cache.hits()), (1200, 9600, 0));
        // The same, made again; a slice; something made of it.
        assert_eq!((&x + 1.0).transpose().compute().unwrap(), expected);
        assert_eq!(cache.hits(), 8);
        let part = y.slice(s![3..20;4, 7]);
        let explained = part.explain().unwrap();
        assert_eq!(explained.bytes_read(), 0);
        assert!(explained.to_string().contains("cached 2 of 2 blocks"), "{explained}");
        assert_eq!(part.compute().unwrap(), expected.slice(s![3..20;4, 7]).into_dyn());
        assert_eq!(cache.hits(), 10);
        assert_eq!(y.sum(..).compute().unwrap()[[]], expected.sum());
        assert_eq!(source.take(), 0);
        // Not even the same from another source, or of other chunks.
        let other = Counted::array(&[40, 30], &[10, 15]).1;
        assert_eq!((&other + 1.0).transpose().compute().unwrap(), expected);
        (&x.rechunk([40, 10]) + 1.0).transpose().compute().unwrap();
        assert_eq!(source.take(), 1200);
    });
    (&x + 1.0).transpose().compute().unwrap();
    assert_eq!(source.take(), 1200, "outside of the scope nothing is kept");
}

#[test]
fn slices_keep_whole_chunks_and_what_is_missing_is_computed() {
    let (source, x) = Counted::array(&[100, 100], &[10, 10]);
    let expected = numbers([100, 100]).mapv(f64::sqrt);
    with_cache(1 << 20, 100_000_037, |cache| {
        let y = x.sqrt();
        let window = |i: usize, j: usize| {
            let got = y.slice(s![i..i + 6, j..j + 6]).compute().unwrap();
            assert_eq!(got, expected.slice(s![i..i + 6, j..j + 6]).into_dyn());
            source.take()
        };
        assert_eq!(window(2, 2), 100);
        assert_eq!(window(4, 3), 0, "the same chunk");
        assert_eq!(window(2, 8), 100, "one chunk more");
        assert_eq!(window(8, 8), 200);
        assert_eq!(window(5, 5), 0);
        assert_eq!((cache.bytes(), cache.hits()), (4 * 800, 1 + 1 + 2 + 4));
        let text = y.slice(s![..40, ..]).explain().unwrap().to_string();
        assert!(text.contains("cached 4 of 40 blocks"), "{text}");
        assert_eq!(y.compute().unwrap(), expected);
        assert_eq!(source.take(), 9600);
        // Backwards, and slices of slices.
        let part = y.slice(s![10..91;-20, ..]).slice(s![1..3, 5]);
        assert_eq!(part.compute().unwrap(), expected.slice(s![50..71;-20, 5]).into_dyn());
        assert_eq!(y.slice(s![3..3, ..]).compute().unwrap().len(), 0);
        assert_eq!(source.take(), 0);
    });
}

#[test]
fn reductions_on_the_way_are_kept() {
    let (source, x) = Counted::array(&[40, 30], &[10, 15]);
    with_cache(1 << 20, 100_000_039, |_| {
        let anomaly = &x - &x.mean(over(0).keepdims());
        anomaly.std(..).compute().unwrap();
        source.take();
        assert_eq!(x.mean(0).slice(s![3]).compute().unwrap()[[]], 588.0);
        assert_eq!(source.take(), 0);
        assert_eq!(x.sum(1).slice(s![0]).compute().unwrap()[[]], 435.0);
        assert_eq!(source.take(), 300, "chunks of ten rows");
    });
}

#[test]
fn what_changed_is_no_hit() {
    let (source, x) = Counted::array(&[4], &[2]);
    with_cache(1 << 20, 100_000_049, |_| {
        let sum = || x.sum(..).compute().unwrap()[[]];
        assert_eq!((sum(), sum(), source.take()), (6.0, 6.0, 4));
        source.version.store(2, Ordering::Relaxed);
        assert_eq!((sum(), sum(), source.take()), (10.0, 10.0, 4));
        source.version.store(u64::MAX, Ordering::Relaxed);
        sum();
        sum();
        assert_eq!(source.take(), 8, "nothing is known of what is there");
    });
}

#[test]
fn a_file_that_changed_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    with_cache(1 << 20, 100_000_073, |cache| {
        let write = |value: f64| array::full::<f64>([100], value, [10]).to_npy(&path).unwrap();
        let sum = || array::open_npy::<f64>(&path).sum(..).compute().unwrap()[[]];
        write(1.0);
        assert_eq!((sum(), sum(), cache.hits()), (100.0, 100.0, 1));
        let held = array::open_npy::<f64>(&path);
        write(2.0);
        assert_eq!((sum(), sum(), cache.hits()), (200.0, 200.0, 2));
        // The file that was replaced is still open and what it was, which is not looked into.
        assert_eq!((held.sum(..).compute().unwrap()[[]], cache.hits()), (100.0, 2));
        // In place, of the same length, at a time that file systems with coarse clocks tell apart.
        let mut bytes = std::fs::read(&path).unwrap();
        let n = bytes.len();
        bytes[n - 8..].copy_from_slice(&102_f64.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!((sum(), cache.hits()), (300.0, 2));
    });
}

#[cfg(feature = "zarr")]
#[test]
fn a_chunk_of_a_zarr_array_that_changed_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zarr");
    with_cache(1 << 20, 100_000_081, |cache| {
        array::full::<f64>([100], 1.0, [10]).to_zarr(&path).unwrap();
        let x = array::open_zarr::<f64>(&path);
        let sum = || x.sum(..).compute().unwrap()[[]];
        assert_eq!((sum(), sum(), cache.hits()), (100.0, 100.0, 1));
        array::full::<f64>([10], 2.0, [10])
            .to_zarr_region(&path, std::slice::from_ref(&(20..30)))
            .unwrap();
        assert_eq!((sum(), sum(), cache.hits()), (110.0, 110.0, 2));
    });
}

/// What a handle from before makes of the files is not what they are now.
#[cfg(feature = "zarr")]
#[test]
fn an_array_whose_metadata_changed_is_read_again() {
    use dask_rs::array::{ZarrFormat, ZarrWrite};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zarr");
    with_cache(1 << 20, 100_000_151, |_| {
        let ones = array::ones::<f64>([20], [10]);
        compute(ones.store_zarr(&path, ZarrWrite::new().format(ZarrFormat::V2))).unwrap();
        let old = array::open_zarr::<f64>(&path);
        // The same bytes are other numbers.
        let metadata = std::fs::read_to_string(path.join(".zarray")).unwrap();
        std::fs::write(path.join(".zarray"), metadata.replace("<f8", ">f8")).unwrap();
        let max = |x: &Array<f64>| x.max(..).compute().unwrap()[[]];
        assert_eq!(max(&old), 1.0);
        let swapped = f64::from_bits(1_f64.to_bits().swap_bytes());
        assert_eq!(max(&array::open_zarr(&path)), swapped);
    });
}

#[cfg(feature = "hdf5")]
#[test]
fn hdf5_files_tell_their_version() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    let plain = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/plain.h5");
    std::fs::copy(plain, &path).unwrap();
    with_cache(1 << 20, 100_000_157, |cache| {
        let of = |name: &str| array::open_hdf5::<i32>(&path, name).sum(..).compute().unwrap()[[]];
        assert_eq!((of("contiguous"), of("contiguous"), cache.hits()), (190, 190, 1));
        assert_eq!(
            (of("big"), of("scaled"), cache.hits()),
            (190, 1225, 1),
            "others have their own"
        );
        let held = array::open_hdf5::<i32>(&path, "contiguous");
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!((of("contiguous"), cache.hits()), (190, 1));
        held.sum(..).compute().unwrap();
        held.sum(..).compute().unwrap();
        assert_eq!(cache.hits(), 1, "it was opened before");
    });
}

#[test]
fn what_is_kept_stays_below_the_cap_and_half_of_the_memory_limit() {
    with_cache(10_000, 100_000_127, |cache| {
        for n in 1..30 {
            let (_, x) = Counted::array(&[n * 10], &[10]);
            (&x + 1.0).compute().unwrap();
            assert!(cache.bytes() <= 10_000);
        }
        assert!(cache.bytes() > 8_000);
        cache.clear();
        assert_eq!(cache.bytes(), 0);
        let (source, x) = Counted::array(&[1000, 10], &[10, 10]);
        let y = &x + 1.0;
        y.compute().unwrap();
        y.compute().unwrap();
        assert_eq!(source.take(), 20_000, "it is more than fits, so none of it is kept");
        y.slice(s![..100, ..]).compute().unwrap();
        assert_eq!(cache.bytes(), 8000);
    });
    with_cache(1 << 30, 200_003, |cache| {
        let (source, x) = Counted::array(&[1000, 20], &[100, 20]);
        for _ in 0..2 {
            assert_eq!((&x + 1.0).sum(..).compute().unwrap()[[]], 2e4 * 2e4 / 2.0 + 1e4);
            (&x + 1.0).compute().unwrap();
        }
        assert!(source.take() >= 30_000);
        assert!((32_000..=100_001).contains(&cache.bytes()), "{}", cache.bytes());
        // A task that needs more than the cache leaves gets it.
        let wide = x.slice(s![..500, ..]).rechunk([500, 20]);
        assert_eq!((&wide * 2.0).max(..).compute().unwrap()[[]], 19_998.0);
    });
}

#[test]
fn what_reads_memory_that_is_gone_is_forgotten() {
    with_cache(1 << 20, 100_000_133, |cache| {
        let x = array::from_ndarray(ndarray::Array1::<f64>::ones(1000), [100]);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let y = x.map_blocks(move |block: ndarray::ArrayViewD<'_, f64>, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            block.mapv(|v| v + 1.0)
        });
        assert_eq!(y.sum(..).compute().unwrap()[[]], 2000.0);
        y.compute().unwrap();
        y.compute().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 20);
        assert_eq!(cache.bytes(), 8000 + 8);
        drop((x, y));
        array::ones::<f64>([1], [1]).sum(..).compute().unwrap();
        assert_eq!(cache.bytes(), 8, "the new sum");
    });
}

#[test]
fn results_have_the_same_bits() {
    let run = || {
        let x: Array<f32> = array::random::Generator::new(7).random([60, 50], [7, 50]);
        let y = (&x - &x.mean(over(0).keepdims())).rechunk([20, 9]);
        let product = y.matmul(&y.transpose());
        let parts = (y.compute().unwrap(), product.compute().unwrap());
        let sliced = product.slice(s![3..30;7, ..;-2]).compute().unwrap();
        assert_eq!(parts.1.slice(s![3..30;7, ..;-2]).into_dyn(), sliced);
        (parts, sliced, y.std(1).compute().unwrap())
    };
    let plain = run();
    for optimize in [true, false] {
        let cached = Config::new().with_optimize(optimize);
        with_cache(1 << 20, 100_000_139, |cache| {
            cached.scope(|| (assert_eq!(run(), plain), assert_eq!(run(), plain)));
            assert!(cache.hits() > 20);
        });
    }
}

#[test]
fn threads_share_a_cache() {
    let (source, x) = Counted::array(&[64, 64], &[8, 8]);
    let expected = numbers([64, 64]) * 2.0;
    with_cache(8_000, 100_000_141, |cache| {
        let y = &x * 2.0;
        let config = Config::new().with_cache(cache).with_memory_limit(100_000_141);
        std::thread::scope(|s| {
            for k in 0..4_usize {
                let (y, expected, config) = (&y, &expected, &config);
                s.spawn(move || {
                    for i in 0..40_usize {
                        let (a, b) = ((i * 7 + k * 3) % 50, (i * 11 + k * 5) % 50);
                        let part = || y.slice(s![a..a + 9, b..b + 9]).compute().unwrap();
                        assert_eq!(
                            config.scope(part),
                            expected.slice(s![a..a + 9, b..b + 9]).into_dyn()
                        );
                    }
                });
            }
        });
        assert!(cache.bytes() <= 8_000 && cache.hits() > 0);
        assert!(source.take() > 0);
    });
}

#[test]
fn an_inner_scope_turns_it_off() {
    with_cache(1 << 20, 100_000_147, |cache| {
        let (_, x) = Counted::array(&[10], &[5]);
        Config::new().with_cache(&Cache::new(0)).scope(|| x.compute().unwrap());
        assert_eq!((cache.bytes(), Config::current().unwrap().cache()), (0, Some(cache)));
    });
}
