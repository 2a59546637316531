//! Cases in processes of their own, whose memory their parent asks for, or which it kills.
#![allow(dead_code, reason = "each program uses a part")]
#![allow(unreachable_pub, reason = "the module is compiled into several programs")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use crate::common::{PeakMemory, mib};

/// What a child is told: the case, the limit and the directory.
const ENV: [&str; 3] = ["DASK_RS_PEAK_CASE", "DASK_RS_PEAK_LIMIT", "DASK_RS_PEAK_DIR"];
/// More memory than any case has data.
const NO_LIMIT: u64 = 1 << 36;
/// In place of a factor, for a run without a limit.
pub const WHOLE: u64 = 0;
/// What a child says when it is to be killed.
const READY: &str = "ready to be killed";

/// What a child has to do.
pub struct Case {
    pub name: String,
    pub limit: u64,
    pub dir: PathBuf,
}

impl Case {
    /// The case of this process, if it is a child.
    pub fn of_this_process() -> Option<Case> {
        let [Ok(name), Ok(limit), Ok(dir)] = ENV.map(std::env::var) else { return None };
        Some(Case { name, limit: limit.parse().expect("a number of bytes"), dir: dir.into() })
    }
}

/// What a child found out.
pub struct Report {
    /// The bytes of memory that it used, beside those that it had before.
    pub peak: u64,
    /// The bytes that it read and wrote, where the system tells.
    pub moved: u64,
    /// A digest of its results, if it has told one.
    pub digest: Option<String>,
}

/// Says that this process may be killed now, and waits for that.
pub fn wait_to_be_killed() -> ! {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{READY}").and_then(|()| out.flush());
    loop {
        std::thread::park();
    }
}

/// The arguments for which this program runs the test `child` of the calling `module` and nothing else.
fn args(module: &str) -> [String; 4] {
    let (_, path) = module.split_once("::").expect("a module of the test binary");
    [format!("{path}::child"), "--exact".into(), "--nocapture".into(), "--test-threads=1".into()]
}

fn command(program: &Path, module: &str, case: &str, limit: u64, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(args(module));
    command.env(ENV[0], case).env(ENV[1], limit.to_string()).env(ENV[2], dir);
    command
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("the path of this program")
}

/// How a process ends in which the test `child` of the calling `module` is told this case.
pub fn output_of_child(module: &str, case: &str, limit: u64, dir: &Path) -> Output {
    command(&this_program(), module, case, limit, dir).output().expect("a child starts")
}

/// How such a process ends in which no file can grow beyond `max` bytes, as if the disk were full then.
#[cfg(unix)]
pub fn output_with_full_disk(module: &str, case: &str, max: u64, dir: &Path) -> Output {
    // The signal would end the process; when it is ignored, writes fail. Both outlive the exec.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", max / 512);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(this_program()).args(args(module));
    shell.env(ENV[0], case).env(ENV[1], max.to_string()).env(ENV[2], dir);
    shell.output().expect("a shell starts")
}

/// Runs such a process until it [waits to be killed](wait_to_be_killed), and kills it without a chance to clean up.
pub fn kill_child(module: &str, case: &str, limit: u64, dir: &Path) -> ExitStatus {
    let mut command = command(&this_program(), module, case, limit, dir);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child: Child = piped.spawn().expect("a child starts");
    let stdout = child.stdout.take().expect("its output is piped");
    let is_ready =
        BufReader::new(stdout).lines().any(|line| line.is_ok_and(|line| line.ends_with(READY)));
    if is_ready {
        child.kill().expect("the child waits");
        return child.wait().expect("the child was killed");
    }
    let mut text = String::new();
    let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut text));
    panic!("{case}: {}\n{text}", child.wait().expect("the child has ended"))
}

/// What such a process reports.
pub fn run_child(module: &str, case: &str, limit: u64, dir: &Path) -> Report {
    let output = output_of_child(module, case, limit, dir);
    let text = String::from_utf8_lossy(&output.stderr);
    let told =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let number = |name: &str| -> u64 {
        let number = told(name).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("{case}: {}\n{text}", output.status))
    };
    let digest = told("digest").map(str::to_owned).filter(|digest| !digest.is_empty());
    Report { peak: number("peak"), moved: number("moved"), digest }
}

/// The peak that a run under this limit may have: 15 % more.
fn allowed(limit: u64) -> u64 {
    limit + limit * 15 / 100
}

/// Cases of one module, whose peaks are compared with their limits and whose bits with each other.
pub struct Peaks {
    module: &'static str,
    dir: tempfile::TempDir,
    failures: Vec<String>,
}

