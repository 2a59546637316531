//! Rules about the source text that the compiler does not check.
//!
//! Who may import whom is in section 3 of `ARCHITECTURE.md`; a line that breaks it is named here.

use std::fs;
use std::path::{Path, PathBuf};

/// What code below a path may name of this crate. The longest path that fits decides.
///
/// `None` is no restriction: the doors and the handles, which everything else is made for.
const MAY_USE: &[(&str, Option<&[&str]>)] = &[
    // Leaves.
    ("error", Some(&[])),
    ("bytes", Some(&[])),
    ("memory", Some(&[])),
    ("atomic", Some(&["error"])),
    ("storage", Some(&["atomic", "error"])),
    ("scratch", Some(&[])),
    ("function", Some(&["error"])),
    // Tasks that come one by one: the decisions alone.
    ("client::state", Some(&[])),
    ("observe", Some(&["error"])),
    ("cache", Some(&["error", "graph", "keep"])),
    ("config", Some(&["error", "bytes", "cache", "observe"])),
    // What is to be done, as data; then who does it. Neither knows what the blocks hold.
    ("graph", Some(&["error", "memory"])),
    ("keep", Some(&["error", "graph", "memory", "scratch"])),
    ("sched", Some(&["bytes", "config", "error", "graph", "keep", "memory", "observe"])),
    // The same layers on other processes. What is decoded is known to the registry alone.
    ("dist", Some(&["config", "error", "graph", "memory", "observe", "registry", "sched"])),
    // Integers only.
    ("array::chunks", Some(&["error", "bytes"])),
    // What tasks do. No plans, no expressions.
    (
        "array::kernels",
        Some(&[
            "array::any",
            "array::chunk",
            "array::chunks",
            "array::dtype",
            "array::io",
            "error",
            "graph",
            "keep",
            "memory",
        ]),
    ),
    ("array::dtype", Some(&["array::any", "array::io", "array::kernels", "error"])),
    // Formats. No lazy arrays: `array::files` makes these.
    (
        "array::io",
        Some(&["array::any", "array::chunks", "array::dtype", "atomic", "error", "storage"]),
    ),
    ("array::meta", Some(&["array::chunks", "array::dtype"])),
    // Plans: what there is to rewrite, the rewriting, and what becomes of it.
    ("array::op", Some(&PLAN)),
    ("array::rules", Some(&PLAN)),
    ("array::lower", Some(&PLAN)),
    (
        "array::cached",
        Some(&[
            "array::chunk",
            "array::chunks",
            "array::dtype",
            "array::io",
            "array::meta",
            "array::op",
            "cache",
            "error",
            "graph",
        ]),
    ),
    ("array::show", Some(&PLAN)),
    // Expressions, and the functions that make them. Only `canonical` is used of the rules.
    ("array::expr", Some(&["array::chunks", "array::meta", "array::op", "error", "graph"])),
    (
        "array::ops",
        Some(&[
            "array::args",
            "array::chunks",
            "array::dtype",
            "array::expr",
            "array::io",
            "array::kernels",
            "array::meta",
            "array::op",
            "array::rules::canonical",
            "config",
            "error",
            "graph::AxisMap",
            "graph::BlockMap",
            "graph::Kernel",
        ]),
    ),
    // Frames, in the same order: planners, kernels, formats, plans, expressions, functions.
    ("frame::partitions", Some(&["error"])),
    ("frame::interop", Some(&[])),
    (
        "frame::expr",
        Some(&[
            "error",
            "frame::args",
            "frame::expr",
            "frame::io::Condition",
            "frame::io::Comparison",
            "frame::kernels",
        ]),
    ),
    (
        "frame::kernels",
        Some(&[
            "atomic",
            "error",
            "frame::expr",
            "frame::interop",
            "frame::io",
            "frame::op::MapPartitions",
            "frame::partition",
            "frame::partitions",
            "frame::show::schema_text",
            "graph",
            "scratch",
        ]),
    ),
    (
        "frame::io",
        Some(&[
            "atomic",
            "bytes",
            "error",
            "frame::interop",
            "frame::show::schema_text",
            "storage",
        ]),
    ),
    ("frame::op", Some(&FRAME_PLAN)),
    ("frame::layout", Some(&FRAME_PLAN)),
    ("frame::rules", Some(&FRAME_PLAN)),
    ("frame::lower", Some(&FRAME_PLAN)),
    ("frame::show", Some(&FRAME_PLAN)),
    (
        "frame::cached",
        Some(&[
            "cache",
            "compute::Collector",
            "error",
            "frame::expr",
            "frame::io",
            "frame::layout",
            "frame::lower",
            "frame::op",
            "frame::partition",
            "graph",
            "keep",
        ]),
    ),
    (
        "frame::ops",
        Some(&[
            "error",
            "frame::expr",
            "frame::io",
            "frame::kernels",
            "frame::op",
            "frame::partitions",
            "frame::show::schema_text",
        ]),
    ),
    ("", None),
];

const FRAME_PLAN: [&str; 11] = [
    "bytes",
    "error",
    "frame::col",
    "frame::expr",
    "frame::io",
    "frame::kernels",
    "frame::layout",
    "frame::op",
    "frame::partitions",
    "frame::show",
    "graph",
];

const PLAN: [&str; 11] = [
    "array::chunks",
    "array::dtype",
    "array::io",
    "array::kernels",
    "array::meta",
    "array::op",
    "array::show",
    "bytes",
    "error",
    "graph",
    "keep",
];

