//! The one door through which everything is computed.
//!
//! Collections are optimized and run together, so that what they share is computed once.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "dist")]
use crate::cache::Cache;
use crate::cache::Caching;
use crate::config::{CancelToken, Config};
use crate::delayed;
use crate::error::{Call, Result};
use crate::graph::{
    Block, Bridge, ExpressionId, FuseLimits, LayerGraph, LayerId, Lower, TaskGraph, Trace,
    bridges_of, fuse, lower_together,
};
use crate::keep::Room;
use crate::sched::job::budget_for;
use crate::sched::{Runtime, Sink};

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
/// tasks that ran have ended. Files that were being written on this
/// machine are then as they were; what is replaced in object stores may be gone, as each write says.
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
    cancel.scope(|| session.run(call))?;
    C::collect(pending)
}

#[cfg(feature = "dist")]
impl crate::dist::Cluster {
    /// Computes one or several collections on the workers; see [`compute`](crate::compute()).
    ///
    /// # Errors
    /// As [`compute`](crate::compute()), and [`Error::CannotSend`](crate::Error::CannotSend) before anything is sent if something can only run
    /// in this process. [`Error::Worker`](crate::Error::Worker) if a worker is lost.
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
    /// As [`compute`](Self::compute); [`Error::Cancelled`](crate::Error::Cancelled) once the token is cancelled and the tasks that ran have ended.
    #[track_caller]
    pub fn compute_with<C: Collection>(
        &self,
        collections: C,
        cancel: &CancelToken,
    ) -> Result<C::Output> {
        let call = Call::new("compute");
        let config = cancel.scope(Config::current)?;
        let mut session = Session::default();
        let pending = collections.enlist(&mut session)?;
        let memory_limit = config.memory_limit().min(self.smallest_memory_limit());
        let limits = FuseLimits {
            task_bytes_max: memory_limit / 4,
            leaves_residents: true,
            ..FuseLimits::default()
        };
        // Blocks of other processes are not kept in this one.
        let config = config.with_cache(&Cache::new(0));
        let prepared = session.prepare_within(call, &config, limits, &mut NoWatch)?;
        let runtime = Runtime::on(self.executor(), self.memory_limit(), &config);
        prepared.execute(&runtime)?;
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

    /// Bytes that [`accept`](Self::accept) uses beside a block of so many, at most.
    fn scratch_bytes(&self, _block_bytes: u64) -> u64 {
        0
    }

    /// Takes the block with row-major number `block`.
    fn accept(&self, block: usize, value: Block) -> Result<()>;

    /// Whether the user gets the blocks, in memory.
    #[cfg(feature = "frame")]
    fn is_for_user(&self) -> bool {
        false
    }

    /// How much it keeps in memory that counts to the limit, if it does.
    fn room(&self) -> Option<&Arc<Room>> {
        None
    }
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
    delayed: Vec<(Arc<delayed::Node>, Arc<dyn Collector>)>,
    #[cfg(feature = "zarr")]
    pub(crate) zarr_writes: array::ZarrWrites,
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

    pub(crate) fn add_delayed(&mut self, node: Arc<delayed::Node>, collector: Arc<dyn Collector>) {
        self.delayed.push((node, collector));
    }

    /// Plans, lowers, fuses and runs everything that was enlisted by `call`.
    pub(crate) fn run(self, call: Call) -> Result<()> {
        let config = Config::current()?;
        self.prepare(call, &config, &mut NoWatch)?.execute(&Runtime::of(&config)?)
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
        let caching = config.cache().and_then(|it| Caching::new(it, config.memory_limit()));
        let mut layers = LayerGraph::default();
        let mut plans: Vec<Box<dyn Lower>> = Vec::new();
        let mut collectors: Vec<Arc<dyn Collector>> = Vec::new();
        // How many results of each plan are asked for; others read the rest.
        let mut n_asked: Vec<usize> = Vec::new();
        let mut roots = Roots::default();
        #[cfg(feature = "array")]
        let of_arrays = roots.take_arrays(self.arrays);
        #[cfg(feature = "frame")]
        let mut of_frames = roots.take_frames(self.frames);
        let of_delayed = roots.take_delayed(self.delayed);
        roots.add_bridged();
        #[cfg(feature = "zarr")]
        self.zarr_writes.check(&roots.arrays)?;
        // The expressions end here: they may hold blocks of memory that only a run still needs.
        #[cfg(feature = "array")]
        if !roots.arrays.is_empty() {
            let plan = array::plan_all(roots.arrays, config, caching.as_ref(), watch);
            plans.push(Box::new(plan.map_err(|error| error.called_from(call))?));
            n_asked.push(of_arrays.len());
            collectors.extend(of_arrays);
        }
        #[cfg(feature = "frame")]
        if !roots.frames.is_empty() {
            // How those are cut that others read was found out when these were made, without a cache.
            let is_asked = roots.frames.len() == of_frames.len();
            let caching = caching.as_ref().filter(|_| is_asked);
            let plan = frame::plan_all(roots.frames, &mut of_frames, config, caching, watch);
            plans.push(Box::new(plan.map_err(|error| error.called_from(call))?));
            n_asked.push(of_frames.len());
            collectors.extend(of_frames);
        }
        if !roots.delayed.is_empty() {
            plans.push(Box::new(delayed::plan_all(roots.delayed, watch)));
            n_asked.push(of_delayed.len());
            collectors.extend(of_delayed);
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
            let bytes = layer.out_bytes.max(layer.kernel.lent_bytes());
            layer.scratch_bytes = layer.scratch_bytes.max(collector.scratch_bytes(bytes));
        }
        Ok(Prepared { call, layers, outputs, collectors, caching })
    }
}

/// The expressions that are planned: the results that were asked for, then those that others read over bridges.
#[derive(Default)]
struct Roots {
    #[cfg(feature = "array")]
    arrays: Vec<Arc<array::Node>>,
    #[cfg(feature = "frame")]
    frames: Vec<Arc<frame::Node>>,
    delayed: Vec<Arc<delayed::Node>>,
    /// How many of each kind were searched for bridges.
    n_searched: [usize; 3],
}

type Collectors = Vec<Arc<dyn Collector>>;

impl Roots {
    #[cfg(feature = "array")]
    fn take_arrays(&mut self, asked: Vec<(Arc<array::Node>, Arc<dyn Collector>)>) -> Collectors {
        let collectors;
        (self.arrays, collectors) = asked.into_iter().unzip();
        collectors
    }

