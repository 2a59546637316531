//! What was once computed in one process only gives the same bits on workers.

use crate::array::{QuantileMethod, histogram2d};
use crate::dist::LocalCluster;
use crate::prelude::*;

#[test]
fn order_statistics_groups_and_random_numbers_are_the_same_on_workers() {
    let config = Config::new().with_threads(4).with_memory_limit(1 << 30);
    let cluster = config.scope(|| LocalCluster::start(2)).unwrap();
    let seeded = || array::random::Generator::new(7);
    let x: Array<f64> = seeded().normal(0.0, 1.0, [90, 40], [20, 15]);
    let (edges, labels) = ([-1.0, 0.0, 0.5, 2.0], (0..90).map(|i| i % 7));
    let groups = x.group_by_axis(0, labels);
    let whole = seeded().integers(0_i64, 9, [90], [7]);
    let of_order = (
        x.cumsum(0),
        x.topk(3, 1),
        x.argtopk(-2, 0),
        x.quantile([0.1, 0.5], QuantileMethod::Linear, 0),
        x.take([80, 3, 3, 41], 0),
    );
    let counted = (
        x.histogram(&edges),
        whole.unique_counts(),
        histogram2d(&x, &(&x * 0.5), &edges, &edges),
        x.ravel().mask(&x.ravel().gt(2.0)),
    );
    let of_groups =
        (groups.mean(), groups.std(1.0), groups.median(), &x - groups.expand(&groups.mean()));
    let others = (
        x.sliding_window_view([(0, 4)]).mean(-1),
        x.vindex([(0, [3, 77]), (1, [9, 0])]),
        x.gt(0.5).label(2),
    );
    let all = (of_order, counted, of_groups, others);
    let (near, far) = (compute(&all).unwrap(), cluster.compute(&all).unwrap());
    assert_eq!(format!("{near:?}"), format!("{far:?}"));
}
