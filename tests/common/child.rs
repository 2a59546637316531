//! One case in a process of its own, whose peak memory its parent asks for.
#![allow(unreachable_pub, reason = "the module is compiled into several programs")]

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The peak that the test `child` of the calling `module` printed in a process that was told this case.
pub fn peak_of_child(module: &str, case: &str, limit: u64, dir: &Path) -> u64 {
    let name =
        format!("{}::child", module.split_once("::").expect("a module of the test binary").1);
    let output = Command::new(std::env::current_exe().expect("the path of this program"))
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ENV[0], case)
        .env(ENV[1], limit.to_string())
        .env(ENV[2], dir)
        .output()
        .expect("a child starts");
    let text = String::from_utf8_lossy(&output.stderr);
    let peak = text.lines().find_map(|line| line.strip_prefix("peak ")?.parse().ok());
    peak.unwrap_or_else(|| panic!("{case}: {}\n{text}", output.status))
}
