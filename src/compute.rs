//! The one door through which everything is computed.
//!
//! Collections are optimized and run together, so that what they share is computed once.

#[cfg(all(feature = "array", feature = "frame"))]
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Call, Error, Result};
use crate::graph::{
    Block, FuseLimits, LayerGraph, LayerId, Lower, TaskGraph, Trace, fuse, lower_together,
};
#[cfg(all(feature = "array", feature = "frame"))]
use crate::graph::{ExpressionId, bridges_of};
use crate::sched::{CancelToken, Runtime, Sink};

#[cfg(feature = "array")]
use crate::array;
#[cfg(feature = "frame")]
use crate::frame;

/// Something lazy that can be computed: an array, a frame, a tuple or list of them.
pub trait Collection {
    /// What it is once computed.
    type Output;

    /// What has been promised by [`enlist`](Self::enlist).
    #[doc(hidden)]
    type Pending;

    /// Says what is to be computed.
    #[doc(hidden)]
    fn enlist(&self, session: &mut Session) -> Result<Self::Pending>;

    /// Takes what was computed.
    #[doc(hidden)]
    fn collect(pending: Self::Pending) -> Result<Self::Output>;
}

/// Computes several collections at once.
///
/// What they share is read and computed once, whichever of them needs it.
///
/// # Errors
/// The first error that one of the handles carries, or that one of the tasks ends with.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let x: Array<f64> = array::arange(0., 10., 1., [5]);
/// let (mean, std) = dask_rs::compute((x.mean(0), x.std(0)))?;
/// assert_eq!(mean[[]], 4.5);
/// assert!((std[[]] - 8.25_f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), Error>(())
/// ```
#[track_caller]
pub fn compute<C: Collection>(collections: C) -> Result<C::Output> {
    compute_with(collections, &CancelToken::new())
}

/// [`compute`], until `cancel` says to stop.
///
/// # Errors
/// As [`compute`]; [`Error::Cancelled`](crate::Error::Cancelled) once the token is cancelled and the
/// tasks that ran have ended. Nothing is left half-written then.
///
/// # Example
/// ```
/// use dask_rs::prelude::*;
/// let cancel = dask_rs::CancelToken::new();
/// cancel.cancel();
/// let x: Array<f64> = array::ones([1000], [10]);
/// let stopped = dask_rs::compute_with(x.sum(..), &cancel);
/// assert!(matches!(stopped, Err(Error::Cancelled)));
/// ```
#[track_caller]
pub fn compute_with<C: Collection>(collections: C, cancel: &CancelToken) -> Result<C::Output> {
    let call = Call::new("compute");
    let mut session = Session::default();
    let pending = collections.enlist(&mut session)?;
    session.run(call, cancel)?;
    C::collect(pending)
}

#[cfg(feature = "dist")]
impl crate::dist::Cluster {
    /// Computes one or several collections on the workers; see [`compute`](crate::compute()).
    ///
    /// # Errors
    /// As [`compute`](crate::compute()), and [`Error::CannotSend`] before anything is sent if something can only run
    /// in this process. [`Error::Worker`] if a worker is lost.
    ///
    /// # Example
    /// ```
    /// use dask_rs::{dist::LocalCluster, prelude::*};
    /// let cluster = LocalCluster::start(2)?;
    /// let x = array::from_ndarray(ndarray::arr2(&[[1., 2.], [3., 5.]]), [1, 2]);
    /// let (mean, anomaly) = cluster.compute((x.mean(0), &x - x.mean(0)))?;
    /// assert_eq!((mean[[1]], anomaly[[0, 1]]), (3.5, -1.5));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn compute<C: Collection>(&self, collections: C) -> Result<C::Output> {
        self.compute_with(collections, &CancelToken::new())
    }

    /// [`compute`](Self::compute), until `cancel` says to stop.
    ///
    /// # Errors
    /// As [`compute`](Self::compute); [`Error::Cancelled`] once the token is cancelled and the tasks that ran have ended.
    #[track_caller]
    pub fn compute_with<C: Collection>(
        &self,
        collections: C,
        cancel: &CancelToken,
    ) -> Result<C::Output> {
        let call = Call::new("compute");
        let config = Config::current()?;
        let mut session = Session::default();
        let pending = collections.enlist(&mut session)?;
        let memory_limit = config.memory_limit().min(self.smallest_memory_limit());
        let limits = FuseLimits {
            task_bytes_max: memory_limit / 4,
            leaves_residents: true,
            ..FuseLimits::default()
        };
        let prepared = session.prepare_within(call, &config, limits, &mut NoWatch)?;
        let runtime = Runtime::on(self.executor(), self.memory_limit(), &config);
        prepared.execute(&runtime, cancel)?;
        C::collect(pending)
    }
}