    #[cfg(feature = "frame")]
    fn take_frames(&mut self, asked: Vec<(Arc<frame::Node>, Arc<dyn Collector>)>) -> Collectors {
        let collectors;
        (self.frames, collectors) = asked.into_iter().unzip();
        collectors
    }

    fn take_delayed(&mut self, asked: Vec<(Arc<delayed::Node>, Arc<dyn Collector>)>) -> Collectors {
        let collectors;
        (self.delayed, collectors) = asked.into_iter().unzip();
        collectors
    }

    /// Adds the expressions of one kind that those of another read, until all are there.
    fn add_bridged(&mut self) {
        let mut known: HashSet<ExpressionId> = self.delayed.iter().map(ExpressionId::of).collect();
        #[cfg(feature = "array")]
        known.extend(self.arrays.iter().map(ExpressionId::of));
        #[cfg(feature = "frame")]
        known.extend(self.frames.iter().map(ExpressionId::of));
        loop {
            let bridges = self.new_bridges();
            if bridges.is_empty() {
                return;
            }
            for bridge in bridges {
                if known.insert(bridge.expression) {
                    self.add(&bridge);
                }
            }
        }
    }

    /// The bridges of the expressions that were added since the last call.
    fn new_bridges(&mut self) -> Vec<Arc<Bridge>> {
        let [_arrays, _frames, n_delayed] = self.n_searched;
        let mut bridges = bridges_of(&self.delayed[n_delayed..]);
        self.n_searched[2] = self.delayed.len();
        #[cfg(feature = "array")]
        {
            bridges.extend(bridges_of(&self.arrays[_arrays..]));
            self.n_searched[0] = self.arrays.len();
        }
        #[cfg(feature = "frame")]
        {
            bridges.extend(bridges_of(&self.frames[_frames..]));
            self.n_searched[1] = self.frames.len();
        }
        bridges
    }

