//! What is told of runs: profiles, reports, traces, observers and the page in the browser.

mod browser;
#[cfg(feature = "diagnostics")]
mod dashboard;
mod observers;
mod profiles;
mod reports;
#[cfg(feature = "tracing")]
mod spans;
mod traces;

use dask_rs::ExecutorKind;
use dask_rs::array::{AnyElement, AnyViewMut, DType, Source, from_source};
use dask_rs::prelude::*;

fn executors() -> [Config; 4] {
    let config = Config::new();
    [
        config.clone().with_executor(ExecutorKind::Serial),
        config.clone().with_executor(ExecutorKind::Seeded(5)),
        config.clone().with_threads(1),
        config.with_threads(4),
    ]
}

/// An array whose tasks do arithmetic, so that they are not merged into those that read them.
fn waves(n: u64, chunk: u64) -> Array<f64> {
    (array::arange(0.0, n as f64, 1.0, [chunk]) * 0.01).sin()
}

/// Blocks that are all held before the first one can go, in memory for a few of them.
fn more_than_fits() -> (Array<f64>, Config) {
    let x = waves(80_000, 2000);
    let centered = &x - x.mean(..);
    (centered.abs().max(..), Config::new().with_memory_limit(256 << 10))
}

/// A source whose name somebody has thought up.
#[derive(Debug)]
struct Named(&'static str);

impl Source for Named {
    fn name(&self) -> String {
        self.0.to_owned()
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn shape(&self) -> &[u64] {
        &[10]
    }

    fn read(&self, _start: &[u64], out: AnyViewMut<'_>) -> Result<()> {
        f64::from_any_view(out).expect("the dtype is that of the source").fill(1.0);
        Ok(())
    }
}

fn named(name: &'static str) -> Array<f64> {
    from_source(std::sync::Arc::new(Named(name)), vec![5]).cast_to()
}
