//! A scan and what is done with each of its rows alone, batch by batch, while these are in a cache.
//!
//! A part that is read whole goes through memory once for each step. In a pipeline only what comes out at the end is as
//! long as the part: the rows that are left, or the states of their groups. The first filter is the source's, which
//! may read fewer rows of the columns that the filter does not look at.

use std::any::Any;
use std::sync::Arc;

use polars_core::frame::DataFrame;
use polars_core::prelude::{BooleanChunked, ChunkFillNullValue, PlSmallStr};

use super::aggregate::AggregateStep;
use super::eval::evaluate_rows;
use super::group_by::Running;
use super::tasks::{ScanKernel, filter, select};
use super::values_error;
use crate::error::Result;
use crate::frame::expr::{AggregatePlan, Expr};
use crate::frame::io::{Each, Request, RowFilter, gathered};
use crate::frame::partition::block;
use crate::graph::{Block, BytesRead, Inputs, Kernel, Line, TaskContext, at_line};

/// Reads a part, and computes of each batch what the steps say.
#[derive(Clone, Debug)]
pub(crate) struct PipelineKernel {
    scan: ScanKernel,
    /// The line of the user that the scan comes from.
    line: Option<Line>,
    filter: Option<Arc<Predicate>>,
    steps: Vec<(Step, Option<Line>)>,
    /// What the rows are aggregated to, if they are.
    end: Option<End>,
}

#[derive(Clone, Debug)]
struct End {
    plan: Arc<AggregatePlan>,
    step: AggregateStep,
    line: Option<Line>,
}

#[derive(Clone, Debug)]
enum Step {
    Filter(Expr),
    Select(Arc<[Expr]>),
}

impl PipelineKernel {
    /// What `producer` of this line does, if something can be done with the rows that it reads.
    fn of(producer: &dyn Kernel, line: Option<Line>) -> Option<Self> {
        let producer: &dyn Any = producer;
        if let Some(pipeline) = producer.downcast_ref::<PipelineKernel>() {
            return pipeline.end.is_none().then(|| pipeline.clone());
        }
        let scan = producer.downcast_ref::<ScanKernel>()?;
        // Rows in memory are there in one piece, and are given out without a copy.
        let scan = (!scan.source.is_resident()).then(|| scan.clone())?;
        Some(PipelineKernel { scan, line, filter: None, steps: Vec::new(), end: None })
    }

    /// `producer`, and then only the rows for which the predicate is true; `lines` are those of both.
    pub(crate) fn filtering(
        producer: &dyn Kernel,
        predicate: &Expr,
        lines: [Option<Line>; 2],
    ) -> Option<Arc<dyn Kernel>> {
        let mut pipeline = PipelineKernel::of(producer, lines[0])?;
        let is_first = pipeline.filter.is_none() && pipeline.steps.is_empty();
        if is_first && pipeline.scan.request.n_rows_max.is_none() {
            pipeline.filter = Some(Arc::new(Predicate::new(predicate.clone(), lines[1])));
        } else {
            pipeline.steps.push((Step::Filter(predicate.clone()), lines[1]));
        }
        Some(Arc::new(pipeline))
    }

    /// `producer`, and then these columns.
    pub(crate) fn selecting(
        producer: &dyn Kernel,
        exprs: &Arc<[Expr]>,
        lines: [Option<Line>; 2],
    ) -> Option<Arc<dyn Kernel>> {
        let mut pipeline = PipelineKernel::of(producer, lines[0])?;
        pipeline.needs_only(exprs.iter());
        pipeline.steps.push((Step::Select(Arc::clone(exprs)), lines[1]));
        Some(Arc::new(pipeline))
    }

    /// `producer`, and then this aggregation of its rows, if they need not be there at once.
    pub(crate) fn aggregating(
        producer: &dyn Kernel,
        plan: &Arc<AggregatePlan>,
        step: AggregateStep,
        lines: [Option<Line>; 2],
    ) -> Option<Arc<dyn Kernel>> {
        if !Running::is_possible(plan) {
            return None;
        }
        let mut pipeline = PipelineKernel::of(producer, lines[0])?;
        pipeline.needs_only(plan.keys.iter().chain(&plan.inputs));
        pipeline.end = Some(End { plan: Arc::clone(plan), step, line: lines[1] });
        Some(Arc::new(pipeline))
    }

