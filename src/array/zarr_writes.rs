//! Which writes of Zarr arrays may be parts of one run.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expr::Node;
use super::io::ZarrPlace;
use super::op::{ArrayOp, ReadFrom};
use crate::error::{Call, Error, Result};

/// The arrays that a run is going to write.
#[derive(Debug, Default)]
pub(crate) struct ZarrWrites(Vec<ZarrWrite>);

#[derive(Debug)]
struct ZarrWrite {
    call: Call,
    path: PathBuf,
    place: ZarrPlace,
    extent: Extent,
}

/// What of an array a write touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of one that is not there yet.
    New,
    /// All of one that may be there.
    Whole,
    /// Storage units that are there, whole.
    Region(Vec<Range<u64>>),
    /// What is behind the end, and the shape. What is before the end stays as it is.
    Behind,
}

impl ZarrWrites {
    /// Takes note of one more.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if another one of this run writes the same chunks, or the same metadata: they would be
    /// planned with the array as it is before either.
    pub(super) fn add(&mut self, call: Call, path: &Path, extent: Extent) -> Result<()> {
        let place = ZarrPlace::of(call, path)?;
        if self.0.iter().any(|other| other.place == place && overlap(&other.extent, &extent)) {
            let problem = "which another write of the same run changes";
            return Err(refused(
                call,
                path,
                problem,
                "one write after the other, each computed alone",
            ));
        }
        self.0.push(ZarrWrite { call, path: path.to_path_buf(), place, extent });
        Ok(())
    }

    /// Checks that nothing is replaced that is still to be read. On this machine chunks appear when all are computed; in
    /// stores each appears at once.
    pub(crate) fn check(&self, roots: &[Arc<Node>]) -> Result<()> {
        let is_replaced = |write: &&ZarrWrite| {
            write.place.is_remote && matches!(write.extent, Extent::Whole | Extent::Region(_))
        };
        let replaced: Vec<&ZarrWrite> = self.0.iter().filter(is_replaced).collect();
        let Some(first) = replaced.first() else { return Ok(()) };
        for name in sources(roots) {
            // Zarr arrays are called as their paths. What has another name is none.
            let Ok(place) = ZarrPlace::of(first.call, Path::new(&name)) else { continue };
            if let Some(write) = replaced.iter().find(|write| write.place == place) {
                let problem = "which the same run reads: in a store chunks are replaced one by one";
                let expected = "another path, or what is read persisted before";
                return Err(refused(write.call, &write.path, problem, expected));
            }
        }
        Ok(())
    }
}

fn overlap(a: &Extent, b: &Extent) -> bool {
    let (Extent::Region(a), Extent::Region(b)) = (a, b) else { return true };
    a.iter().zip(b).all(|(a, b)| a.start.max(b.start) < a.end.min(b.end))
}

fn refused(call: Call, path: &Path, problem: &str, expected: &'static str) -> Error {
    let got = format!("{}, {problem}", path.display());
    Error::InvalidArgument { call, argument: "path", got, expected }
}

/// The names of all sources below these expressions that are URLs.
fn sources(roots: &[Arc<Node>]) -> HashSet<String> {
    let mut names = HashSet::new();
    let mut seen = HashSet::new();
    let mut stack: Vec<&Arc<Node>> = roots.iter().collect();
    while let Some(node) = stack.pop() {
        if !seen.insert(Arc::as_ptr(node)) {
            continue;
        }
        stack.extend(&node.inputs);
        if let ArrayOp::Read(read) = &node.op
            && let ReadFrom::Storage(source) = &read.from
        {
            names.insert(source.name());
        }
    }
    names.retain(|name| name.contains("://"));
    names
}
