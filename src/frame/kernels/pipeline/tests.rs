//! Pipelines against their steps one by one.

use super::super::aggregate::AggregateKernel;
use super::super::group_by::{partial, whole};
use super::super::join::{JoinHow, JoinSpec, join};
use super::super::tasks::{FilterKernel, JoinKernel, SelectKernel, TableKernel};
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
        lent_bytes: 0,
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

/// What waits for the last batch is as long as the rows that are kept.
#[test]
fn rows_that_are_dropped_leave_no_text() {
    let text = |i: i64| format!("{i} is a text that no view holds").repeat(4);
    let batch = |first: i64| {
        let ids: Vec<i64> = (first..first + 1000).collect();
        let texts: Vec<String> = ids.iter().map(|&i| text(i)).collect();
        polars_core::df!["id" => ids, "s" => texts].unwrap()
    };
    let batches: Vec<DataFrame> = (0..4).map(|i| batch(i * 1000)).collect();
    let all: usize = batches.iter().map(DataFrame::estimated_size).sum();
    let scan = scan(batches, 1);
    let kept = (col("id") % 500).eq(7);
    let wiring = Wiring::default();
    let first = PipelineKernel::filtering(&scan, &kept, &wiring).unwrap();
    let select: Arc<[Expr]> = [col("id") + 0, col("s")].into();
    let later = PipelineKernel::selecting(&scan, &select, &wiring).unwrap();
    let later = PipelineKernel::filtering(&*later, &kept, &wiring).unwrap();
    for pipeline in [first, later] {
        let pipeline: &dyn Any = &*pipeline;
        let (mut bytes, mut n_rows) = (0, 0);
        let pipeline = pipeline.downcast_ref::<PipelineKernel>().unwrap();
        let mut each = |rows: DataFrame| {
            (bytes, n_rows) = (bytes + rows.estimated_size(), n_rows + rows.height());
            Ok(())
        };
        pipeline.batches(0, &[], &mut each).unwrap();
        assert!(n_rows == 8 && bytes < all / 100, "{n_rows} rows, {bytes} of {all}");
    }
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
    let kernel = Arc::new(AggregateKernel { plan: Arc::clone(&plan), step: AggregateStep::All });
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
        PipelineKernel::filtering(&scan(vec![rows.clone()], 1), &predicate, &Wiring::default())
            .unwrap();
    let plan = plan(&[] as &[&str], [col("b").sum()], &rows);
    let kernel =
        PipelineKernel::aggregating(&*kernel, &plan, AggregateStep::Partial, &Wiring::default())
            .unwrap();
    let kernel: &dyn Any = &*kernel;
    let pipeline = kernel.downcast_ref::<PipelineKernel>().unwrap();
    assert_eq!(*pipeline.scan.request.columns, ["b"]);
    // Rows are limited before they are filtered.
    let mut limited = scan(vec![rows], 1);
    limited.request.n_rows_max = Some(1);
    let kernel = PipelineKernel::filtering(&limited, &predicate, &Wiring::default()).unwrap();
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
            PipelineKernel::aggregating(&scan, &plan, AggregateStep::Partial, &Wiring::default())
                .is_none()
        );
    }
}

/// Joins go on from batch to batch too, and what comes after them.
#[test]
fn rows_are_joined_as_they_come() {
    let rows = polars_core::df!["k" => (0..300).map(|i| i % 7).collect::<Vec<_>>(),
        "x" => (0..300).map(f64::from).collect::<Vec<_>>()]
    .unwrap();
    let right = polars_core::df!["k" => [5, 1, 5, 9], "y" => ["a", "b", "c", "d"]].unwrap();
    let plan = plan(["k"], [col("x").sum(), len().alias("n")], &rows);
    let wanted = col("x").gt(10.0);
    for how in [JoinHow::Inner, JoinHow::Left, JoinHow::Semi, JoinHow::Anti] {
        let spec = Arc::new(JoinSpec::new(how, ["k".into()], ["k".into()]));
        let joined = join(&filter(&rows, &wanted).unwrap(), &right, &spec).unwrap();
        for (is_grouped, expected) in
            [(false, joined.clone()), (true, whole(&joined, &plan).unwrap())]
        {
            let mut layers = LayerGraph::default();
            let linear = |layer| LayerInput { layer, map: BlockMap::Linear };
            let batches = (0..6).map(|i| rows.slice(i * 50, 50)).collect();
            let left = layers.push(layer(Arc::new(scan(batches, 2)), 2, vec![]));
            let kernel = Arc::new(FilterKernel { predicate: wanted.clone() });
            let left = layers.push(layer(kernel, 2, vec![linear(left)]));
            let side = layers.push(layer(Arc::new(scan(vec![right.clone()], 1)), 1, vec![]));
            let kernel = Arc::new(TableKernel { spec: Arc::clone(&spec), side: 1 });
            let table = layers.push(layer(kernel, 1, vec![linear(side)]));
            let one = LayerInput { layer: table, map: BlockMap::axes([AxisMap::At(0)]) };
            let kernel = Arc::new(JoinKernel { spec: Arc::clone(&spec), built: Some(1) });
            let mut last = layers.push(layer(kernel, 2, vec![linear(left), one]));
            if is_grouped {
                let kernel = AggregateKernel { plan: Arc::clone(&plan), step: AggregateStep::All };
                last = layers.push(layer(Arc::new(kernel), 2, vec![linear(last)]));
            }
            let (fused, _) = fuse(&layers, &[last], FuseLimits::default());
            let [table, pipeline] = fused.layers() else { panic!("{:?}", fused.layers()) };
            let text = format!("{:?}", pipeline.kernel);
            assert!(text.starts_with("PipelineKernel"), "{text}");
            let pool = Arc::new(BufferPool::new(0));
            let task = TaskContext { block: &[0], pool: &pool };
            let table = table.kernel.run(&task, Inputs::from_slots(vec![])).unwrap();
            let got = pipeline.kernel.run(&task, Inputs::from_slots(vec![vec![table]])).unwrap();
            assert!(frames_equal(&partition::frame(got), &expected), "{how:?} {is_grouped}");
        }
    }
}

/// In the order of a table on the left, rows of the first batch may come after those of the last one.
#[test]
fn tables_of_the_left_side_wait_for_all_rows() {
    let spec = Arc::new(JoinSpec::new(JoinHow::Inner, ["k".into()], ["k".into()]));
    let kernel = JoinKernel { spec, built: Some(0) };
    let rows = polars_core::df!["k" => [1]].unwrap();
    let wiring = Wiring { consumer: vec![0, usize::MAX], n_slots: 1, ..Wiring::default() };
    assert!(kernel.absorb(1, &scan(vec![rows], 1), &wiring).is_none());
}