    fn add(&mut self, bridge: &Bridge) {
        #[cfg(feature = "array")]
        if let Ok(node) = Arc::clone(&bridge.from).downcast() {
            return self.arrays.push(node);
        }
        #[cfg(feature = "frame")]
        if let Ok(node) = Arc::clone(&bridge.from).downcast() {
            return self.frames.push(node);
        }
        let node = Arc::clone(&bridge.from).downcast();
        self.delayed.push(node.expect("there is no other kind of expressions"));
    }
}

/// Work that is ready to run: the fused layers, and where their results go.
pub(crate) struct Prepared {
    /// What asked for the results.
    call: Call,
    pub(crate) layers: LayerGraph,
    /// The layer of each result.
    pub(crate) outputs: Vec<LayerId>,
    collectors: Vec<Arc<dyn Collector>>,
    caching: Option<Caching>,
}

impl Prepared {
    /// The layers, those of the results, and who takes these.
    pub(crate) fn into_parts(self) -> (LayerGraph, Vec<LayerId>, Vec<Arc<dyn Collector>>) {
        (self.layers, self.outputs, self.collectors)
    }

    fn execute(self, runtime: &Runtime) -> Result<()> {
        let caching = self.caching.as_ref().map(Caching::room);
        let n_blocks = self.outputs.iter().map(|id| self.layers.get(*id).n_blocks());
        let n_blocks: Vec<u64> = n_blocks.collect();
        let routes = Routes::new(&self.layers, &self.outputs, self.collectors, caching);
        let graph = TaskGraph::expand(self.layers, &self.outputs)
            .map_err(|error| error.called_from(self.call))?;
        if let Some(caching) = &self.caching {
            caching.make_room(budget_for(&graph));
        }
        for (collector, n_blocks) in routes.collectors.iter().zip(n_blocks) {
            collector.start(n_blocks)?;
        }
        let run = runtime.execute_for(Some(self.call), &graph, &routes);
        run.map_err(|error| error.called_from(self.call))
    }
}

/// Sends each output to the collector of its result.
struct Routes {
    /// The first output position of each result.
    starts: Vec<usize>,
    collectors: Vec<Arc<dyn Collector>>,
    /// What is kept of the run; seldom more than one, and asked before each task.
    rooms: Vec<Arc<Room>>,
}

impl Routes {
    fn new(
        layers: &LayerGraph,
        outputs: &[LayerId],
        collectors: Vec<Arc<dyn Collector>>,
        caching: Option<&Arc<Room>>,
    ) -> Self {
        let mut next = 0;
        let starts = outputs.iter().map(|id| {
            let start = next;
            next += layers.get(*id).n_blocks() as usize;
            start
        });
        let starts = starts.collect();
        let rooms = collectors.iter().filter_map(|collector| collector.room());
        Routes { starts, rooms: rooms.chain(caching).cloned().collect(), collectors }
    }
}

impl Sink for Routes {
    fn accept(&self, output: usize, block: Block) -> Result<()> {
        let result = self.starts.partition_point(|start| *start <= output) - 1;
        self.collectors[result].accept(output - self.starts[result], block)
    }

    fn held_bytes(&self) -> u64 {
        self.rooms.iter().map(|room| room.held_bytes()).sum()
    }

    fn leave_room(&self, most: &dyn Fn() -> u64) {
        if !self.rooms.is_empty() {
            let each = most() / self.rooms.len() as u64;
            self.rooms.iter().for_each(|room| room.set_most(each));
        }
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