impl Peaks {
    /// `None` if this system does not tell the peak of a process.
    pub fn of(module: &'static str) -> Option<Peaks> {
        if PeakMemory::start().bytes().is_none() {
            eprintln!("skipped: this system does not tell the peak of a process");
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        Some(Peaks { module, dir, failures: Vec::new() })
    }

    /// Runs a case over so many bytes under limits that are smaller by these factors, or under [none](WHOLE): no peak may be more
    /// than is [`allowed`], all have to report the same bits, and none may read and write more than the
    /// first one by over `passes` times the data.
    pub fn check(&mut self, case: &str, data_bytes: u64, factors: &[u64], passes: f64) {
        let mut first = None;
        for &factor in factors {
            let limit = if factor == WHOLE { NO_LIMIT } else { data_bytes / factor };
            let report = run_child(self.module, case, limit, self.dir.path());
            let Report { peak, moved, digest } = &report;
            let (moved_first, digest_first) = first.get_or_insert_with(|| (*moved, digest.clone()));
            let more = moved.saturating_sub(*moved_first) as f64 / data_bytes as f64;
            let name = if factor == WHOLE { "no limit".into() } else { mib(limit) };
            eprintln!("{case}, {name}: {}, moved {more:.2} times the data more", mib(*peak));
            if *peak > allowed(limit) {
                self.failures.push(format!("{case}: {} of {}", mib(*peak), mib(allowed(limit))));
            }
            if more > passes {
                self.failures
                    .push(format!("{case}: moved {more} times the data more for {passes}"));
            }
            if digest != digest_first {
                self.failures.push(format!("{case}: other bits under {name}"));
            }
        }
    }

    /// Where cases find their files and leave those that they make.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Fails if something was wrong, or if something temporary is left.
    pub fn finish(self) {
        assert!(self.failures.is_empty(), "{:#?}", self.failures);
        let names = fs::read_dir(self.dir.path()).expect("the directory");
        let names = names.map(|entry| entry.expect("an entry").file_name());
        let left: Vec<_> = names.filter(|name| is_temporary(&name.to_string_lossy())).collect();
        assert!(left.is_empty(), "left on disk: {left:?}");
    }
}

/// Whether only a run needs what has this name.
fn is_temporary(name: &str) -> bool {
    name.starts_with('.') || name.starts_with("dask-rs-spill-")
}

/// Measures what `run` uses after `warm_up`, which does the same in small: threads are no data, and neither are the pages of the
/// program. Reports that, with the digest that `run` returns.
pub fn measure(warm_up: impl FnOnce(), run: impl FnOnce() -> String) {
    warm_up();
    touch_program();
    let (memory, moved) = (PeakMemory::start(), moved_bytes());
    let digest = run();
    let peak = memory.bytes().expect("the parent has asked");
    eprintln!("peak {peak}\nmoved {}\ndigest {digest}", moved_bytes() - moved);
}

/// Has all pages of the program and its libraries in memory, so that those which the run is the first to need do not
/// count as its own.
fn touch_program() {
    const STEP: u64 = 4096;
    let (Ok(maps), Ok(memory)) =
        (fs::read_to_string("/proc/self/maps"), fs::File::open("/proc/self/mem"))
    else {
        return;
    };
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(access), Some(path)) = (fields.next(), fields.next(), fields.nth(3))
        else {
            continue;
        };
        let ends = range
            .split_once('-')
            .map(|(start, end)| [start, end].map(|end| u64::from_str_radix(end, 16).unwrap_or(0)));
        let Some([start, end]) = ends.filter(|_| path.starts_with('/') && access.starts_with('r'))
        else {
            continue;
        };
        for place in (start..end).step_by(STEP as usize) {
            #[cfg(unix)]
            let _ = std::os::unix::fs::FileExt::read_at(&memory, &mut [0], place);
        }
    }
}

/// The bytes that this process has read and written by now; 0 where the system does not tell.
fn moved_bytes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let number = |line: &str| line.split_once(": ")?.1.parse::<u64>().ok();
    let moved = io.lines().filter(|line| line.starts_with("rchar") || line.starts_with("wchar"));
    moved.filter_map(number).sum()
}

/// Numbers, mixed into one.
pub fn digest(bits: impl IntoIterator<Item = u64>) -> String {
    let mix = |mixed: u64, bits: u64| (mixed ^ bits).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", bits.into_iter().fold(0, mix))
}