    /// Leaves out columns that only the filter of the source looks at, if what comes next needs just these.
    fn needs_only<'a>(&mut self, exprs: impl IntoIterator<Item = &'a Expr>) {
        let mut needed: Vec<PlSmallStr> = Vec::new();
        for (step, _) in &self.steps {
            match step {
                Step::Filter(predicate) => predicate.add_columns(&mut needed),
                Step::Select(_) => return,
            }
        }
        exprs.into_iter().for_each(|expr| expr.add_columns(&mut needed));
        let request = &mut self.scan.request;
        let columns = request.columns.iter().filter(|name| needed.contains(name));
        *request = Request { columns: columns.cloned().collect(), ..request.clone() };
    }

    /// The filter of the source.
    fn of_source(&self) -> Option<&dyn RowFilter> {
        self.filter.as_deref().map(|filter| filter as &dyn RowFilter)
    }

    fn batches(&self, part: usize, each: Each<'_>) -> Result<()> {
        let of_source = self.of_source();
        let ScanKernel { source, request, .. } = &self.scan;
        let mut take = |mut rows: DataFrame| {
            for (step, line) in &self.steps {
                rows = at_line(*line, || match step {
                    Step::Filter(predicate) => filter(&rows, predicate),
                    Step::Select(exprs) => select(&rows, exprs),
                })?;
            }
            each(rows)
        };
        at_line(self.line, || source.read_batches(part, request, of_source, &mut take))
    }
}

impl Kernel for PipelineKernel {
    fn run(&self, task: &TaskContext<'_>, _inputs: Inputs) -> Result<Block> {
        let part = self.scan.parts[task.block[0] as usize];
        let Some(End { plan, step, line }) = &self.end else {
            return gathered(|each| self.batches(part, each)).map(block);
        };
        let mut running = Running::new(plan);
        self.batches(part, &mut |rows| at_line(*line, || running.add(&rows)))?;
        at_line(*line, || match step {
            AggregateStep::All => running.whole(),
            _ => running.partial(),
        })
        .map(block)
    }

    fn n_steps(&self) -> usize {
        1 + usize::from(self.filter.is_some()) + self.steps.len() + usize::from(self.end.is_some())
    }

    fn bytes_read(&self) -> BytesRead {
        self.scan.bytes_read
    }

    fn has_numbered_blocks(&self) -> bool {
        true
    }

    /// Where there are many groups, their rows are gathered first.
    fn may_gather(&self) -> bool {
        let ScanKernel { source, request, .. } = &self.scan;
        self.end.as_ref().is_some_and(|end| !end.plan.keys.is_empty())
            || source.may_gather(request, self.of_source())
    }
}

/// An expression that is true on the wanted rows.
#[derive(Debug)]
struct Predicate {
    expr: Expr,
    columns: Vec<PlSmallStr>,
    line: Option<Line>,
}

impl Predicate {
    fn new(expr: Expr, line: Option<Line>) -> Self {
        let mut columns = Vec::new();
        expr.add_columns(&mut columns);
        Predicate { expr, columns, line }
    }
}

impl RowFilter for Predicate {
    fn columns(&self) -> &[PlSmallStr] {
        &self.columns
    }