#[test]
fn imports_follow_the_arrows() {
    let mut wrong = Vec::new();
    for file in sources() {
        let of = module_path(&file.path);
        let (folder, allowed) = rule_of(&of);
        let Some(allowed) = allowed else { continue };
        for used in used_paths(&file.code(), &of) {
            let is_own = is_below(&used, folder) || is_below(folder, &used);
            if !is_own && !allowed.iter().any(|path| is_below(&used, path)) {
                wrong.push(format!("{}: `{folder}` must not use `{used}`", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_begins_with_its_purpose() {
    let missing: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.path)
        .collect();
    assert!(missing.is_empty(), "without a `//!` line at the top: {missing:?}");
}

#[test]
fn nothing_is_left_to_do_in_code() {
    let mut found = Vec::new();
    for file in sources() {
        for (number, line) in file.text.lines().enumerate() {
            for word in ["dbg!", "todo!", "unimplemented!", "#[ignore"] {
                if without_comment(line).contains(word) {
                    found.push(format!("{}:{}: {word}", file.path.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A rule that no list names would never run, and nothing else would notice.
#[test]
fn every_rule_is_registered() {
    let folder = Path::new("array/rules");
    let lists = fs::read_to_string(root().join(folder).join("mod.rs")).expect("the rules");
    let (mut n_rules, mut unregistered) = (0, Vec::new());
    for file in sources().into_iter().filter(|file| file.path.parent() == Some(folder)) {
        let name = file.path.file_stem().expect("a name").to_string_lossy().into_owned();
        for line in file.code().lines() {
            let Some(rule) = line.strip_prefix("impl Rule<ArrayOp> for ") else { continue };
            let rule = rule.trim_end_matches(" {");
            n_rules += 1;
            if !lists.contains(&format!("&{name}::{rule},"))
                && !lists.contains(&format!("&{name}::{rule}]"))
            {
                unregistered.push(format!("{name}::{rule}"));
            }
        }
    }
    assert!(n_rules > 5, "only {n_rules} rules were found");
    assert!(unregistered.is_empty(), "in no list of rules/mod.rs: {unregistered:?}");
}

#[test]
fn use_trees_are_read() {
    let code =
        "use super::{a::{B, c::D}, e};\npub(crate) use crate::f::g;\nlet x = crate::h::new();";
    let used = used_paths(code, "m::n");
    assert_eq!(used, ["m::a::B", "m::a::c::D", "m::e", "f::g", "h::new"]);
    assert_eq!(rule_of("array::chunks::reshape::plan").0, "array::chunks");
    assert_eq!(rule_of("array::handle").0, "");
}

struct Source {
    /// Below `src/`.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The text without comments and without the tests at its end.
    fn code(&self) -> String {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines: Vec<&str> = self.text[..end].lines().map(without_comment).collect();
        lines.join("\n")
    }
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All source files, without those that hold nothing but tests.
fn sources() -> Vec<Source> {
    const TESTS: [&str; 5] = ["fixtures", "golden", "test_graphs", "testing", "tests"];
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if TESTS.contains(&stem.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let path = path.strip_prefix(root()).expect("it was found below").to_path_buf();
                files.push(Source { path, text });
            }
        }
    }
    assert!(files.len() > 50, "only {} source files were found", files.len());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// `array::chunks` for `array/chunks/mod.rs` and for `array/chunks.rs`.
fn module_path(file: &Path) -> String {
    let path = file.with_extension("").to_string_lossy().replace(['/', '\\'], "::");
    let path = path.strip_suffix("::mod").unwrap_or(&path);
    if path == "lib" { String::new() } else { path.to_string() }
}

fn rule_of(module: &str) -> (&'static str, Option<&'static [&'static str]>) {
    let fitting = MAY_USE.iter().filter(|(path, _)| is_below(module, path));
    *fitting.max_by_key(|(path, _)| path.len()).expect("the last rule fits all")
}

/// Whether `path` is `folder` or something in it.
fn is_below(path: &str, folder: &str) -> bool {
    match path.strip_prefix(folder) {
        Some(rest) => folder.is_empty() || rest.is_empty() || rest.starts_with("::"),
        None => false,
    }
}

/// What the code names of this crate, in `use` lines and elsewhere, as paths from its root.
fn used_paths(code: &str, module: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (start, anchor) in anchors(code) {
        let tree = &code[start + anchor.len()..];
        let mut base: Vec<&str> = match anchor {
            "crate::" => Vec::new(),
            _ => parent(module),
        };
        let mut tree = tree;
        while let Some(rest) = tree.strip_prefix("super::") {
            base.pop();
            tree = rest;
        }
        expand(tree, &base.join("::"), &mut used);
    }
    used
}

fn parent(module: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = module.split("::").collect();
    parts.pop();
    parts
}

/// Where paths of this crate begin: at a `crate::` or `super::` that is the first part of a path.
fn anchors(code: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for anchor in ["crate::", "super::"] {
        for (start, _) in code.match_indices(anchor) {
            let before = code[..start].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || "_$:".contains(c)) {
                found.push((start, anchor));
            }
        }
    }
    found.sort_unstable();
    found
}

/// The paths at the start of `tree`, which is what follows `base` in the code; returns the rest.
fn expand<'a>(tree: &'a str, base: &str, used: &mut Vec<String>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            match rest.strip_prefix('}') {
                Some(rest) => return rest,
                None if rest.is_empty() => return rest,
                None => rest = expand(rest, base, used),
            }
        }
    }
    let end = tree.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    let path = match (base.is_empty(), name) {
        (_, "" | "self") => base.to_string(),
        (true, name) => name.to_string(),
        (false, name) => format!("{base}::{name}"),
    };
    match rest.strip_prefix("::") {
        Some(rest) => expand(rest, &path, used),
        None => {
            used.push(path);
            // Past a `*`, or an `as` with its name.
            rest.find([',', '}', ';']).map_or("", |end| &rest[end..])
        }
    }
}
