//! What a browser makes of a report and of the live page: headless Chromium draws them, if this machine has it.
//!
//! Each test takes a picture too. With `DASK_RS_SCREENSHOTS` they stay in that directory, to be looked at.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::channel;

#[cfg(feature = "diagnostics")]
use dask_rs::diagnostics::Dashboard;
use dask_rs::diagnostics::Profile;
use dask_rs::prelude::*;

use super::{more_than_fits, named};

/// The program, by `DASK_RS_CHROMIUM` or on the path.
fn chromium() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("DASK_RS_CHROMIUM") {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut programs =
        std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name)));
    programs.find(|program| program.is_file())
}

/// A page as it was when it had been shown for some seconds of its own time.
struct Shown {
    dom: String,
    picture: Picture,
}

/// Pixels of some bytes each, the first three of which are red, green and blue.
struct Picture {
    size: (u32, u32),
    pixel_bytes: usize,
    bytes: Vec<u8>,
}

impl Picture {
    fn read(path: &Path) -> Picture {
        let file = BufReader::new(fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(frame.bit_depth, png::BitDepth::Eight);
        let pixel_bytes = frame.color_type.samples();
        Picture { size: (frame.width, frame.height), pixel_bytes, bytes }
    }
}

/// One browser at a time: they are heavy.
static BROWSER: Mutex<()> = Mutex::new(());

/// Shows a page; `None` if there is no browser.
fn show(url: &str, name: &str) -> Option<Shown> {
    let Some(program) = chromium() else {
        eprintln!("skipped: this machine has no Chromium");
        return None;
    };
    let _one = BROWSER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let png = dir.path().join("page.png");
    let output = Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
        ])
        .args(["--window-size=1280,1500", "--virtual-time-budget=3000", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("--screenshot={}", png.display()))
        .args(["--dump-dom", url])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(!log.contains("CONSOLE"), "the page complains: {log}");
    if let Some(kept) = std::env::var_os("DASK_RS_SCREENSHOTS") {
        fs::copy(&png, Path::new(&kept).join(format!("{name}.png"))).unwrap();
    }
    Some(Shown { dom: String::from_utf8(output.stdout).unwrap(), picture: Picture::read(&png) })
}

impl Shown {
    /// What is in the element of this id, as markup.
    fn inside(&self, id: &str) -> &str {
        let start = self.dom.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
        let rest = &self.dom[start..];
        let open = rest.find('>').unwrap() + 1;
        let tag = self.dom[..start].rsplit('<').next().unwrap().split(' ').next().unwrap();
        &rest[open..rest.find(&format!("</{tag}>")).unwrap()]
    }

    /// What a canvas says that it shows.
    fn label(&self, id: &str) -> &str {
        let rest = &self.dom[self.dom.find(&format!("id=\"{id}\"")).unwrap()..];
        let tag = &rest[..rest.find('>').unwrap()];
        tag.split("aria-label=\"").nth(1).unwrap_or("").split('"').next().unwrap()
    }

    fn check_picture(&self) {
        let pixels = || self.picture.bytes.chunks_exact(self.picture.pixel_bytes);
        let n_of = |color: [u8; 3]| pixels().filter(|pixel| pixel[..3] == color).count();
        assert_eq!(self.picture.size, (1280, 1500));
        // Panels, and the first operation: its bars in the stream and in the table.
        assert!(n_of([0xff; 3]) > 100_000 && n_of([0x42, 0x69, 0xd0]) > 300);
    }
}

fn url_of(path: &Path) -> String {
    format!("file://{}", path.display())
}

