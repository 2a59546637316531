//! Whatever goes wrong, wherever it does: the error says what, old files stay whole, nothing temporary is left, and what
//! runs next succeeds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use dask_rs::array::{AnyElement, AnyViewMut, DType, Source, Store, ZarrWrite, from_source};
use dask_rs::prelude::*;
use dask_rs::{Call, ExecutorKind};
use ndarray::{Array2, ArrayD};

use crate::child::{self, Case, kill_child, output_of_child, wait_to_be_killed};
use crate::trouble::{Script, Trouble, check_error, names, threads_and_files};

const N: usize = 96;
/// Along each axis; 8 KiB.
const CHUNK: usize = 32;
const N_BLOCKS: usize = 9;

const TROUBLES: [Trouble; 4] =
    [Trouble::Fails, Trouble::IsShort, Trouble::Panics, Trouble::Cancels];

/// The value at a place of the array number `of`.
fn value(of: u64, i: u64, j: u64) -> f64 {
    ((i * 31 + j * 17 + of) % 101) as f64 / 7.0 - 5.0
}

fn whole(of: u64) -> ArrayD<f64> {
    Array2::from_shape_fn((N, N), |(i, j)| value(of, i as u64, j as u64)).into_dyn()
}

/// Storage that does what the script says.
#[derive(Debug)]
struct Scripted(Arc<Script>);