    /// Where the expression is null the row is not wanted.
    fn mask(&self, frame: &DataFrame) -> Result<BooleanChunked> {
        let mask = at_line(self.line, || evaluate_rows(&self.expr, frame))?;
        let mask = mask.bool().and_then(|mask| match mask.has_nulls() {
            true => mask.fill_null_with_values(false),
            false => Ok(mask.clone()),
        });
        mask.map_err(values_error(self.expr.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::aggregate::AggregateKernel;
    use super::super::group_by::{partial, whole};
    use super::super::tasks::{FilterKernel, SelectKernel};
    use super::super::testing::{cut, frame, frames_equal};
    use super::*;
    use crate::error::Call;
    use crate::frame::expr::{IntoExprs, col, len};
    use crate::frame::io::Source;
    use crate::frame::partition;
    use crate::graph::{AxisMap, BlockMap, FuseLimits, Layer, LayerGraph, LayerInput, fuse};
    use crate::memory::BufferPool;
    use polars_core::prelude::SchemaRef;
    use proptest::prelude::*;

    /// Rows that come in these batches.
    #[derive(Debug)]
    struct Batches(Vec<DataFrame>, SchemaRef);

    impl Source for Batches {
        fn name(&self) -> String {
            "batches".into()
        }

        fn schema(&self) -> &SchemaRef {
            &self.1
        }

        fn n_parts(&self) -> usize {
            1
        }

        fn n_rows(&self, _part: usize) -> Option<u64> {
            None
        }

        fn nbytes(&self, _part: usize, _columns: &[PlSmallStr]) -> u64 {
            0
        }

        fn scratch_bytes(&self, _part: usize, _columns: &[PlSmallStr]) -> u64 {
            0
        }

        fn may_gather(&self, _request: &Request, _filter: Option<&dyn RowFilter>) -> bool {
            false
        }

        fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
            gathered(|each| self.read_batches(part, request, None, each))
        }

        fn read_batches(
            &self,
            _part: usize,
            request: &Request,
            filter: Option<&dyn RowFilter>,
            each: Each<'_>,
        ) -> Result<()> {
            for batch in &self.0 {
                let kept = match filter {
                    Some(filter) => batch.filter_seq(&filter.mask(batch)?).unwrap(),
                    None => batch.clone(),
                };
                each(kept.select(request.columns.iter().cloned()).unwrap())?;
            }
            Ok(())
        }
    }

    fn layer(kernel: Arc<dyn Kernel>, n_blocks: u64, inputs: Vec<LayerInput>) -> Layer {
        Layer {
            name: "layer".into(),
            grid: [n_blocks].into(),
            kernel,
            inputs,
            block_text: "".into(),
            out_bytes: 1,
            scratch_bytes: 0,
            is_estimate: false,
        }
    }

    fn scan(batches: Vec<DataFrame>, n_blocks: usize) -> ScanKernel {
        let schema = Arc::clone(batches[0].schema());
        let columns = schema.iter_names().cloned().collect();
        ScanKernel {
            source: Arc::new(Batches(batches, schema)),
            parts: vec![0; n_blocks].into(),
            request: Request { columns, ..Request::default() },
            bytes_read: BytesRead::default(),
        }
    }

    /// What is left of a scan under these kernels.
    fn fused(scan: ScanKernel, kernels: Vec<Arc<dyn Kernel>>) -> Vec<Layer> {
        let mut layers = LayerGraph::default();
        let mut last = layers.push(layer(Arc::new(scan), 1, vec![]));
        for kernel in kernels {
            let input = LayerInput { layer: last, map: BlockMap::Linear };
            last = layers.push(layer(kernel, 1, vec![input]));
        }
        fuse(&layers, &[last], FuseLimits::default()).0.layers().to_vec()
    }

    fn run(layers: &[Layer]) -> DataFrame {
        assert_eq!(layers.len(), 1);
        let text = format!("{:?}", layers[0].kernel);
        assert!(text.starts_with("PipelineKernel"), "{text}");
        let pool = Arc::new(BufferPool::new(0));
        let task = TaskContext { block: &[0], pool: &pool };
        partition::frame(layers[0].kernel.run(&task, Inputs::from_slots(vec![])).unwrap())
    }

    fn plan(keys: impl IntoExprs, aggs: impl IntoExprs, rows: &DataFrame) -> Arc<AggregatePlan> {
        let (keys, aggs) = (keys.into_exprs(), aggs.into_exprs());
        Arc::new(AggregatePlan::new(&keys, &aggs, rows.schema(), Call::new("agg")).unwrap())
    }

    fn aggs() -> [Expr; 9] {
        [
            col("f").sum(),
            col("f").mean().alias("mean"),
            (col("f") * col("k")).sum().alias("product"),
            col("k").sum().alias("total"),
            col("s").min().alias("min"),
            col("f").max().alias("max"),
            col("s").first().alias("first"),
            col("f").count().alias("count"),
            len(),
        ]
    }

    proptest! {
        /// To the bit: sums of floats go on from batch to batch.
        #[test]
        fn a_pipeline_gives_what_its_steps_give_one_by_one(
            rows in frame(200),
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            keys in prop::sample::select(vec![vec![], vec!["k"], vec!["k", "s"], vec!["row"]]),
            low in -3..3_i64,
        ) {
            let wanted = col("k").gt_eq(low);
            let exprs: Arc<[Expr]> = ["k", "f", "s", "row"].map(col).into();
            let filter_kernel = || -> Arc<dyn Kernel> {
                Arc::new(FilterKernel { predicate: wanted.clone() })
            };
            let select_kernel = || -> Arc<dyn Kernel> {
                Arc::new(SelectKernel { exprs: Arc::clone(&exprs) })
            };
            let batches = cut(&rows, &at);
            let expected = filter(&rows, &wanted).unwrap();
            let plain = fused(scan(batches.clone(), 1), vec![filter_kernel(), select_kernel()]);
            prop_assert!(frames_equal(&run(&plain), &expected));

            let plan = plan(keys, aggs(), &rows);
            for step in [AggregateStep::Partial, AggregateStep::All] {
                let kernel = Arc::new(AggregateKernel { plan: Arc::clone(&plan), step });
                let kernels = vec![filter_kernel(), select_kernel(), kernel];
                let got = run(&fused(scan(batches.clone(), 1), kernels));
                let expected = match step {
                    AggregateStep::All => whole(&expected, &plan),
                    _ => partial(&expected, &plan),
                };
                prop_assert!(frames_equal(&got, &expected.unwrap()), "{got:?}");
            }
        }
    }

    #[test]
    fn many_groups_wait_for_all_rows() {
        let rows = polars_core::df!["k" => (0..1000).map(|i| i % 400).collect::<Vec<_>>(),
            "x" => (0..1000).map(f64::from).collect::<Vec<_>>()]
        .unwrap();
        let plan = plan(["k"], [col("x").sum()], &rows);
        let kernel = AggregateKernel { plan: Arc::clone(&plan), step: AggregateStep::Partial };
        let batches = (0..10).map(|i| rows.slice(i * 100, 100)).collect();
        let got = run(&fused(scan(batches, 1), vec![Arc::new(kernel)]));
        assert!(frames_equal(&got, &partial(&rows, &plan).unwrap()));
    }

    /// First rows of one key, and then of many, which judged by their beginning hardly repeat.
    #[test]
    fn groups_that_become_many_give_the_bits_of_all_rows_at_once() {
        let (few, many) = (64, 20_000);
        let key = |i: i64| if i < few { 0 } else { i * 7 % (many * 9 / 10) };
        let value = |i: i64| 0.1 + i as f64 / 3.0;
        let rows = polars_core::df!["k" => (0..few + many).map(key).collect::<Vec<_>>(),
            "x" => (0..few + many).map(value).collect::<Vec<_>>()]
        .unwrap();
        let plan = plan(["k"], [col("x").sum(), len().alias("n")], &rows);
        let batches: Vec<_> = (0..).map(|i| rows.slice(i * 100, 100)).take(201).collect();
        for (step, expected) in [
            (AggregateStep::Partial, partial(&rows, &plan).unwrap()),
            (AggregateStep::All, whole(&rows, &plan).unwrap()),
        ] {
            let kernel = Arc::new(AggregateKernel { plan: Arc::clone(&plan), step });
            let got = run(&fused(scan(batches.clone(), 1), vec![kernel]));
            assert!(got.height() < 18_010, "{step:?}");
            assert!(frames_equal(&got, &expected), "{step:?}");
        }
    }

    /// Rows that hardly repeat are groups of their own only where they are merged later.
    #[test]
    fn the_result_has_each_group_once() {
        let n = 20_000_i64;
        let rows = polars_core::df!["k" => (0..n).map(|i| i % (n / 2)).collect::<Vec<_>>(),
            "x" => (0..n).collect::<Vec<_>>()]
        .unwrap();
        let plan = plan(["k"], [col("x").sum()], &rows);
        let kernel =
            Arc::new(AggregateKernel { plan: Arc::clone(&plan), step: AggregateStep::All });
        let batches = (0..20).map(|i| rows.slice(i * 1000, 1000)).collect();
        let got = run(&fused(scan(batches, 1), vec![kernel]));
        assert_eq!(got.height(), 10_000);
        assert!(frames_equal(&got, &whole(&rows, &plan).unwrap()));
    }

    /// A source without batches.
    #[derive(Debug)]
    struct Whole(Batches);

    impl Source for Whole {
        fn name(&self) -> String {
            self.0.name()
        }

        fn schema(&self) -> &SchemaRef {
            self.0.schema()
        }

        fn n_parts(&self) -> usize {
            1
        }

        fn n_rows(&self, part: usize) -> Option<u64> {
            self.0.n_rows(part)
        }

        fn nbytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
            self.0.nbytes(part, columns)
        }

        fn scratch_bytes(&self, part: usize, columns: &[PlSmallStr]) -> u64 {
            self.0.scratch_bytes(part, columns)
        }

        fn read(&self, part: usize, request: &Request) -> Result<DataFrame> {
            self.0.read(part, request)
        }
    }

    #[test]
    fn parts_that_are_read_whole_are_declared() {
        let rows = polars_core::df!["a" => [1.0, 2.0]].unwrap();
        let sum: Arc<dyn Kernel> = Arc::new(AggregateKernel {
            plan: plan(&[] as &[&str], [col("a").sum()], &rows),
            step: AggregateStep::Partial,
        });
        let scratch_bytes = |scan| fused(scan, vec![Arc::clone(&sum)])[0].scratch_bytes;
        let batches = scan(vec![rows.clone()], 1);
        let schema = Arc::clone(rows.schema());
        let source: Arc<dyn Source> = Arc::new(Whole(Batches(vec![rows], schema)));
        assert_eq!(scratch_bytes(ScanKernel { source, ..batches.clone() }), 1);
        assert_eq!(scratch_bytes(batches), 0);
    }

    #[test]
    fn only_what_is_needed_comes_from_the_source() {
        let rows = polars_core::df!["a" => [1, 2], "b" => [1, 2], "c" => [1, 2]].unwrap();
        let predicate = col("a").gt(1);
        let kernel =
            PipelineKernel::filtering(&scan(vec![rows.clone()], 1), &predicate, [None; 2]).unwrap();
        let plan = plan(&[] as &[&str], [col("b").sum()], &rows);
        let kernel =
            PipelineKernel::aggregating(&*kernel, &plan, AggregateStep::Partial, [None; 2])
                .unwrap();
        let kernel: &dyn Any = &*kernel;
        let pipeline = kernel.downcast_ref::<PipelineKernel>().unwrap();
        assert_eq!(*pipeline.scan.request.columns, ["b"]);
        // Rows are limited before they are filtered.
        let mut limited = scan(vec![rows], 1);
        limited.request.n_rows_max = Some(1);
        let kernel = PipelineKernel::filtering(&limited, &predicate, [None; 2]).unwrap();
        let kernel: &dyn Any = &*kernel;
        assert!(kernel.downcast_ref::<PipelineKernel>().unwrap().filter.is_none());
    }

    #[test]
    fn blocks_of_other_numbers_are_not_taken_for_the_same() {
        let rows = polars_core::df!["a" => [1, 2]].unwrap();
        let mut layers = LayerGraph::default();
        let below = layers.push(layer(Arc::new(scan(vec![rows], 3)), 3, vec![]));
        let map = BlockMap::axes([AxisMap::Axis { axis: 0, first: 1, step: 1 }]);
        let kernel = Arc::new(FilterKernel { predicate: col("a").gt(1) });
        let top = layers.push(layer(kernel, 2, vec![LayerInput { layer: below, map }]));
        let fused = fuse(&layers, &[top], FuseLimits::default()).0;
        assert!(format!("{:?}", fused.layers()[0].kernel).starts_with("Chain"));
    }

    #[test]
    fn aggregates_that_need_all_rows_of_a_partition_get_them() {
        let rows = polars_core::df!["a" => [1.0, 2.0]].unwrap();
        for agg in [col("a").std(1), col("a").median(), col("a").product()] {
            let plan = plan(&[] as &[&str], [agg], &rows);
            let scan = scan(vec![rows.clone()], 1);
            assert!(
                PipelineKernel::aggregating(&scan, &plan, AggregateStep::Partial, [None; 2])
                    .is_none()
            );
        }
    }
}