/// Where the blocks of one result go.
pub(crate) trait Collector: Send + Sync {
    /// Makes room for the result. Called once, after planning and before anything runs, so that what is
    /// only explained costs no memory.
    fn start(&self, _n_blocks: u64) -> Result<()> {
        Ok(())
    }

    /// Bytes that [`accept`](Self::accept) uses beside the block, at most.
    fn scratch_bytes(&self) -> u64 {
        0
    }

    /// Takes the block with row-major number `block`.
    fn accept(&self, block: usize, value: Block) -> Result<()>;
}

/// Looks on while work is planned; nothing that it does changes the plan.
pub(crate) trait Watch {
    /// The plan as it was imported.
    fn on_imported(&mut self, _plan: &dyn fmt::Display) {}

    /// The plan as the rules left it.
    fn on_optimized(&mut self, _plan: &dyn fmt::Display, _trace: &Trace) {}

    /// The layers before they are fused.
    fn on_lowered(&mut self, _layers: &LayerGraph) {}
}

/// Watches nothing.
pub(crate) struct NoWatch;

impl Watch for NoWatch {}

/// What is to be computed together.
#[doc(hidden)]
#[derive(Default)]
pub struct Session {
    #[cfg(feature = "array")]
    arrays: Vec<(Arc<array::Node>, Arc<dyn Collector>)>,
    #[cfg(feature = "frame")]
    frames: Vec<(Arc<frame::Node>, Arc<dyn Collector>)>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    #[cfg(feature = "array")]
    pub(crate) fn add_array(&mut self, node: Arc<array::Node>, collector: Arc<dyn Collector>) {
        self.arrays.push((node, collector));
    }

    #[cfg(feature = "frame")]
    pub(crate) fn add_frame(&mut self, node: Arc<frame::Node>, collector: Arc<dyn Collector>) {
        self.frames.push((node, collector));
    }

    /// Plans, lowers, fuses and runs everything that was enlisted by `call`.
    pub(crate) fn run(self, call: Call, cancel: &CancelToken) -> Result<()> {
        let config = Config::current()?;
        self.prepare(call, &config, &mut NoWatch)?.execute(&Runtime::of(&config)?, cancel)
    }

    /// Plans, lowers and fuses everything that `call` has enlisted, which takes O(layers).
    pub(crate) fn prepare(
        self,
        call: Call,
        config: &Config,
        watch: &mut dyn Watch,
    ) -> Result<Prepared> {
        let limits =
            FuseLimits { task_bytes_max: config.memory_limit() / 4, ..FuseLimits::default() };
        self.prepare_within(call, config, limits, watch)
    }

    /// [`prepare`](Self::prepare) with other limits of what is fused.
    pub(crate) fn prepare_within(
        self,
        call: Call,
        config: &Config,
        limits: FuseLimits,
        watch: &mut dyn Watch,
    ) -> Result<Prepared> {
        let mut layers = LayerGraph::default();
        let mut plans: Vec<Box<dyn Lower>> = Vec::new();
        let mut collectors: Vec<Arc<dyn Collector>> = Vec::new();
        // How many results of each plan are asked for; others read the rest.
        let mut n_asked: Vec<usize> = Vec::new();
        #[cfg(any(feature = "array", feature = "frame"))]
        let called = |error: Error| error.called_from(call);
        #[cfg(feature = "array")]
        let (arrays, of_arrays): (Vec<_>, Vec<_>) = self.arrays.into_iter().unzip();
        #[cfg(feature = "frame")]
        let (frames, of_frames): (Vec<_>, Vec<_>) = self.frames.into_iter().unzip();
        #[cfg(all(feature = "array", feature = "frame"))]
        let (arrays, frames) = with_bridged(arrays, frames);
        // The expressions end here: they may hold blocks of memory that only a run still needs.
        #[cfg(feature = "array")]
        if !arrays.is_empty() {
            plans.push(Box::new(array::plan_all(arrays, config, watch).map_err(called)?));
            n_asked.push(of_arrays.len());
            collectors.extend(of_arrays);
        }
        #[cfg(feature = "frame")]
        if !frames.is_empty() {
            plans.push(Box::new(frame::plan_all(frames, config, watch).map_err(called)?));
            n_asked.push(of_frames.len());
            collectors.extend(of_frames);
        }
        lower_together(&mut plans, &mut layers).map_err(|error| error.called_from(call))?;
        let outputs = plans.iter().zip(&n_asked).flat_map(|(plan, &n)| {
            let outputs = plan.outputs().expect("plans are lowered until all results are there");
            outputs.into_iter().take(n)
        });
        let outputs: Vec<LayerId> = outputs.collect();
        drop(plans);
        watch.on_lowered(&layers);
        let (mut layers, outputs) = match config.optimize() {
            true => fuse(&layers, &outputs, limits),
            false => (layers, outputs),
        };
        for (output, collector) in outputs.iter().zip(&collectors) {
            // A result is handed over at the end of its task, when the kernel's own scratch is free.
            let layer = layers.get_mut(*output);
            layer.scratch_bytes = layer.scratch_bytes.max(collector.scratch_bytes());
        }
        Ok(Prepared { call, layers, outputs, collectors })
    }
}