impl Source for Scripted {
    fn name(&self) -> String {
        "storage of the test".into()
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn shape(&self) -> &[u64] {
        &[N as u64; 2]
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        let failed = |kind: io::ErrorKind| {
            let path = PathBuf::from("storage of the test");
            Err(Error::Io { call: Call::new("read"), path, source: Arc::new(kind.into()) })
        };
        match self.0.trouble(&self.0.n_reads) {
            Some(Trouble::Fails) => return failed(io::ErrorKind::PermissionDenied),
            Some(Trouble::IsShort) => return failed(io::ErrorKind::UnexpectedEof),
            _ => {}
        }
        let mut out = f64::from_any_view(out).expect("the dtype is that of the source");
        for (place, out) in out.indexed_iter_mut() {
            *out = value(1, start[0] + place[0] as u64, start[1] + place[1] as u64);
        }
        Ok(())
    }
}

/// Array number 1, whose blocks go through a function that does what the script says.
fn scripted() -> (Arc<Script>, Array<f64>) {
    let script = Arc::new(Script::default());
    let source = Arc::new(Scripted(Arc::clone(&script)));
    let read: Array<f64> = from_source(source as Arc<dyn Source>, [CHUNK as u64; 2]).cast_to();
    let of_tasks = Arc::clone(&script);
    let x = read.map_blocks(move |block, _| {
        match of_tasks.trouble(&of_tasks.n_tasks) {
            Some(Trouble::Panics) => panic!("on purpose"),
            Some(Trouble::Cancels) => of_tasks.cancel(),
            Some(Trouble::IsKilled) => wait_to_be_killed(),
            _ => {}
        }
        block.to_owned()
    });
    (script, x)
}

/// Five blocks fit, and all nine have to be held.
fn tight(dir: &Path, executor: ExecutorKind) -> Config {
    let config = Config::new().with_memory_limit(44 << 10).with_threads(2);
    config.with_spill_directory(dir).with_executor(executor)
}

/// Runs a case in a process of its own, where nobody else opens files.
#[track_caller]
fn run_alone(case: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = output_of_child(module_path!(), case, 0, dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn trouble_at_any_task_leaves_nothing_behind() {
    run_alone("troubles");
}

fn troubles(dir: &Path) {
    for executor in [ExecutorKind::Serial, ExecutorKind::Seeded(5), ExecutorKind::Threaded] {
        tight(dir, executor).scope(|| {
            let (script, x) = scripted();
            let y = &x - x.mean(..);
            assert!(y.explain().unwrap().spilled_bytes() > Some(0));
            let expected = whole(1) - whole(1).mean().unwrap();
            let run = |trouble| dask_rs::compute_with(&y, &script.set(trouble));
            let good = run(None).unwrap();
            assert!((&good - &expected).mapv(f64::abs).sum() < 1e-8);
            let before = threads_and_files();
            for trouble in TROUBLES {
                for k in 0..N_BLOCKS {
                    check_error(
                        trouble,
                        &run(Some((trouble, k))).unwrap_err(),
                        &["storage of the test"],
                    );
                    assert!(names(dir).is_empty(), "{executor:?}, {trouble:?} at {k}");
                    assert_eq!(run(None).unwrap(), good, "{executor:?} after {trouble:?} at {k}");
                }
            }
            assert_eq!(threads_and_files(), before, "{executor:?}");
        });
    }
}

/// A file format, and how it is written and read.
#[derive(Clone, Copy, Debug)]
enum Format {
    Npy,
    NpyStack,
    Zarr,
    ZarrRegion,
}

const FORMATS: [Format; 4] = [Format::Npy, Format::NpyStack, Format::Zarr, Format::ZarrRegion];

impl Format {
    fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{self:?}"))
    }

    fn store(self, x: &Array<f64>, dir: &Path) -> Store {
        let path = self.path(dir);
        match self {
            Format::Npy => x.store_npy(path),
            Format::NpyStack => x.store_npy_stack(path, 0),
            Format::Zarr => x.store_zarr(path, ZarrWrite::new().overwrite()),
            Format::ZarrRegion => x.store_zarr_region(path, &[0..N as u64, 0..N as u64]),
        }
    }

    fn read(self, dir: &Path) -> ArrayD<f64> {
        let path = self.path(dir);
        let x: Array<f64> = match self {
            Format::Npy => array::open_npy(path),
            Format::NpyStack => array::from_npy_stack(path),
            Format::Zarr | Format::ZarrRegion => array::open_zarr(path),
        };
        x.compute().unwrap()
    }

    /// Puts array number 0 there, unless that is in the way of another one.
    fn write_old(self, dir: &Path) {
        let old = array::from_ndarray(whole(0), [CHUNK as u64; 2]);
        match self {
            Format::NpyStack => {}
            Format::ZarrRegion => old.to_zarr(self.path(dir)).unwrap(),
            _ => compute(self.store(&old, dir)).unwrap(),
        }
    }

    /// Array number 0 is there as it was, and nothing else.
    fn check_old(self, dir: &Path) {
        if matches!(self, Format::NpyStack) {
            assert!(names(dir).is_empty(), "{:?}", names(dir));
            return;
        }
        assert_eq!(names(dir), [format!("{self:?}")]);
        assert_eq!(self.read(dir), whole(0));
    }
}

#[test]
fn a_write_with_trouble_at_any_task_leaves_what_was_there() {
    run_alone("writes");
}

fn writes() {
    for format in FORMATS {
        let (dir, spilled) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = dir.path();
        format.write_old(dir);
        let (script, x) = scripted();
        for executor in [ExecutorKind::Serial, ExecutorKind::Threaded] {
            let config = tight(spilled.path(), executor).with_memory_limit(8 << 20);
            // The threads of the pool are there from here on.
            script.set(None);
            config.scope(|| x.compute()).unwrap();
            let before = threads_and_files();
            for trouble in TROUBLES {
                // A write that is cancelled when all blocks are made may be complete.
                for k in 0..N_BLOCKS - usize::from(trouble == Trouble::Cancels) {
                    let store = format.store(&x, dir);
                    let cancel = script.set(Some((trouble, k)));
                    let error = config.scope(|| cancel.scope(|| compute(store)));
                    check_error(trouble, &error.unwrap_err(), &["storage of the test"]);
                    format.check_old(dir);
                }
            }
            assert_eq!(threads_and_files(), before, "{format:?}, {executor:?}");
        }
        script.set(None);
        compute(format.store(&x, dir)).unwrap();
        assert_eq!(format.read(dir), whole(1));
    }
}

/// Writes array number 1 over what is there, and is killed after some blocks.
fn write_until_killed(format: Format, dir: &Path) {
    let (script, x) = scripted();
    script.set(Some((Trouble::IsKilled, 6)));
    // One task after the other, each of which writes what it has made.
    let serial = Config::new().with_executor(ExecutorKind::Serial);
    serial.scope(|| compute(format.store(&x, dir))).unwrap();
}

#[cfg(unix)]
#[test]
fn a_process_that_is_killed_while_it_writes_leaves_what_was_there() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        format.write_old(dir);
        let n_before = names(dir).len();
        let status = kill_child(module_path!(), &format!("kill {format:?}"), 0, dir);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        assert!(names(dir).len() > n_before, "{format:?}: it had no time to clean up");
        if n_before > 0 {
            assert_eq!(format.read(dir), whole(0));
        }
        // The next one who writes there does.
        let new = array::from_ndarray(whole(1), [CHUNK as u64; 2]);
        compute(format.store(&new, dir)).unwrap();
        assert_eq!(format.read(dir), whole(1));
        assert_eq!(names(dir), [format!("{format:?}")]);
    }
}

