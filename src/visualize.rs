//! Pictures of what would run, as files.

use std::path::Path;

use crate::atomic::write_file;
use crate::bytes::format_bytes;
use crate::compute::{Collection, NoWatch, Prepared, Session};
use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{Picture, TaskGraph, count_tasks};

/// Pictures with more tasks say nothing to anybody.
const TASKS_DRAWN_MAX: u64 = 500;
/// Layouts of more boxes than this take too long.
const LAYERS_DRAWN_MAX: usize = 1000;
/// How many steps finding out the number of tasks may take.
const COUNT_STEPS_MAX: u64 = 2_000_000;

/// Draws the layers of tasks that computing `collections` would run into a file.
///
/// The file's extension says what it becomes: `.svg`, for browsers, or `.dot`, for Graphviz. Sources
/// are green and results orange. Nothing is read or computed, and the file appears whole or not at all.
///
/// # Cost
/// O(layers), whatever the number of chunks.
///
/// # Errors
/// The first error that one of the handles carries; [`Error::InvalidArgument`] for another kind
/// of file, or for an SVG of more than 1000 layers; [`Error::Io`].
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x: Array<f64> = array::ones([1000, 1000], [250, 250]);
/// let path = std::env::temp_dir().join(format!("plan-{}.svg", std::process::id()));
/// dask_rs::visualize((x.mean(0), x.std(0)), &path)?;
/// assert!(std::fs::read_to_string(&path).unwrap().starts_with("<svg"));
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn visualize<C: Collection>(collections: C, path: impl AsRef<Path>) -> Result<()> {
    let call = Call::new("visualize");
    let format = Format::of(call, path.as_ref())?;
    let Prepared { layers, outputs, .. } = prepare(call, &collections)?;
    if format == Format::Svg && layers.layers().len() > LAYERS_DRAWN_MAX {
        let got = format!("{} layers", layers.layers().len());
        return Err(too_large(call, got, "at most 1000 layers; write a .dot file"));
    }
    let counts = count_tasks(&layers, &outputs, COUNT_STEPS_MAX);
    let caption = match &counts {
        Some(counts) => format!("{} tasks in {} layers", counts.iter().sum::<u64>(), counts.len()),
        None => format!("{} layers", layers.layers().len()),
    };
    let picture = Picture::of_layers(&layers, &outputs, counts.as_deref(), format_bytes);
    format.write(call, &picture.with_caption(caption), path.as_ref())
}

/// Draws every task that computing `collections` would run into a file, `.svg` or `.dot`.
///
/// Each box has its place in the order of execution and the index of its block; early tasks are blue and
/// late ones red. See [`visualize`] for what is the same.
///
/// # Errors
/// As [`visualize`], and [`Error::InvalidArgument`] for more than 500 tasks.
#[track_caller]
pub fn visualize_tasks<C: Collection>(collections: C, path: impl AsRef<Path>) -> Result<()> {
    let call = Call::new("visualize_tasks");
    let format = Format::of(call, path.as_ref())?;
    let Prepared { layers, outputs, .. } = prepare(call, &collections)?;
    let n_tasks = count_tasks(&layers, &outputs, COUNT_STEPS_MAX);
    let n_tasks = n_tasks.map(|counts| counts.into_iter().fold(0, u64::saturating_add));
    match n_tasks {
        Some(n) if n <= TASKS_DRAWN_MAX => {}
        n => {
            let n = n.map_or("too many".to_owned(), |n| n.to_string());
            let expected = "at most 500 tasks; draw the layers with visualize()";
            return Err(too_large(call, format!("{n} tasks"), expected));
        }
    }
    let picture = Picture::of_tasks(&TaskGraph::expand(layers, &outputs)?);
    let caption = format!("{} tasks, numbered in the order in which they run", picture.n_boxes());
    format.write(call, &picture.with_caption(caption), path.as_ref())
}

fn prepare<C: Collection>(call: Call, collections: &C) -> Result<Prepared> {
    let mut session = Session::default();
    collections.enlist(&mut session)?;
    session.prepare(call, &Config::current()?, &mut NoWatch)
}

fn too_large(call: Call, got: String, expected: &'static str) -> Error {
    Error::InvalidArgument { call, argument: "collections", got, expected }
}

/// What kinds of pictures there are.
#[derive(Clone, Copy, PartialEq)]
enum Format {
    Dot,
    Svg,
}

impl Format {
    fn of(call: Call, path: &Path) -> Result<Format> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("dot") => Ok(Format::Dot),
            Some("svg") => Ok(Format::Svg),
            _ => Err(Error::InvalidArgument {
                call,
                argument: "path",
                got: format!("{:?}", path.display().to_string()),
                expected: "a name that ends with .svg or .dot",
            }),
        }
    }

    fn write(self, call: Call, picture: &Picture, path: &Path) -> Result<()> {
        let text = match self {
            Format::Dot => picture.to_dot(),
            Format::Svg => picture.to_svg(),
        };
        write_file(path, text.as_bytes()).map_err(Error::io(call, path))
    }
}

#[cfg(all(test, feature = "array"))]
mod tests {
    use std::fs;

    use super::*;
    use crate::prelude::*;

    fn means() -> (Array<f64>, Array<f64>) {
        let x = array::from_fn([8, 6], [4, 3], |index| index[0] as f64);
        (x.mean(0), (&x * 2.0).sum(1))
    }

    fn draw(name: &str, draw: impl FnOnce(&Path) -> Result<()>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        draw(&path).unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "a temporary file was left");
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn layers_and_tasks_become_svg() {
        let svg = draw("plan.svg", |path| visualize(means(), path));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("rx=\"6\"").count(), means_layers());
        let svg = draw("tasks.svg", |path| visualize_tasks(means(), path));
        let n_tasks = crate::explain(means()).unwrap().n_tasks().unwrap() as usize;
        assert_eq!(svg.matches("rx=\"6\"").count(), n_tasks);
    }

    fn means_layers() -> usize {
        crate::explain(means()).unwrap().n_layers()
    }

    #[test]
    fn names_are_text_in_every_format() {
        let x: Array<f64> = array::ones([2], [2]);
        let y = x.lt(x.map_blocks(|block, _| block.to_owned()));
        let svg = draw("plan.svg", |path| y.visualize(path));
        assert!(svg.contains(" &lt; x"), "{svg}");
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let x: Array<f64> = array::ones([501], [1]);
        let refusal = |result: Result<()>| result.unwrap_err().to_string();
        let text = refusal(x.visualize("plan.png"));
        assert!(text.contains("expected a name that ends with .svg or .dot"), "{text}");
        let text = refusal(x.visualize_tasks("plan.svg"));
        assert!(text.contains("501 tasks, expected at most 500"), "{text}");
        let missing = Path::new("/no/such/folder/plan.svg");
        assert!(matches!(x.visualize(missing), Err(Error::Io { path, .. }) if path == missing));
    }
}