#[test]
fn a_report_shows_what_ran() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.html");
    let profile = Profile::new();
    let (result, config) = more_than_fits();
    profile.scope(|| config.scope(|| result.compute())).unwrap();
    profile.to_html(&path).unwrap();
    let Some(shown) = show(&url_of(&path), "report") else { return };
    assert_eq!(shown.inside("state"), "finished");
    let ops = shown.inside("ops");
    let operations = profile.operations();
    assert_eq!(ops.matches("class=\"name\"").count(), operations.len(), "{ops}");
    for op in &operations {
        let name = op.op.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        assert!(ops.contains(&name), "{name} is not in {ops}");
    }
    assert!(ops.contains("write to disk"), "some blocks had to leave");
    assert!(shown.inside("runs").contains("browser.rs"), "the user's line");
    assert!(shown.inside("picture").contains("<svg"));
    let (n_lanes, label) = (profile.lanes().len(), shown.label("stream"));
    assert!(label.ends_with(&format!("bars on {n_lanes} lanes")), "{label}");
    assert!(!label.starts_with("0 "), "{label}");
    assert!(shown.label("memory").contains("of 256 KiB"), "{}", shown.label("memory"));
    shown.check_picture();
}

#[test]
fn a_report_that_was_torn_is_shown_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.html");
    let profile = std::sync::Arc::new(Profile::create(&path).unwrap());
    let written = std::sync::Arc::clone(&profile);
    let name = "</script><img src=x onerror=alert(1)>";
    let stuck = named(name).map_blocks(move |block, _| {
        written.flush().unwrap();
        block.to_owned()
    });
    profile.scope(|| stuck.compute()).unwrap();
    // As a process that was killed in the middle of a write would leave it.
    let html = fs::read_to_string(&path).unwrap();
    let torn = format!("{html}<script type=\"application/json\" class=\"part\">{{\"now\":12,\"li");
    fs::write(&path, torn).unwrap();
    let Some(shown) = show(&url_of(&path), "torn") else { return };
    assert_eq!(shown.inside("state"), "not finished");
    assert!(shown.inside("ops").contains("onerror=alert(1)"), "a name is text");
    assert!(!shown.inside("ops").contains("<img"));
}

/// The page shows all runs of its process, so this test is alone in one.
#[cfg(feature = "diagnostics")]
#[test]
fn the_live_page_shows_what_runs() {
    const IS_ALONE: &str = "DASK_RS_TEST_IS_ALONE";
    if std::env::var_os(IS_ALONE).is_some() {
        return the_live_page_alone();
    }
    let test = "browser::the_live_page_shows_what_runs";
    let program = std::env::current_exe().unwrap();
    let mut alone = Command::new(program);
    let output =
        alone.args([test, "--exact", "--nocapture"]).env(IS_ALONE, "yes").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    eprintln!("{text}");
}

#[cfg(feature = "diagnostics")]
fn the_live_page_alone() {
    let dashboard = Dashboard::bind("127.0.0.1:0").unwrap();
    let ((enter, entered), (leave, left)) = (channel(), channel());
    let ends = Mutex::new((enter, left));
    let x: Array<f64> = array::ones([3000], [1000]);
    let slow = x.map_blocks(move |block, info| {
        if info.block == [1] {
            let ends = ends.lock().unwrap();
            ends.0.send(()).unwrap();
            ends.1.recv().unwrap();
        }
        block.to_owned()
    });
    let url = dashboard.url();
    // If anything is wrong here, nobody holds up the task any more.
    std::thread::scope(move |scope| {
        let run = scope.spawn(move || slow.compute());
        entered.recv().unwrap();
        let shown = show(url, "live");
        leave.send(()).unwrap();
        run.join().unwrap().unwrap();
        let Some(shown) = shown else { return };
        assert_eq!(shown.inside("state"), "running");
        assert!(shown.dom.contains("<title>running"));
        let cards = shown.inside("cards");
        assert!(cards.contains("of 3") || cards.contains("of 6"), "{cards}");
        assert!(shown.inside("picture").contains("<svg"), "the graph of what runs");
        assert!(shown.label("stream").contains(" bars on "), "{}", shown.label("stream"));
    });
    let Some(shown) = show(dashboard.url(), "idle") else { return };
    assert_eq!(shown.inside("state"), "idle");
    shown.check_picture();
}