/// The expressions, and those of each kind whose blocks those of the other one read.
#[cfg(all(feature = "array", feature = "frame"))]
fn with_bridged(
    mut arrays: Vec<Arc<array::Node>>,
    mut frames: Vec<Arc<frame::Node>>,
) -> (Vec<Arc<array::Node>>, Vec<Arc<frame::Node>>) {
    let mut known: HashSet<ExpressionId> = arrays.iter().map(ExpressionId::of).collect();
    known.extend(frames.iter().map(ExpressionId::of));
    let (mut n_arrays, mut n_frames) = (0, 0);
    while n_arrays < arrays.len() || n_frames < frames.len() {
        let mut bridges = bridges_of(&arrays[n_arrays..]);
        bridges.extend(bridges_of(&frames[n_frames..]));
        (n_arrays, n_frames) = (arrays.len(), frames.len());
        for bridge in bridges {
            if !known.insert(bridge.expression) {
                continue;
            }
            match Arc::clone(&bridge.from).downcast::<frame::Node>() {
                Ok(node) => frames.push(node),
                Err(other) => {
                    arrays.push(other.downcast().expect("there are two kinds of expressions"));
                }
            }
        }
    }
    (arrays, frames)
}

/// Work that is ready to run: the fused layers, and where their results go.
pub(crate) struct Prepared {
    /// What asked for the results.
    call: Call,
    pub(crate) layers: LayerGraph,
    /// The layer of each result.
    pub(crate) outputs: Vec<LayerId>,
    collectors: Vec<Arc<dyn Collector>>,
}

impl Prepared {
    fn execute(self, runtime: &Runtime, cancel: &CancelToken) -> Result<()> {
        let n_blocks = self.outputs.iter().map(|id| self.layers.get(*id).n_blocks());
        let n_blocks: Vec<u64> = n_blocks.collect();
        let routes = Routes::new(&self.layers, &self.outputs, self.collectors);
        let graph = TaskGraph::expand(self.layers, &self.outputs)
            .map_err(|error| error.called_from(self.call))?;
        for (collector, n_blocks) in routes.collectors.iter().zip(n_blocks) {
            collector.start(n_blocks)?;
        }
        let run = runtime.execute_for(Some(self.call), &graph, cancel, &routes);
        run.map_err(|error| error.called_from(self.call))
    }
}

/// Sends each output to the collector of its result.
struct Routes {
    /// The first output position of each result.
    starts: Vec<usize>,
    collectors: Vec<Arc<dyn Collector>>,
}

impl Routes {
    fn new(layers: &LayerGraph, outputs: &[LayerId], collectors: Vec<Arc<dyn Collector>>) -> Self {
        let mut next = 0;
        let starts = outputs.iter().map(|id| {
            let start = next;
            next += layers.get(*id).n_blocks() as usize;
            start
        });
        Routes { starts: starts.collect(), collectors }
    }
}

impl Sink for Routes {
    fn accept(&self, output: usize, block: Block) -> Result<()> {
        let result = self.starts.partition_point(|start| *start <= output) - 1;
        self.collectors[result].accept(output - self.starts[result], block)
    }
}

impl<C: Collection + ?Sized> Collection for &C {
    type Output = C::Output;
    type Pending = C::Pending;

    #[track_caller]
    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        (**self).enlist(session)
    }

    fn collect(pending: Self::Pending) -> Result<Self::Output> {
        C::collect(pending)
    }
}

impl<C: Collection> Collection for Vec<C> {
    type Output = Vec<C::Output>;
    type Pending = Vec<C::Pending>;

    #[track_caller]
    fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
        let mut pending = Vec::with_capacity(self.len());
        for collection in self {
            pending.push(collection.enlist(session)?);
        }
        Ok(pending)
    }

    fn collect(pending: Self::Pending) -> Result<Self::Output> {
        pending.into_iter().map(C::collect).collect()
    }
}

macro_rules! tuples {
    ($(($($c:ident $i:tt),+))*) => {$(
        impl<$($c: Collection),+> Collection for ($($c,)+) {
            type Output = ($($c::Output,)+);
            type Pending = ($($c::Pending,)+);

            #[track_caller]
            fn enlist(&self, session: &mut Session) -> Result<Self::Pending> {
                Ok(($(self.$i.enlist(session)?,)+))
            }

            fn collect(pending: Self::Pending) -> Result<Self::Output> {
                Ok(($($c::collect(pending.$i)?,)+))
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
