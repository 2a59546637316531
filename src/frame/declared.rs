//! What layers declare is what comes out of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use polars_core::df;
use polars_core::prelude::{
    ChunkExplode, Column, DataType, ExplodeOptions, IntoColumn, NamedFrom, PlSmallStr, Scalar,
    Series,
};

use super::collect::Gather;
use super::{Aggregation, AsofOptions, DataFrame, IndexOptions, col};
use crate::compute::{NoWatch, Session};
use crate::config::Config;
use crate::error::Call;
use crate::graph::{Block, TaskGraph, TaskId};
use crate::memory::BufferPool;

/// The bytes that layers of these names declare for a block, and those of their largest block.
fn measured(frame: &DataFrame, names: &[&str]) -> BTreeMap<String, (u64, u64)> {
    let config = Config::new().with_optimize(false).with_chunk_bytes(20_000);
    let mut session = Session::default();
    session.add_frame(Arc::clone(frame.handle().node().unwrap()), Arc::<Gather>::default());
    let prepared = config.scope(|| {
        session.prepare(Call::new("test"), &Config::current().unwrap(), &mut NoWatch).unwrap()
    });
    let graph = TaskGraph::expand(prepared.layers, &prepared.outputs).unwrap();
    let pool = Arc::new(BufferPool::new(0));
    let mut blocks: Vec<Block> = Vec::new();
    let mut found = BTreeMap::new();
    // Tasks are numbered after those that they read.
    for task in (0..graph.n_tasks() as u32).map(TaskId) {
        let inputs = graph.dependencies(task).iter().map(|input| blocks[input.idx()].clone());
        let block = graph.run(task, &pool, inputs.collect()).unwrap();
        let name = graph.op_name(task);
        if names.iter().any(|wanted| name.starts_with(wanted)) {
            let layer = format!("{name} {:?}", graph.layer(task));
            let (_, largest) = found.entry(layer).or_insert((graph.out_bytes(task), 0));
            *largest = block.nbytes().max(*largest);
        }
        blocks.push(block);
    }
    found
}

fn check(frame: &DataFrame, names: &[&str], n_layers: usize) {
    let found = measured(frame, names);
    assert!(found.len() >= n_layers, "{found:?}");
    for (name, (declared, real)) in found {
        assert!(
            real <= declared + declared / 8 + 1024,
            "{name}: {real} bytes, declared {declared}"
        );
    }
}

fn rows(n: i64) -> polars_core::prelude::DataFrame {
    let id: Vec<i64> = (0..n).collect();
    let group: Vec<i64> = id.iter().map(|i| i % 5).collect();
    let text: Vec<String> =
        id.iter().map(|i| format!("{i}: a text of forty bytes or so, no less")).collect();
    df!["id" => id, "g" => group, "s" => text].unwrap()
}

#[test]
fn states_declare_their_own_bytes_and_not_those_of_results() {
    let frame = DataFrame::from_polars(&rows(20_000), 20);
    let values = |values: &Column| Ok(Scalar::new_list(values.as_materialized_series().clone()));
    let joined = |states: &Column| {
        let all =
            states.list()?.explode(ExplodeOptions { empty_as_null: false, keep_nulls: false })?;
        Ok(Scalar::new_list(all))
    };
    let count = |states: &Column| {
        let n: Vec<u64> = vec![0; states.len()];
        Ok(Series::new(PlSmallStr::EMPTY, n).into_column())
    };
    let lists = DataType::List(Box::new(DataType::Int64));
    let kept = Aggregation::new(lists, values, joined, DataType::UInt64, count);
    let steps = ["partial", "combine"];
    for keys in [vec!["g"], vec!["id"]] {
        let groups = frame.group_by(keys);
        check(&groups.clone().agg([col("s").approx_n_unique()]), &steps, 1);
        check(&groups.clone().agg([col("id").approx_quantile(0.5).alias("q")]), &steps, 1);
        check(&groups.clone().agg([col("s").min(), col("s").last().alias("l")]), &steps, 1);
        check(&groups.agg([col("id").aggregate_with(&kept).alias("n")]), &["partial"], 1);
    }
    check(&frame.agg([col("s").approx_n_unique(), col("s").max().alias("m")]), &steps, 2);
    check(&frame.agg([col("id").approx_quantile(0.5)]), &steps, 2);
}

#[test]
fn edges_of_as_of_joins_declare_a_row_for_each_group() {
    let cuts: Vec<i64> = (0..=16).map(|i| i * 1000).collect();
    let indexed = |rows: &polars_core::prelude::DataFrame| {
        let options = IndexOptions::default().divisions(cuts.clone());
        DataFrame::from_polars(rows, 8).set_index_with("id", options)
    };
    let right = rows(16_000);
    for group in ["g", "s"] {
        let left = indexed(&rows(16_000).select(["id", group]).unwrap());
        let joined = left.join_asof(&indexed(&right), "id", AsofOptions::default().by(group));
        check(&joined, &["edge"], 2);
    }
    let small = DataFrame::from_polars(&rows(50), 8);
    let small = small.set_index_with("id", IndexOptions::default().divisions([0_i64, 20, 50]));
    let copied = indexed(&right).join_asof(&small, "id", AsofOptions::default().by("g"));
    assert!(measured(&copied, &["edge"]).is_empty());
}
