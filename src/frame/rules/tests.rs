//! Structural tests: two ways to write the same thing become the same plan, and what must not be rewritten is not.

use std::sync::{Arc, Mutex};

use polars_core::df;
use polars_core::prelude::{
    Column, DataFrame as PolarsFrame, DataType, PlSmallStr, Scalar, SchemaRef,
};

use super::*;
use crate::config::Config;
use crate::frame::io::{PartStats, Request, Source};
use crate::frame::op::Handle;
use crate::frame::{DataFrame, Expr, JoinHow, col, len, lit};
use crate::graph::{NodeId, import};

/// Ten rows in each of some parts, with statistics of their integers; remembers what was read.
#[derive(Debug)]
struct Table {
    schema: SchemaRef,
    n_parts: usize,
    knows_rows: bool,
    reads: Mutex<Vec<(usize, Request)>>,
}

const ROWS: i64 = 10;

impl Table {
    fn rows(part: usize) -> PolarsFrame {
        let ids: Vec<i64> = (0..ROWS).map(|i| part as i64 * ROWS + i).collect();
        let tens: Vec<i64> = ids.iter().map(|id| id % 10).collect();
        let halves: Vec<f64> = ids.iter().map(|id| *id as f64 / 2.0).collect();
        let names: Vec<String> = ids.iter().map(|id| format!("n{id}")).collect();
        df!["id" => ids, "ten" => tens, "half" => halves, "name" => names].unwrap()
    }

    fn reads(&self) -> Vec<(usize, Request)> {
        let mut reads = std::mem::take(&mut *self.reads.lock().unwrap());
        reads.sort_by_key(|(part, _)| *part);
        reads
    }

    fn parts_read(&self) -> Vec<usize> {
        self.reads().into_iter().map(|(part, _)| part).collect()
    }
}

