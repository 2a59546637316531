//! Structural tests: two ways to write the same thing become the same plan, and what must not be
//! rewritten is not.

use std::sync::Arc;

use super::*;
use crate::array::chunks::ChunkSpec;
use crate::array::{
    AnyViewMut, Array, DType, Element, Index, PadMode, Source, arange, concatenate, from_source,
    ones, stack, where_,
};
use crate::error::Error;
use crate::graph::import;

/// Storage without content: plans only ask for its shape.
#[derive(Debug)]
struct Storage {
    shape: Vec<u64>,
    chunks: Option<Vec<u64>>,
}

impl Source for Storage {
    fn name(&self) -> String {
        "storage".into()
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    fn storage_chunks(&self) -> Option<Vec<u64>> {
        self.chunks.clone()
    }

    fn read(&self, _start: &[u64], _out: AnyViewMut<'_>) -> Result<()> {
        Ok(())
    }
}

fn stored(shape: &[u64], chunks: &[u64]) -> Array<f64> {
    let source = Storage { shape: shape.to_vec(), chunks: None };
    from_source(Arc::new(source), chunks.to_vec()).cast_to()
}

fn stored_in_chunks(shape: &[u64], chunks: &[u64]) -> Array<f64> {
    let source = Storage { shape: shape.to_vec(), chunks: Some(chunks.to_vec()) };
    from_source(Arc::new(source), chunks.to_vec()).cast_to()
}

/// Blocks that no rule can look into.
fn opaque(shape: &[u64], chunks: &[u64]) -> Array<f64> {
    ones::<f64>(shape, chunks.to_vec()).map_blocks(|block, _| block.to_owned())
}

fn imported<T: Element>(arrays: &[&Array<T>]) -> Plan<ArrayOp> {
    let nodes: Vec<_> =
        arrays.iter().map(|array| Arc::clone(array.handle.node().expect("no error"))).collect();
    import(&nodes)
}

fn optimized<T: Element>(arrays: &[&Array<T>]) -> Plan<ArrayOp> {
    let mut plan = imported(arrays);
    optimize(&mut plan, true).expect("the rules keep their promises");
    plan.check().expect("the plan is whole");
    plan
}

/// The live operations with the positions of their inputs, and the positions of the results.
fn structure(plan: &Plan<ArrayOp>) -> (Vec<(ArrayOp, Vec<usize>)>, Vec<usize>) {
    let ids = plan.topological();
    let position = |id: &NodeId| ids.iter().position(|other| other == id).expect("it is live");
    let nodes = ids
        .iter()
        .map(|&id| (plan.op(id).clone(), plan.inputs(id).iter().map(position).collect()))
        .collect();
    (nodes, plan.roots().iter().map(position).collect())
}

/// The names of the live operations, inputs before users.
fn names(plan: &Plan<ArrayOp>) -> Vec<String> {
    let name = |id: &NodeId| {
        let text = format!("{:?}", plan.op(*id));
        text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
    };
    plan.topological().iter().map(name).collect()
}

#[track_caller]
fn same_plan<T: Element>(late: &Array<T>, early: &Array<T>) {
    let (late, early) = (optimized(&[late]), optimized(&[early]));
    assert_eq!(structure(&late), structure(&early));
}

#[track_caller]
fn check_names(array: &Array<f64>, expected: &[&str]) {
    assert_eq!(names(&optimized(&[array])), expected);
}

/// Entries like those of ndarray's `s![]`, which this crate can't use because it allows unsafe code.
macro_rules! s {
    ($($range:expr $(; $step:expr)?),*) => {
        vec![$(s!(@entry $range $(, $step)?)),*]
    };
    (@entry $range:expr) => { Index::from($range) };
    (@entry $range:expr, $step:expr) => { with_step(Index::from($range), $step) };
}

fn with_step(index: Index, step: i64) -> Index {
    match index {
        Index::Slice { start, stop, .. } => Index::Slice { start, stop, step: Some(step) },
        other => other,
    }
}

#[test]
fn slices_move_through_elementwise_operations() {
    let (x, y) = (opaque(&[10, 4], &[3, 4]), opaque(&[10, 4], &[3, 4]));
    same_plan(&(&x + &y).slice(s![..5, ..]), &(x.slice(s![..5, ..]) + y.slice(s![..5, ..])));
    let relu = |x: &Array<f64>, y: &Array<f64>| where_(&x.gt(1.0), y, 0.0).sqrt();
    let part = |x: &Array<f64>| x.slice(s![2..;3, 1]);
    same_plan(&part(&relu(&x, &y)), &{
        let kept = |x: &Array<f64>| x.slice(s![2..;3, 1..2]);
        relu(&kept(&x), &kept(&y)).squeeze(1)
    });
}

#[test]
fn slices_of_what_broadcasts_take_only_the_axes_that_are_not_repeated() {
    let (x, row) = (opaque(&[10, 4], &[5, 4]), opaque(&[1, 4], &[1, 4]));
    let late = (&x * &row).slice(s![..5, 1..3]);
    same_plan(&late, &(x.slice(s![..5, 1..3]) * row.slice(s![.., 1..3])));
    let wide = row.broadcast_to([8, 4]);
    same_plan(&wide.slice(s![..5, 1..3]), &row.slice(s![.., 1..3]).broadcast_to([5, 2]));
}

#[test]
fn slices_move_through_axes() {
    let x = opaque(&[10, 4, 6], &[5, 2, 3]);
    same_plan(&x.transpose().slice(s![1..3, .., ..5]), &x.slice(s![..5, .., 1..3]).transpose());
    same_plan(
        &x.expand_dims(1).slice(s![..5, .., .., ..]),
        &x.slice(s![..5, .., ..]).expand_dims(1),
    );
}

#[test]
fn slices_drop_parts_of_a_concatenation() {
    let (x, y) = (opaque(&[4, 3], &[2, 3]), opaque(&[6, 3], &[3, 3]));
    let joined = concatenate(&[x.clone(), y.clone()], 0);
    same_plan(&joined.slice(s![1..3, ..]), &x.slice(s![1..3, ..]));
    same_plan(&joined.slice(s![4.., ..]), &y);
    let across = concatenate(&[x.slice(s![2.., ..]), y.slice(s![..1, ..])], 0);
    same_plan(&joined.slice(s![2..5, ..]), &across);
    let backwards = concatenate(&[y.slice(s![..;-1, ..]), x.slice(s![..;-1, ..])], 0);
    same_plan(&joined.slice(s![..;-1, ..]), &backwards);
    let other_axis = concatenate(&[x.slice(s![.., 1..]), y.slice(s![.., 1..])], 0);
    same_plan(&joined.slice(s![.., 1..]), &other_axis);
}

#[test]
fn one_of_a_stack_is_that_one() {
    let (x, y) = (opaque(&[4, 3], &[2, 3]), opaque(&[4, 3], &[2, 3]));
    let stacked = stack(&[x, y.clone()], 0);
    same_plan(&stacked.slice(s![1, .., ..]), &y);
    same_plan(&stacked.slice(s![1, 1..3, ..]), &y.slice(s![1..3, ..]));
}

#[test]
fn slices_of_whole_leading_axes_move_through_a_reshape() {
    let x = opaque(&[8, 3, 4], &[2, 3, 4]);
    same_plan(&x.reshape([8, 12]).slice(s![2..4, ..]), &x.slice(s![2..4, .., ..]).reshape([2, 12]));
    let inside = x.reshape([8, 12]).slice(s![.., 2..4]);
    assert!(
        names(&optimized(&[&inside])).last().is_some_and(|last| last == "Slice"),
        "{:?}",
        optimized(&[&inside])
    );
}

#[test]
fn slices_of_kept_axes_move_through_a_reduction() {
    let x = opaque(&[10, 4, 6], &[5, 2, 3]);
    same_plan(&x.sum(1).slice(s![..5, 3..]), &x.slice(s![..5, .., 3..]).sum(1));
    same_plan(&x.std([0, 2]).slice(s![2..]), &x.slice(s![.., 2.., ..]).std([0, 2]));
}

#[test]
fn slices_move_through_a_rechunk() {
    let x = opaque(&[12, 4], &[3, 4]);
    same_plan(&x.rechunk([6, 2]).slice(s![..6, ..]), &x.slice(s![..6, ..]).rechunk([6, 2]));
}

#[test]
fn slices_move_into_reads_and_creation() {
    let x = stored(&[100, 40], &[10, 40]);
    let part = ((&x + 1.0) * 2.0).transpose().slice(s![3..;2, 10..20]).slice(s![1, ..]);
    check_names(&part, &["Read", "Elemwise", "Elemwise", "Permute"]);
    let plan = optimized(&[&part]);
    let ArrayOp::Read(read) = plan.op(plan.topological()[0]) else { panic!("no read") };
    let lengths: Vec<u64> = read.window.iter().map(|window| window.len).collect();
    assert_eq!(lengths, [10, 1]);
    let range = arange(0.0, 100.0, 1.0, [10]).slice(s![5..8]);
    check_names(&range, &["Create"]);
}

#[test]
fn slices_of_what_is_taken_take_less() {
    let x = opaque(&[10, 4], &[5, 2]);
    let taken = x.take([7, 0, 3, 3, 9, 1], 0);
    same_plan(&taken.slice(s![.., ..2]), &x.slice(s![.., ..2]).take([7, 0, 3, 3, 9, 1], 0));
    check_names(&taken.slice(s![1..4;2, 1..]), &["Create", "Blockwise", "Slice", "Take"]);
    let plan = optimized(&[&taken.slice(s![1..4;2, ..])]);
    let ArrayOp::Take(take) = plan.op(plan.roots()[0]) else { panic!("{plan:?}") };
    assert_eq!(take.index[..], [0, 3]);
    // A run is a slice from the beginning.
    same_plan(&x.take([2, 3, 4], 0), &x.slice(s![2..5, ..]));
    // Somebody else wants all that was taken.
    let plan = optimized(&[&taken.slice(s![..1, ..]), &(&taken + 1.0)]);
    assert_eq!(names(&plan).iter().filter(|name| *name == "Take").count(), 1);
}

#[test]
fn ends_that_are_padded_are_not_read_for_the_middle() {
    let x = opaque(&[12], &[4]);
    let modes = [PadMode::Constant(1.0), PadMode::Edge, PadMode::Reflect, PadMode::Wrap];
    for mode in modes {
        same_plan(&x.pad((3, 2), mode).slice(s![7..9]), &x.slice(s![4..6]));
    }
    same_plan(&x.roll(5, 0).slice(s![..5]), &x.slice(s![7..]));
    same_plan(&x.insert(4, &opaque(&[2], &[2]), 0).slice(s![..3]), &x.slice(s![..3]));
}

#[test]
fn kernels_of_blocks_that_are_equal_run_once() {
    let x = opaque(&[12], &[4]);
    let plan = optimized(&[&x.cumsum(0), &x.cumsum(0)]);
    assert_eq!(plan.roots()[0], plan.roots()[1]);
    let plan = optimized(&[&x.cumsum(0), &x.cumprod(0)]);
    assert_ne!(plan.roots()[0], plan.roots()[1]);
    let (mask, other) = (x.gt(1.0), x.gt(2.0));
    let plan = optimized(&[&x.mask(&mask), &x.mask(&mask), &x.mask(&other)]);
    assert_eq!(plan.roots()[0], plan.roots()[1]);
    assert_ne!(plan.roots()[0], plan.roots()[2]);
}

#[test]
fn slices_compose() {
    let x = opaque(&[100], &[10]);
    same_plan(&x.slice(s![10..90;2]).slice(s![..;-3]), &x.slice(s![10..89;2]).slice(s![..;-3]));
    check_names(&x.slice(s![10..90;2]).slice(s![..;-3]), &["Create", "Blockwise", "Slice"]);
    same_plan(&x.slice(s![..;-1]).slice(s![..;-1]), &x);
}

#[test]
fn rechunks_merge_and_move_into_creation_and_reads() {
    let x = opaque(&[12, 12], &[3, 4]);
    same_plan(&x.rechunk([2, 12]).rechunk([12, 1]).rechunk([6, 6]), &x.rechunk([6, 6]));
    same_plan(&x.rechunk([2, 12]).rechunk([3, 4]), &x);
    same_plan(&ones::<f64>([12, 12], [3, 4]).rechunk([6, 6]), &ones::<f64>([12, 12], [6, 6]));
    check_names(&stored(&[100, 40], &[10, 40]).rechunk([20, 40]), &["Read"]);
    check_names(&stored_in_chunks(&[100, 40], &[10, 40]).rechunk([20, 40]), &["Read"]);
}

#[test]
fn moves_of_axes_compose() {
    let x = opaque(&[4, 6, 8], &[2, 3, 4]);
    same_plan(&x.transpose().transpose(), &x);
    same_plan(&x.transpose().swapaxes(0, 1), &x.permute_axes([1, 2, 0]));
    same_plan(&x.expand_dims(0).squeeze(0), &x);
    same_plan(&x.flip(1).flip([0, 1]), &x.flip(0));
}

#[test]
fn what_is_written_twice_stands_there_once() {
    let x = opaque(&[4], &[2]);
    let twice = (&x + 1.0) * (&x + 1.0);
    check_names(&twice, &["Create", "Blockwise", "Elemwise", "Elemwise"]);
    let [a, b] = [&x.sum(0) + 2.0, &x.sum(0) + 2.0];
    let plan = optimized(&[&a, &b]);
    assert_eq!(plan.roots()[0], plan.roots()[1]);
    // Zeros of either sign are equal numbers and not the same.
    let plan = optimized(&[&(&x / 0.0), &(&x / -0.0)]);
    assert_ne!(plan.roots()[0], plan.roots()[1]);
    // Equal only once other rules have worked.
    let plan = optimized(&[&x.transpose().slice(s![1..]), &x.slice(s![..]).slice(s![1..])]);
    assert_eq!(plan.roots()[0], plan.roots()[1]);
}

#[test]
fn shared_work_is_not_duplicated() {
    let x = opaque(&[10], &[5]);
    let y = (&x + 1.0).sqrt();
    let n_elemwise = |arrays: &[&Array<f64>]| {
        names(&optimized(arrays)).iter().filter(|name| *name == "Elemwise").count()
    };
    // Both parts, and the whole: the root is computed once.
    let parts = [&y.slice(s![..5]), &y.slice(s![5..]), &y];
    assert_eq!(n_elemwise(&parts), n_elemwise(&[&y]));
    // A reduction of the whole, and a part.
    let sum = y.sum(0);
    assert_eq!(n_elemwise(&[&sum, &y.slice(s![..5])]), n_elemwise(&[&sum]));
    // What costs nothing may be done twice.
    let range: Array<f64> = ones([10], [5]);
    let plan = optimized(&[&range.slice(s![..5]), &range.slice(s![2..])]);
    assert_eq!(names(&plan), ["Create", "Create"]);
}

#[test]
fn a_read_of_which_somebody_wants_all_is_not_split() {
    let x = stored(&[100], &[10]);
    let plan = optimized(&[&x.slice(s![..10]), &(&x + 1.0)]);
    assert_eq!(names(&plan).iter().filter(|name| *name == "Read").count(), 1);
    let plan = optimized(&[&x.slice(s![..10]), &x.slice(s![50..60])]);
    assert_eq!(names(&plan), ["Read", "Read"]);
}

#[test]
fn a_misaligned_rechunk_stays_out_of_a_chunked_source() {
    let x = stored_in_chunks(&[100, 40], &[10, 40]);
    check_names(&x.rechunk([15, 40]), &["Read", "Rechunk"]);
    check_names(&x.rechunk([20, 20]), &["Read", "Rechunk"]);
    // Nor into a file whose rows would be read in tiny pieces.
    check_names(&stored(&[1000, 4000], &[10, 4000]).rechunk([1000, 4]), &["Read", "Rechunk"]);
}

#[test]
fn a_reduction_is_not_sliced_along_its_axis() {
    let x = opaque(&[10, 4], &[5, 4]);
    let kept = x.sum(crate::array::over(0).keepdims());
    same_plan(
        &kept.slice(s![.., 1..]),
        &x.slice(s![.., 1..]).sum(crate::array::over(0).keepdims()),
    );
    check_names(&kept.slice(s![0..0, ..]), &["Create", "Blockwise", "Reduce", "Slice"]);
}

/// Expressions that use every rule.
fn expressions() -> Vec<Array<f64>> {
    let (x, y) = (opaque(&[6, 8], &[2, 4]), stored(&[8, 6], &[4, 6]));
    let z: Array<f64> = ones([6, 8], [3, 8]);
    vec![
        (&x + &y.transpose()).slice(s![1..5, ..;-2]).rechunk([2, 2]),
        concatenate(&[x.clone(), z.rechunk([2, 4])], 0).reshape([4, 3, 8]).slice(s![1, .., ..]),
        (&x - &x.mean(crate::array::over(0).keepdims())).slice(s![.., ..4]).std(1),
        x.matmul(&y).transpose().slice(s![..2, ..]),
        stack(&[z.clone(), x.clone()], 2).reshape([96]).rechunk(7).slice(s![3..50]),
        x.take([5, 0, 0, 3], 0).slice(s![..;-1, 2..7]).cumsum(1).pad(2, PadMode::Reflect),
        x.assign(s![1..3, ..;2], 7.0).roll(3, 1).tile([2, 1]).slice(s![4..7, 5..]).diff(1, 0),
        where_(&z.gt(0.5), &x, y.transpose()).flip(..).expand_dims(0).broadcast_to([3, 6, 8]),
    ]
}

#[test]
fn every_rule_keeps_the_meta_of_the_results() {
    for array in expressions() {
        let before = imported(&[&array]);
        let after = optimized(&[&array]);
        assert_eq!(before.meta(before.roots()[0]), after.meta(after.roots()[0]));
    }
}

#[test]
fn rewriting_again_changes_nothing() {
    for array in expressions() {
        let mut plan = optimized(&[&array]);
        let once = structure(&plan);
        let trace = optimize(&mut plan, true).unwrap();
        assert_eq!(structure(&plan), once);
        assert_eq!(trace, Trace::default());
    }
}

#[test]
fn every_rule_is_used_by_some_expression() {
    let mut used = Vec::new();
    let x = opaque(&[4], &[2]);
    let twice = x.slice(s![1..]).slice(s![1..]);
    let late = x.rechunk(1).rechunk(4);
    let moved = ones::<f64>([4, 2], [2, 2]).transpose();
    let one_part = concatenate(&[late.clone(), late.clone()], 0).slice(s![1..3]);
    for array in expressions().iter().chain([&late, &moved, &one_part, &twice]) {
        let trace = optimize(&mut imported(&[array]), true).unwrap();
        used.extend(trace.0.iter().map(|(name, _)| *name));
    }
    for rule in SIMPLIFY.iter().chain(ALIGN) {
        assert!(used.contains(&rule.name()), "{} is never used", rule.name());
    }
}

/// Takes a cast away, which changes the dtype.
struct DropCast;

impl Rule<ArrayOp> for DropCast {
    fn name(&self) -> &'static str {
        "DropCast"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Elemwise(_) = plan.op(id) else { return Ok(None) };
        Ok(Some(plan.inputs(id)[0]))
    }
}

/// Rechunks a rechunk, for ever.
struct RechunkMore;

impl Rule<ArrayOp> for RechunkMore {
    fn name(&self) -> &'static str {
        "RechunkMore"
    }

    fn apply(&self, plan: &mut Plan<ArrayOp>, id: NodeId) -> Result<Option<NodeId>> {
        let ArrayOp::Rechunk(chunks) = plan.op(id).clone() else { return Ok(None) };
        let between =
            plan.push(ArrayOp::Rechunk(chunks.clone()), plan.inputs(id).to_vec().as_slice())?;
        Ok(Some(plan.push(ArrayOp::Rechunk(chunks), &[between])?))
    }
}

#[track_caller]
fn check_caught(array: &Array<i32>, rule: &dyn Rule<ArrayOp>) {
    let mut plan = imported(&[array]);
    match rewrite(&mut plan, &[rule], &mut Trace::default()) {
        Err(Error::Internal { place, .. }) => assert_eq!(place, format!("rule {}", rule.name())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_rules_are_caught_and_named() {
    let x = opaque(&[8], &[2]).cast::<i32>();
    check_caught(&x, &DropCast);
    check_caught(&x.rechunk(ChunkSpec::from(4)), &RechunkMore);
}