/// Is killed when blocks lie on disk.
fn spill_until_killed(dir: &Path) {
    let (script, x) = scripted();
    script.set(Some((Trouble::IsKilled, N_BLOCKS - 1)));
    tight(dir, ExecutorKind::Threaded).scope(|| (&x - x.mean(..)).compute()).unwrap();
}

#[cfg(unix)]
#[test]
fn what_a_process_that_is_killed_has_spilled_goes_with_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    kill_child(module_path!(), "kill spill", 0, dir.path());
    let left = names(dir.path());
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(names(&dir.path().join(&left[0])).len() > 1, "a lock and blocks");
    let (_, x) = scripted();
    let got = tight(dir.path(), ExecutorKind::Threaded).scope(|| (&x - x.mean(..)).compute());
    assert!((got.unwrap() - (whole(1) - whole(1).mean().unwrap())).mapv(f64::abs).sum() < 1e-8);
    assert!(names(dir.path()).is_empty());
}

/// Larger than what files may be: 512 KiB in chunks of 128.
fn large() -> Array<f64> {
    let x = array::arange(0.0, 65536.0, 1.0, 16384).reshape([256, 256]).rechunk([64, 256]);
    // Numbers that no codec makes small.
    x.map_blocks(|block, _| block.mapv(|v: f64| (v * 12.9898).sin() * 43_758.545_3))
}

/// Writes while files can't become large, in a process of which that is true.
fn write_to_full_disk(format: Format, dir: &Path) {
    let x = large();
    let store = match format {
        // The box is as large as the array that is there.
        Format::ZarrRegion => {
            large_zarr(dir);
            return;
        }
        _ => format.store(&x, dir),
    };
    check_full(&compute(store).unwrap_err(), &format.path(dir));
    format.check_old(dir);
}

fn large_zarr(dir: &Path) {
    // Metadata are small and fit.
    let path = dir.join("large.zarr");
    let (zeros, x): (Array<f64>, _) = (array::zeros([256, 256], [64, 256]), large());
    zeros.to_zarr(&path).unwrap();
    let error = x.to_zarr_region(&path, &[0..256, 0..256]).unwrap_err();
    check_full(&error, &path);
    let still: Array<f64> = array::open_zarr(&path);
    assert_eq!(still.abs().max(..).compute().unwrap()[[]], 0.0);
    fs::remove_dir_all(path).unwrap();
    Format::ZarrRegion.check_old(dir);
}

#[track_caller]
fn check_full(error: &Error, path: &Path) {
    let text = error.to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name) && text.contains("too large"), "{text}");
}