impl Source for Table {
    fn name(&self) -> String {
        "table".into()
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn n_parts(&self) -> usize {
        self.n_parts
    }

    fn n_rows(&self, _part: usize) -> Option<u64> {
        self.knows_rows.then_some(ROWS as u64)
    }

    fn nbytes(&self, _part: usize, columns: &[PlSmallStr]) -> u64 {
        80 * columns.len() as u64
    }

    fn scratch_bytes(&self, _part: usize, _columns: &[PlSmallStr]) -> u64 {
        0
    }

    fn stats(&self, part: usize, column: &str) -> Option<PartStats> {
        let first = part as i64 * ROWS;
        let [min, max] = [first, first + ROWS - 1].map(Scalar::from);
        (column == "id").then_some(PartStats { min, max, n_nulls: Some(0) })
    }

    fn read(&self, part: usize, request: &Request) -> Result<PolarsFrame> {
        self.reads.lock().unwrap().push((part, request.clone()));
        let rows = Table::rows(part);
        let columns: Vec<Column> =
            request.columns.iter().map(|name| rows.column(name).unwrap().clone()).collect();
        Ok(PolarsFrame::new(ROWS as usize, columns).unwrap())
    }
}

fn table_of(n_parts: usize, knows_rows: bool) -> (Arc<Table>, DataFrame) {
    let schema = Arc::clone(Table::rows(0).schema());
    let table = Arc::new(Table { schema, n_parts, knows_rows, reads: Mutex::default() });
    let source = Arc::clone(&table) as Arc<dyn Source>;
    (table, DataFrame::of(Handle::from_result(crate::frame::ops::rows::scan(source))))
}

fn table() -> DataFrame {
    table_of(4, true).1
}

/// Rows that no rule can look into.
fn opaque(frame: &DataFrame) -> DataFrame {
    frame.map_partitions(frame.schema().unwrap(), |rows, _| Ok(rows))
}

fn imported(frames: &[&DataFrame]) -> Plan<FrameOp> {
    let nodes: Vec<_> =
        frames.iter().map(|frame| Arc::clone(frame.handle().node().expect("no error"))).collect();
    import(&nodes)
}

fn optimized(frames: &[&DataFrame]) -> Plan<FrameOp> {
    let (plan, _) = optimize(imported(frames), true).expect("the rules keep their promises");
    plan.check().expect("the plan is whole");
    plan
}

/// The live operations with the positions of their inputs, and the positions of the results.
fn structure(plan: &Plan<FrameOp>) -> (Vec<(FrameOp, Vec<usize>)>, Vec<usize>) {
    let ids = plan.topological();
    let position = |id: &NodeId| ids.iter().position(|other| other == id).expect("it is live");
    let nodes = ids
        .iter()
        .map(|&id| (plan.op(id).clone(), plan.inputs(id).iter().map(position).collect()))
        .collect();
    (nodes, plan.roots().iter().map(position).collect())
}

/// What plans print of the live operations, inputs before users.
fn lines(plan: &Plan<FrameOp>) -> Vec<String> {
    plan.topological().iter().map(|id| plan.op(*id).to_string()).collect()
}

/// Both become the same plan, in which the second one needs no other rules than pruning.
#[track_caller]
fn same_plan(late: &DataFrame, early: &DataFrame) {
    let (late, early) = (optimized(&[late]), optimized(&[early]));
    assert_eq!(structure(&late), structure(&early), "{:#?}\n{:#?}", lines(&late), lines(&early));
}

/// What is written is what runs.
#[track_caller]
fn stays(frame: &DataFrame) {
    let plan = optimized(&[frame]);
    assert_eq!(structure(&plan), structure(&imported(&[frame])), "{:#?}", lines(&plan));
}

#[track_caller]
fn check_lines(frames: &[&DataFrame], expected: &[&str]) {
    assert_eq!(lines(&optimized(frames)), expected);
}

#[track_caller]
fn fires(frame: &DataFrame, rule: &str, expected: bool) {
    let (plan, trace) = optimize(imported(&[frame]), true).unwrap();
    let fired = trace.0.iter().any(|(name, _)| *name == rule);
    assert_eq!(fired, expected, "{trace:?} {:#?}", lines(&plan));
    let text = frame.explain().unwrap().to_string();
    assert_eq!(text.contains(&format!("{rule} ×")), expected, "{text}");
}

fn strict(name: &str) -> Expr {
    col(name).strict_cast(DataType::Int64)
}

#[test]
fn filters_merge() {
    let rows = opaque(&table());
    let (a, b) = (col("id").gt(3), col("ten").lt(7));
    same_plan(&rows.filter(a.clone()).filter(b.clone()), &rows.filter(a.and(b)));
    fires(&rows.filter(lit(true)), "EliminateFilter", true);
    same_plan(&rows.filter(lit(true)), &rows);
}

#[test]
fn a_filter_that_can_fail_sees_no_row_that_was_dropped_before() {
    let rows = opaque(&table());
    stays(&rows.filter(col("id").gt(3)).filter(strict("name").gt(3)));
    let user = col("id").map(|ids| Ok(ids.clone()), DataType::Int64);
    stays(&rows.filter(col("id").gt(3)).filter(user.gt(1)));
    let other = opaque(&table());
    stays(&rows.join(&other, "id", JoinHow::Inner).filter(strict("name").gt(3)));
    // In their order they may.
    fires(&rows.filter(strict("name").gt(3)).filter(col("id").gt(3)), "MergeFilter", true);
}

#[test]
fn a_filter_with_another_reader_is_not_merged() {
    let kept = opaque(&table()).filter(col("id").gt(3));
    let fewer = kept.filter(col("ten").gt(5));
    let plan = optimized(&[&kept, &fewer]);
    assert_eq!(structure(&plan), structure(&imported(&[&kept, &fewer])));
}

#[test]
fn selections_merge() {
    let rows = opaque(&table());
    let names = rows.select([col("id").alias("a"), col("ten").alias("b")]);
    same_plan(
        &names.select([(col("a") + col("b")).alias("sum"), col("a")]),
        &rows.select([(col("id") + col("ten")).alias("sum"), col("id").alias("a")]),
    );
    let computed = rows.select([(col("id") * 2).alias("a"), (col("ten") * 3).alias("b")]);
    same_plan(&computed.select([col("b")]), &rows.select([(col("ten") * 3).alias("b")]));
    same_plan(&computed.select([col("b").alias("c")]), &rows.select([(col("ten") * 3).alias("c")]));
    same_plan(&rows.rename([("id", "x")]).rename([("x", "id")]), &rows);
    same_plan(&rows.drop_columns(["half"]).drop_columns(["name"]), &rows.select(["id", "ten"]));
}

#[test]
fn no_column_is_computed_twice() {
    let rows = opaque(&table());
    let computed = rows.select([(col("id") * 2).alias("a"), col("ten")]);
    let once = rows.select([(col("id") * 2).alias("a")]);
    let twice = once.select([(col("a") + col("a")).alias("b")]);
    stays(&twice);
    stays(&twice.with_columns([(col("b") * 2).alias("c")]));
    stays(&once.select([col("a").alias("b"), col("a").alias("c")]));
    let uses = [&computed.select(["a"]), &computed.select(["a", "ten"])];
    let n_selects = lines(&optimized(&uses)).iter().filter(|l| l.contains("* 2")).count();
    assert_eq!(n_selects, 1);
}

#[test]
fn a_selection_of_everything_is_its_input() {
    let rows = opaque(&table());
    same_plan(&rows.select(["id", "ten", "half", "name"]), &rows);
    stays(&rows.select(["ten", "id", "half", "name"]));
    stays(&rows.select([col("id"), col("ten"), col("half"), col("id").alias("name")]));
}

#[test]
fn filters_move_below_selections_of_columns_that_are_passed_on() {
    let rows = opaque(&table());
    let more = [(col("id") * 2).alias("twice"), col("ten").alias("digit")];
    same_plan(
        &rows.with_columns(more.clone()).filter(col("digit").gt(3)),
        &rows.filter(col("ten").gt(3)).with_columns(more.clone()),
    );
    // What is computed is not computed again for the filter.
    stays(&rows.with_columns(more.clone()).filter(col("twice").gt(3)));
    same_plan(
        &rows.with_columns(more.clone()).filter(col("twice").gt(3).and(col("id").lt(9))),
        &rows.filter(col("id").lt(9)).with_columns(more).filter(col("twice").gt(3)),
    );
    // A literal as a column has a dtype.
    stays(&rows.with_columns([lit(1).alias("one")]).filter(col("one").eq(col("ten"))));
}

#[test]
fn a_filter_below_which_somebody_else_reads_stays() {
    let more = opaque(&table()).with_columns([(col("id") * 2).alias("twice")]);
    let uses = [&more, &more.filter(col("id").gt(3))];
    assert_eq!(structure(&optimized(&uses)), structure(&imported(&uses)));
}

#[test]
fn filters_move_into_the_frames_of_a_concatenation() {
    let (x, y) = (opaque(&table()), opaque(&table()));
    let p = col("id").gt(3);
    same_plan(
        &DataFrame::concat([&x, &y]).filter(p.clone()),
        &DataFrame::concat([&x.filter(p.clone()), &y.filter(p)]),
    );
}

#[test]
fn filters_move_below_sorts_but_not_below_the_first_rows() {
    let rows = opaque(&table());
    let p = col("id").gt(3);
    same_plan(
        &rows.sort("ten", false).filter(p.clone()),
        &rows.filter(p.clone()).sort("ten", false),
    );
    stays(&rows.top_k(3, "ten").filter(p.clone()));
    stays(&rows.head(3).filter(p.clone()));
    stays(&opaque(&rows).filter(p));
}

fn sides() -> (DataFrame, DataFrame) {
    let right = table().select([
        col("id"),
        col("half").alias("price"),
        col("ten"),
        col("name").alias("label"),
    ]);
    (opaque(&table()), opaque(&right))
}

#[test]
fn filters_move_to_the_side_of_a_join_that_has_their_columns() {
    use JoinHow as J;
    let (left, right) = sides();
    let joined = |how| left.join(&right, "id", how);
    let of_left = col("half").gt(1.0);
    for how in [J::Inner, J::Left, J::Semi, J::Anti] {
        same_plan(
            &joined(how).filter(of_left.clone()),
            &left.filter(of_left.clone()).join(&right, "id", how),
        );
    }
    for how in [J::Right, J::Full] {
        stays(&joined(how).filter(of_left.clone()));
    }
    let of_right = col("price").gt(1.0);
    for how in [J::Inner, J::Right] {
        same_plan(
            &joined(how).filter(of_right.clone()),
            &left.join(&right.filter(of_right.clone()), "id", how),
        );
    }
    for how in [J::Left, J::Full] {
        stays(&joined(how).filter(of_right.clone()));
    }
    // The name of a column of both sides tells whose it is.
    same_plan(
        &joined(J::Inner).filter(col("ten_right").gt(1).and(col("ten").gt(2))),
        &left.filter(col("ten").gt(2)).join(&right.filter(col("ten").gt(1)), "id", J::Inner),
    );
    // What looks at both sides stays, the rest moves.
    let both = col("half").lt(col("price"));
    same_plan(
        &joined(J::Inner).filter(both.clone().and(of_left.clone()).and(of_right.clone())),
        &left
            .filter(of_left.clone())
            .join(&right.filter(of_right.clone()), "id", J::Inner)
            .filter(both),
    );
    stays(&joined(J::Inner).filter(of_left.clone().or(of_right.clone())));
    let crossed = left.cross_join(&right);
    same_plan(
        &crossed.filter(of_left.clone().and(of_right.clone())),
        &left.filter(of_left).cross_join(&right.filter(of_right)),
    );
}

#[test]
fn what_all_branches_of_an_or_have_in_common_moves() {
    let (left, right) = sides();
    let joined = left.join(&right, "id", JoinHow::Inner);
    let common = col("half").gt(1.0);
    let (a, b) = (col("price").gt(3.0), col("ten").gt(5));
    same_plan(
        &joined.filter(common.clone().and(a.clone()).or(common.clone().and(b.clone()))),
        &left.filter(common).join(&right, "id", JoinHow::Inner).filter(a.or(b)),
    );
}

#[test]
fn filters_of_keys_move_below_groups() {
    let rows = opaque(&table());
    let groups = |rows: &DataFrame| rows.group_by(["ten"]).agg([col("id").sum(), len()]);
    let (of_keys, of_sums) = (col("ten").gt(3), col("id").gt(20));
    same_plan(&groups(&rows).filter(of_keys.clone()), &groups(&rows.filter(of_keys.clone())));
    stays(&groups(&rows).filter(of_sums.clone()));
    same_plan(
        &groups(&rows).filter(of_sums.clone().and(of_keys.clone())),
        &groups(&rows.filter(of_keys)).filter(of_sums.clone()),
    );
    let computed = |rows: &DataFrame| rows.group_by([(col("id") / 2).alias("pair")]).agg([len()]);
    same_plan(
        &computed(&rows).filter(col("pair").gt(3)),
        &computed(&rows.filter((col("id") / 2).gt(3))),
    );
    // One row comes of no rows.
    stays(&rows.agg([col("id").sum()]).filter(col("id").gt(3)));
}

#[test]
fn filters_become_conditions_of_scans_and_stay() {
    let kept = table().filter(col("id").gt(35).and(col("half").lt(col("ten"))));
    check_lines(
        &[&kept],
        &["scan table where id > 35", r#"filter (col("id") > 35) & (col("half") < col("ten"))"#],
    );
    let renamed =
        table().rename([("id", "x"), ("ten", "y")]).filter(col("x").gt(35).and(col("y").lt(3)));
    assert_eq!(lines(&optimized(&[&renamed]))[0], "scan table where id > 35 and ten < 3");
    // Others want all rows.
    let rows = table();
    let plan = optimized(&[&rows, &rows.filter(col("id").gt(35))]);
    assert_eq!(lines(&plan)[0], "scan table");
    // The first rows are not the first that fulfil something.
    let first = rows.head(7).filter(col("id").gt(3));
    assert_eq!(lines(&optimized(&[&first]))[0], "scan table rows 7");
}

#[test]
fn slices_merge_and_move_below_selections_into_sorts_and_scans() {
    let rows = opaque(&table());
    same_plan(&rows.slice(5, 10).slice(3, 4), &rows.slice(8, 4));
    same_plan(&rows.head(10).slice(8, 4), &rows.slice(8, 2));
    same_plan(&rows.head(10).slice(12, 4), &rows.slice(12, 0));
    same_plan(
        &rows.select([(col("id") * 2).alias("a")]).head(3),
        &rows.head(3).select([(col("id") * 2).alias("a")]),
    );
    check_lines(
        &[&rows.sort("ten", false).slice(2, 3)],
        &["scan table", "map_partitions", "sort by ten, first 5", "slice 2, 3"],
    );
    same_plan(&rows.top_k(3, "ten"), &rows.top_k(3, "ten").slice(0, 3).slice(0, 3));
    check_lines(&[&table().slice(2, 3)], &["scan table rows 5", "slice 2, 3"]);
    stays(&rows.filter(col("id").gt(3)).head(3));
    let sorted = rows.sort("ten", false);
    let uses = [&sorted, &sorted.head(3)];
    assert_eq!(structure(&optimized(&uses)), structure(&imported(&uses)));
}

fn columns_read(frames: &[&DataFrame]) -> Vec<String> {
    let plan = optimized(frames);
    let scans = plan.topological().into_iter().filter_map(|id| match plan.op(id) {
        FrameOp::Scan(scan) => Some(scan.columns.join(" ")),
        _ => None,
    });
    scans.collect()
}

#[test]
fn only_columns_that_are_needed_are_read() {
    let rows = table();
    let reads = |frame: &DataFrame| columns_read(&[frame]).join(", ");
    assert_eq!(reads(&rows), "id ten half name");
    assert_eq!(reads(&rows.select([col("id") + col("ten")])), "id ten");
    assert_eq!(reads(&rows.with_columns([(col("id") * 2).alias("x")]).select(["name"])), "name");
    assert_eq!(reads(&rows.filter(col("ten").gt(3)).select(["id"])), "id ten");
    assert_eq!(reads(&rows.head(3).select(["id"])), "id");
    assert_eq!(reads(&rows.sort("ten", false).select(["id"])), "id ten");
    assert_eq!(reads(&rows.group_by(["ten"]).agg([col("id").sum()])), "id ten");
    assert_eq!(reads(&rows.agg([col("half").mean()])), "half");
    assert_eq!(reads(&opaque(&rows).select(["id"])), "id ten half name");
    let sums = rows.group_by(["ten"]).agg([col("id").sum(), col("half").sum()]);
    assert_eq!(reads(&sums.select(["ten", "half"])), "ten half");
    assert_eq!(reads(&sums.select(["half"])), "ten half");
    assert_eq!(reads(&rows.unique_by(["ten"]).select(["half"])), "ten half");
    assert_eq!(reads(&rows.filter(col("ten").gt(3)).agg([len()])), "ten");
    let both = DataFrame::concat([&rows, &table().sort("half", false)]).select(["id"]);
    assert_eq!(reads(&both), "id, id half");
}

#[test]
fn joins_read_keys_and_what_names_depend_on() {
    let (left, right) = (table(), table());
    let reads =
        |how, name: &str| columns_read(&[&left.join(&right, "id", how).select([name])]).join(", ");
    assert_eq!(reads(JoinHow::Inner, "ten"), "id ten, id");
    assert_eq!(reads(JoinHow::Inner, "ten_right"), "id ten, id ten");
    assert_eq!(reads(JoinHow::Left, "id"), "id, id");
    assert_eq!(reads(JoinHow::Semi, "ten"), "id ten, id");
    assert_eq!(reads(JoinHow::Anti, "name"), "id name, id");
    assert_eq!(reads(JoinHow::Full, "id_right"), "id, id");
    let crossed = left.cross_join(&right.select([col("half").alias("other")]));
    assert_eq!(columns_read(&[&crossed.select(["ten", "other"])]), ["ten", "half"]);
}

#[test]
fn two_users_read_the_union_of_their_columns_once() {
    let rows = table();
    let uses = [&rows.select(["id"]), &rows.agg([col("half").sum()])];
    assert_eq!(columns_read(&uses), ["id half"]);
    let joined =
        rows.select(["id", "ten"]).join(&rows.select(["id", "half"]), "id", JoinHow::Inner);
    assert_eq!(columns_read(&[&joined]), ["id ten half"]);
    let (table, rows) = table_of(4, true);
    crate::compute((rows.select(["id"]), rows.agg([col("half").sum()]))).unwrap();
    assert_eq!(table.parts_read(), [0, 1, 2, 3]);
}

#[test]
fn sorts_of_which_nobody_sees_the_order_are_dropped() {
    let rows = opaque(&table());
    let sorted = rows.sort("ten", false);
    let counts = || [col("id").sum(), col("name").max(), col("half").n_unique(), len()];
    same_plan(&sorted.agg(counts()), &rows.agg(counts()));
    fires(&sorted.agg(counts()), "DropSort", true);
    for kept in [
        sorted.agg([col("id").first()]),
        sorted.agg([col("id").arg_min()]),
        sorted.agg([col("id").implode()]),
        // Other last bits, another order of the groups, other rows.
        sorted.agg([col("half").sum()]),
        sorted.group_by(["ten"]).agg([col("id").sum()]),
        rows.top_k(3, "ten").agg([len()]),
    ] {
        fires(&kept, "DropSort", false);
    }
}

#[test]
fn shuffles_of_which_nobody_sees_the_partitions_are_dropped() {
    let (left, right) = (table(), table());
    let by_ten = |frame: &DataFrame| frame.repartition_by(["ten"]);
    let sums =
        |frame: &DataFrame| frame.agg([col("id").sum(), col("id").max().alias("max"), len()]);
    same_plan(&sums(&by_ten(&left)), &sums(&left));
    // Another order has other last bits, another first row, and groups in another order.
    for frame in [
        by_ten(&left).agg([col("half").sum()]),
        by_ten(&left).agg([col("id").first()]),
        by_ten(&left).group_by(["ten"]).agg([col("id").sum()]),
    ] {
        fires(&frame, "DropSort", false);
    }
    assert_eq!(n_shuffles(&by_ten(&right)), 1);
    assert_eq!(n_shuffles(&sums(&by_ten(&right))), 0);
    assert!(explained(&sums(&by_ten(&right))).contains("DropSort"));
}

#[test]
fn the_last_rows_of_an_order_need_no_sort() {
    let frame = table();
    let last = frame.sort("half", false).tail(3);
    assert!(explained(&last).contains("last 3"), "{}", explained(&last));
    assert_eq!(n_shuffles(&last), 0);
    let named = frame.sort("half", false).select(["id", "ten"]).tail(3);
    assert!(explained(&named).contains("last 3"), "{}", explained(&named));
    // Rows that are dropped behind a limit are not those that would be dropped before it.
    fires(&frame.sort("half", false).head(5).tail(3), "PushDownTail", false);
    let indexed = frame.set_index("half").tail(2);
    assert_eq!(indexed.index().unwrap(), Some("half".into()));
    for frame in [&last, &indexed] {
        let off = Config::new().with_optimize(false).scope(|| frame.compute().unwrap());
        assert!(frame.compute().unwrap().equals_missing(&off));
    }
}

#[test]
fn one_repartition_after_another_is_one() {
    let frame = table();
    same_plan(&frame.repartition(3).repartition(5), &frame.repartition(5));
    same_plan(&frame.repartition_bytes(9).repartition_by(["ten"]), &frame.repartition_by(["ten"]));
    let twice = frame.repartition_by(["ten"]).repartition_by(["ten"]);
    same_plan(&twice, &frame.repartition_by(["ten"]));
    // The order of the rows is that of the hash.
    stays(&frame.repartition_by(["ten"]).repartition(2));
    assert!(explained(&frame.repartition(3).repartition(5)).contains("MergeRepartition"));
}

fn explained(frame: &DataFrame) -> String {
    frame.explain().unwrap().to_string()
}

fn answer(table: &Arc<Table>, frame: &DataFrame) -> (PolarsFrame, usize) {
    let out = frame.compute().unwrap();
    (out, table.reads().len())
}

#[test]
fn sources_are_asked_before_they_are_read() {
    let (source, rows) = table_of(4, true);
    assert_eq!(rows.len().unwrap(), 40);
    assert_eq!(source.reads().len(), 0);
    fires(&rows.agg([len()]), "AnswerFromMetadata", true);
    check_lines(&[&rows.agg([len()])], &["scan metadata"]);
    let aggs = || {
        [
            len().alias("n"),
            col("id").min().alias("a"),
            (col("id").max() + 1).alias("b"),
            col("id").count().alias("c"),
            col("id").null_count().alias("d"),
        ]
    };
    let (out, n_reads) = answer(&source, &rows.agg(aggs()));
    assert_eq!(n_reads, 0);
    let read = Config::new().with_optimize(false).scope(|| answer(&source, &rows.agg(aggs())));
    assert_eq!(read.1, 4);
    assert!(out.equals(&read.0), "{out} {}", read.0);
    assert_eq!(out.schema(), read.0.schema());
    // Steps that keep the number of rows.
    let more = rows.with_columns([(col("id") * 2).alias("x")]).sort("ten", false);
    let more = DataFrame::concat([&more.drop_columns(["x"]), &rows]);
    assert_eq!(more.len().unwrap(), 80);
    assert_eq!(source.reads().len(), 0);
}

#[test]
fn what_metadata_does_not_say_is_read() {
    let (source, rows) = table_of(4, true);
    for frame in [
        rows.filter(col("ten").gt(3)).agg([len()]),
        rows.head(3).agg([len()]),
        rows.agg([len(), col("ten").max()]),
        rows.agg([col("id").sum()]),
        rows.agg([(col("id") + 1).max()]),
        rows.group_by(["ten"]).agg([len()]),
        opaque(&rows).agg([len()]),
        rows.unique().agg([len()]),
    ] {
        fires(&frame, "AnswerFromMetadata", false);
        frame.compute().unwrap();
        assert!(!source.reads().is_empty());
    }
    let (source, rows) = table_of(4, false);
    assert_eq!(rows.len().unwrap(), 40);
    assert_eq!(source.parts_read(), [0, 1, 2, 3]);
}

#[test]
fn parts_that_statistics_exclude_are_not_read() {
    let (source, rows) = table_of(8, true);
    let reads = |predicate: Expr, n_rows: usize| {
        let out = rows.filter(predicate).compute().unwrap();
        assert_eq!(out.height(), n_rows);
        source.parts_read()
    };
    assert_eq!(reads(col("id").gt(65), 14), [6, 7]);
    assert_eq!(reads(col("id").gt_eq(25).and(col("id").lt(30)), 5), [2]);
    assert_eq!(reads(col("id").eq(41), 1), [4]);
    assert_eq!(reads(col("id").is_in([5, 79]), 2), [0, 7]);
    assert_eq!(reads(col("id").eq(41).or(col("id").eq(43)), 2).len(), 8);
    assert!(reads(col("id").gt(100), 0).is_empty());
    assert!(reads(col("id").is_null(), 0).is_empty());
    assert_eq!(reads(col("ten").gt(100), 0).len(), 8);
    let text = rows.filter(col("id").gt(65)).explain().unwrap().to_string();
    assert!(text.contains("scan table where id > 65"), "{text}");
    let off = Config::new().with_optimize(false);
    off.scope(|| rows.filter(col("id").gt(65)).compute().unwrap());
    assert_eq!(source.parts_read().len(), 8);
}

#[test]
fn the_first_rows_read_the_first_parts() {
    let (source, rows) = table_of(8, true);
    for config in [Config::new(), Config::new().with_optimize(false)] {
        config.scope(|| {
            assert_eq!(rows.head(5).compute().unwrap().height(), 5);
            assert_eq!(source.parts_read(), [0]);
            assert_eq!(rows.slice(15, 10).compute().unwrap().height(), 10);
            assert_eq!(source.parts_read(), [1, 2]);
            let first = rows.with_columns([(col("id") * 2).alias("x")]).head(10);
            assert_eq!(first.compute().unwrap().height(), 10);
            assert_eq!(source.parts_read(), [0]);
        });
    }
    let out = rows.slice(15, 2).compute().unwrap();
    assert_eq!(out.column("id").unwrap(), &Column::new("id".into(), [15_i64, 16]));
    source.reads();
    assert_eq!(rows.slice(75, 10).compute().unwrap().height(), 5);
    assert_eq!(source.parts_read(), [7]);
    assert_eq!(rows.slice(20, 0).compute().unwrap().height(), 0);
    assert_eq!(rows.slice(30, 10).compute().unwrap().height(), 10);
    assert_eq!(source.parts_read().last(), Some(&3));
    assert_eq!(rows.slice(80, 10).compute().unwrap().height(), 0);
    assert_eq!(rows.head(0).compute().unwrap().width(), 4);
}

/// How many shuffles there are if everything is too large for one partition.
fn n_shuffles(frame: &DataFrame) -> usize {
    let small = Config::new().with_chunk_bytes(100);
    let text = small.scope(|| frame.explain().unwrap().to_string());
    text.matches("barrier").count()
}

#[test]
fn what_is_spread_by_its_keys_is_not_shuffled_again() {
    let (left, right) = (table(), table().select([col("ten"), col("half").alias("price")]));
    let groups = |frame: &DataFrame, keys: &[&str]| {
        let keys: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
        frame.group_by(keys).agg([len().alias("n")])
    };
    let one = left.group_by(["ten"]).agg([col("half").max(), col("name").max()]);
    assert_eq!(n_shuffles(&one), 1);
    assert_eq!(n_shuffles(&groups(&one, &["ten"])), 1);
    assert_eq!(n_shuffles(&groups(&one, &["ten", "half"])), 1);
    assert_eq!(n_shuffles(&groups(&one, &["half"])), 2);
    let two = groups(&left, &["ten", "name"]);
    assert_eq!(n_shuffles(&groups(&two, &["ten"])), 2);
    assert_eq!(n_shuffles(&groups(&two, &["name", "ten"])), 1);
    // Partitions have other ids, as their statistics say.
    assert_eq!(n_shuffles(&groups(&left, &["ten", "id"])), 0);
    use JoinHow as J;
    for (how, expected) in [(J::Inner, 2), (J::Left, 2), (J::Semi, 2), (J::Right, 2), (J::Full, 3)]
    {
        let joined = left.join(&right, "ten", how);
        assert_eq!(n_shuffles(&joined), 2, "{how:?}");
        let kept = joined.filter(col("ten").gt(2)).rename([("ten", "t")]);
        let counted = kept.group_by(["t"]).agg([len()]);
        assert_eq!(n_shuffles(&counted), expected, "{how:?}");
    }
    let joined = one.join(&right, "ten", J::Inner);
    assert_eq!(n_shuffles(&joined), 2);
    assert_eq!(
        n_shuffles(
            &joined.with_columns([(col("ten") + 1).alias("ten")]).group_by(["ten"]).agg([len()])
        ),
        3
    );
    assert_eq!(n_shuffles(&DataFrame::concat([&one, &one]).group_by(["ten"]).agg([len()])), 2);
    assert_eq!(n_shuffles(&opaque(&one).group_by(["ten"]).agg([col("half").sum()])), 2);
}

#[test]
fn the_side_of_a_join_that_is_copied_is_worth_it() {
    let rows = |n: i64, n_parts| {
        let frame = df!["k" => (0..n).collect::<Vec<_>>(), "v" => (0..n).collect::<Vec<_>>()];
        DataFrame::from_polars(&frame.unwrap(), n_parts)
    };
    let (many, some) = (rows(4000, 10), rows(3000, 2));
    let config = Config::new().with_chunk_bytes(50_000);
    let n = |frame: &DataFrame| {
        config.scope(|| frame.explain().unwrap().to_string()).matches("barrier").count()
    };
    // All ten partitions share one table.
    assert_eq!(n(&many.join(&some, "k", JoinHow::Inner)), 0);
    assert_eq!(n(&some.join(&many, "k", JoinHow::Right)), 0);
    // Rows of either side are wanted without a partner, and once.
    assert_eq!(n(&some.join(&many, "k", JoinHow::Full)), 2);
    // What is larger than a partition may be is never copied.
    assert_eq!(n(&many.join(&rows(4000, 10), "k", JoinHow::Inner)), 2);
    assert_eq!(n(&many.join(&rows(300, 2), "k", JoinHow::Inner)), 0);
    // A tenth of a tenth of the rows are few.
    let few = some.filter(col("v").eq(1)).filter(col("k").eq(1));
    assert_eq!(n(&many.join(&few, "k", JoinHow::Inner)), 0);
}

#[test]
fn counts_of_different_values_move_different_rows() {
    let frame = table().group_by(["ten"]).agg([col("half").n_unique(), col("id").sum()]);
    let text = Config::new().with_chunk_bytes(100).scope(|| frame.explain().unwrap().to_string());
    assert!(text.contains("distinct rows of"), "{text}");
    let median = table().group_by(["ten"]).agg([col("half").n_unique(), col("id").median()]);
    let text = Config::new().with_chunk_bytes(100).scope(|| median.explain().unwrap().to_string());
    assert!(text.contains("project"), "{text}");
}

#[test]
fn what_is_not_shuffled_again_has_the_same_rows() {
    let (left, right) = (table(), table().select([col("ten"), col("half").alias("price")]));
    let first = left.group_by(["ten", "id"]).agg([col("half").sum()]);
    let chains = [
        first.group_by(["id", "ten"]).agg([len()]).sort(["id", "ten"], false),
        left.join(&right, "ten", JoinHow::Inner)
            .group_by(["ten"])
            .agg([len(), col("price").median()])
            .sort("ten", false),
        left.group_by(["ten"])
            .agg([len()])
            .join(&right, "ten", JoinHow::Left)
            .sort(["ten", "price"], false),
        first.join_on(&right, "ten", "ten", JoinHow::Right).sort(["price", "id"], false),
    ];
    for chain in chains {
        let whole = chain.compute().unwrap();
        let spread = Config::new().with_chunk_bytes(100).scope(|| chain.compute().unwrap());
        assert!(spread.equals_missing(&whole), "{spread} {whole}");
    }
}

#[test]
fn a_source_without_parts_has_no_rows() {
    let (_, none) = table_of(0, true);
    for config in [Config::new(), Config::new().with_optimize(false)] {
        config.scope(|| {
            assert_eq!(none.compute().unwrap().shape(), (0, 4));
            assert_eq!(none.head(3).compute().unwrap().shape(), (0, 4));
            assert_eq!(none.sort("id", false).compute().unwrap().shape(), (0, 4));
            assert_eq!(none.len().unwrap(), 0);
            assert_eq!(none.group_by(["ten"]).agg([len()]).compute().unwrap().shape(), (0, 2));
            assert_eq!(none.agg([col("id").max()]).compute().unwrap().shape(), (1, 1));
            let joined = none.join(&table(), "id", JoinHow::Right);
            assert_eq!(joined.compute().unwrap().shape(), (40, 7));
            let both = DataFrame::concat([&none, &table()]);
            assert_eq!(both.compute().unwrap().height(), 40);
        });
    }
}

/// Frames that use every rule.
fn frames() -> Vec<DataFrame> {
    let (left, right) = (table(), table());
    let joined = left.join(&right, "id", JoinHow::Inner);
    vec![
        joined.filter(col("ten").gt(3).and(col("half_right").lt(9.0))).select(["id", "name_right"]),
        joined.sort("ten", true).filter(lit(true)).head(5).select(["half", "half_right"]).head(3),
        DataFrame::concat([&left, &right.filter(col("id").gt(3))])
            .filter(col("ten").gt(3))
            .filter(col("half").gt(3.0))
            .group_by(["ten"])
            .agg([col("id").sum(), col("half").mean()])
            .filter(col("ten").lt(8)),
        left.rename([("id", "x")]).select([(col("x") + 1).alias("y"), col("ten")]).select(["y"]),
        left.sort("half", false).agg([col("id").max(), len()]),
        left.agg([len()]),
        left.select(["id", "ten", "half", "name"]).head(2),
        left.repartition(3).repartition_bytes(1 << 20),
        left.sort("ten", true).select(["id", "ten"]).tail(7),
    ]
}

#[test]
fn every_rule_keeps_the_schema_of_the_results() {
    for frame in frames() {
        let (before, after) = (imported(&[&frame]), optimized(&[&frame]));
        assert_eq!(before.meta(before.roots()[0]), after.meta(after.roots()[0]));
    }
}

#[test]
fn rewriting_again_changes_nothing() {
    for frame in frames() {
        let plan = optimized(&[&frame]);
        let once = structure(&plan);
        let (plan, _) = optimize(plan, true).unwrap();
        assert_eq!(structure(&plan), once, "{:#?}", lines(&plan));
    }
}

#[test]
fn every_rule_is_used_by_some_frame() {
    let mut used = Vec::new();
    for frame in frames() {
        let (_, trace) = optimize(imported(&[&frame]), true).unwrap();
        used.extend(trace.0.iter().map(|(name, _)| *name));
    }
    let names = SIMPLIFY.iter().map(|rule| rule.name());
    for rule in names.chain(["PruneColumns"]) {
        assert!(used.contains(&rule), "{rule} is never used");
    }
}

#[test]
fn without_the_optimizer_a_plan_stays_as_it_was_written() {
    for frame in frames() {
        let plan = imported(&[&frame]);
        let before = structure(&plan);
        let (plan, trace) = optimize(plan, false).unwrap();
        assert_eq!((structure(&plan), trace), (before, Trace::default()));
    }
}
