//! One case in a process of its own, whose peak memory its parent asks for.
#![allow(dead_code, reason = "each program uses a part")]
#![allow(unreachable_pub, reason = "the module is compiled into several programs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a child is told: the case, the limit and the directory.
const ENV: [&str; 3] = ["DASK_RS_PEAK_CASE", "DASK_RS_PEAK_LIMIT", "DASK_RS_PEAK_DIR"];

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
    /// A digest of its results, if it has told one.
    pub digest: Option<String>,
}

/// Tells the parent.
pub fn report(peak: u64, digest: &str) {
    eprintln!("peak {peak}\ndigest {digest}");
}

/// How a process ends in which the test `child` of the calling `module` is told this case.
pub fn output_of_child(module: &str, case: &str, limit: u64, dir: &Path) -> Output {
    let name =
        format!("{}::child", module.split_once("::").expect("a module of the test binary").1);
    Command::new(std::env::current_exe().expect("the path of this program"))
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ENV[0], case)
        .env(ENV[1], limit.to_string())
        .env(ENV[2], dir)
        .output()
        .expect("a child starts")
}

/// What such a process reports.
pub fn run_child(module: &str, case: &str, limit: u64, dir: &Path) -> Report {
    let output = output_of_child(module, case, limit, dir);
    let text = String::from_utf8_lossy(&output.stderr);
    let told =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let peak = told("peak").and_then(|peak| peak.parse().ok());
    let peak = peak.unwrap_or_else(|| panic!("{case}: {}\n{text}", output.status));
    Report { peak, digest: told("digest").map(str::to_owned).filter(|digest| !digest.is_empty()) }
}