fn spill_to_full_disk(dir: &Path) {
    let x = large();
    let config = tight(dir, ExecutorKind::Threaded).with_memory_limit(420 << 10);
    let error = config.scope(|| (&x - x.mean(..)).compute()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Spill { action: "write", .. }), "{text}");
    assert!(text.contains("too large") && text.contains("faults.rs"), "{text}");
    assert!(names(dir).is_empty());
    // What fits does as before.
    let roomy = tight(dir, ExecutorKind::Threaded).with_memory_limit(8 << 20);
    roomy.scope(|| (&x - x.mean(..)).compute()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_leaves_what_was_there() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        format.write_old(dir.path());
        let case = format!("full {format:?}");
        let output = child::output_with_full_disk(module_path!(), &case, 100 << 10, dir.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        format.check_old(dir.path());
    }
    let dir = tempfile::tempdir().unwrap();
    let output = child::output_with_full_disk(module_path!(), "full spill", 100 << 10, dir.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Does one case, if this process is a child.
#[test]
fn child() {
    let Some(case) = Case::of_this_process() else { return };
    let format = |name: &str| {
        let found = FORMATS.into_iter().find(|format| format!("{format:?}") == name);
        found.unwrap_or_else(|| panic!("no format {name}"))
    };
    match case.name.split_once(' ') {
        None if case.name == "writes" => writes(),
        None => troubles(&case.dir),
        Some(("kill", "spill")) => spill_until_killed(&case.dir),
        Some(("kill", name)) => write_until_killed(format(name), &case.dir),
        Some(("full", "spill")) => spill_to_full_disk(&case.dir),
        Some((_, name)) => write_to_full_disk(format(name), &case.dir),
    }
}

#[test]
fn a_file_that_became_shorter_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    array::from_ndarray(whole(1), [CHUNK as u64; 2]).to_npy(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let x: Array<f64> = array::open_npy(&path).rechunk([CHUNK as u64; 2]);
    for len in [0, 100, 128 + 8 * N * CHUNK, 128 + 8 * N * CHUNK + 1, bytes.len() - 1] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len as u64).unwrap();
        let text = x.compute().unwrap_err().to_string();
        assert!(text.contains("x.npy") && text.contains("faults.rs"), "{len}: {text}");
        fs::write(&path, &bytes).unwrap();
        assert_eq!(x.compute().unwrap(), whole(1));
    }
}

/// Storage whose first read is not over before all others are.
#[derive(Debug, Default)]
struct Slow {
    n_begun: Mutex<usize>,
    has_read: Condvar,
    n_read: Mutex<usize>,
}

impl Source for Slow {
    fn name(&self) -> String {
        "slow storage".into()
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn shape(&self) -> &[u64] {
        &[N as u64; 2]
    }

    fn read(&self, start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        let is_first = {
            let mut n = self.n_begun.lock().unwrap();
            *n += 1;
            *n == 1
        };
        if is_first {
            let n_read = self.n_read.lock().unwrap();
            drop(self.has_read.wait_while(n_read, |n| *n < N_BLOCKS - 1).unwrap());
        }
        let mut out = f64::from_any_view(out).expect("the dtype is that of the source");
        for (place, out) in out.indexed_iter_mut() {
            *out = value(1, start[0] + place[0] as u64, start[1] + place[1] as u64);
        }
        *self.n_read.lock().unwrap() += 1;
        self.has_read.notify_all();
        Ok(())
    }
}

#[test]
fn a_slow_read_holds_up_nobody_else() {
    let slow: Array<f64> = from_source(Arc::new(Slow::default()), [CHUNK as u64; 2]).cast_to();
    let threaded = Config::new().with_threads(2).with_executor(ExecutorKind::Threaded);
    let (sum, largest) = threaded.scope(|| compute((slow.sum(0), slow.max(..)))).unwrap();
    assert!((sum - whole(1).sum_axis(ndarray::Axis(0))).mapv(f64::abs).sum() < 1e-8);
    assert_eq!(largest[[]], whole(1).iter().copied().fold(f64::MIN, f64::max));
}
