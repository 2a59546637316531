//! The first and last rows of groups, groups in the order of their rows, sorted columns, frames side by side and columns of
//! ones and zeros, against loops over rows.

use dask_rs::frame::polars_core::df;
use dask_rs::frame::polars_core::prelude::*;
use dask_rs::frame::{DataFrame as Frame, JoinHow, col, len, lit};
use dask_rs::{Config, Error};
use proptest::prelude::*;

use super::dialect::{configs, ints};
use super::ordered::{cut, cuts};

type Row = (Option<i64>, Option<i64>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let key = prop::option::weighted(0.9, 0..6_i64);
    let value = prop::option::weighted(0.8, -4..5_i64);
    prop::collection::vec((key, value), 0..40)
}

fn frame_of(rows: &[Row]) -> DataFrame {
    df![
        "k" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
        "x" => rows.iter().map(|r| r.1).collect::<Vec<_>>(),
        "row" => (0..rows.len() as i64).collect::<Vec<_>>(),
    ]
    .unwrap()
}

/// The keys in the order in which they first come, with the numbers of their rows.
fn groups(rows: &[Row]) -> Vec<(Option<i64>, Vec<usize>)> {
    let mut groups: Vec<(Option<i64>, Vec<usize>)> = Vec::new();
    for (row, (key, _)) in rows.iter().enumerate() {
        match groups.iter_mut().find(|(known, _)| known == key) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((*key, vec![row])),
        }
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn ends_of_groups_are_their_rows(rows in rows(), at in cuts(), n in 0..4_u64) {
        let frame = frame_of(&rows);
        for config in configs() {
            config.scope(|| -> Result<(), TestCaseError> {
                let groups_of = || cut(&frame, &at).group_by(["k"]);
                let by_row = |frame: Frame| frame.sort("row", false).compute().unwrap();
                let (head, tail) = (by_row(groups_of().head(n)), by_row(groups_of().tail(n)));
                let n = n as usize;
                let expected = |of: &dyn Fn(&[usize]) -> Vec<usize>| {
                    let mut rows: Vec<usize> = groups(&rows).iter().flat_map(|(_, rows)| of(rows)).collect();
                    rows.sort_unstable();
                    frame.take(&IdxCa::from_iter(rows.iter().map(|row| Some(*row as IdxSize)))).unwrap()
                };
                let first = expected(&|rows| rows[..n.min(rows.len())].to_vec());
                let last = expected(&|rows| rows[rows.len() - n.min(rows.len())..].to_vec());
                prop_assert!(head.equals_missing(&first), "{head} {first}");
                prop_assert!(tail.equals_missing(&last), "{tail} {last}");
                Ok(())
            })?;
        }
    }

    #[test]
    fn groups_keep_the_order_of_their_first_rows(rows in rows(), at in cuts()) {
        let frame = frame_of(&rows);
        for config in configs() {
            config.scope(|| -> Result<(), TestCaseError> {
                let groups_of = || cut(&frame, &at).group_by(["k"]).maintain_order();
                let out = groups_of().agg([col("x").sum(), len(), col("x").median().alias("m")]).compute().unwrap();
                let expected = groups(&rows);
                let keys: Vec<_> = expected.iter().map(|(key, _)| *key).collect();
                let sums: Vec<_> = expected.iter().map(|(_, of)| Some(of.iter().filter_map(|&r| rows[r].1).sum())).collect();
                let lens: Vec<_> = expected.iter().map(|(_, of)| Some(of.len() as i64)).collect();
                prop_assert_eq!(ints(&out, "k"), keys.clone());
                prop_assert_eq!(ints(&out, "x"), sums.clone());
                prop_assert_eq!(ints(&out, "len"), lens);
                prop_assert_eq!(out.width(), 4);
                let sum = groups_of().sum().compute().unwrap();
                prop_assert_eq!((ints(&sum, "k"), ints(&sum, "x")), (keys, sums));
                Ok(())
            })?;
        }
    }

    #[test]
    fn columns_are_sorted_by_others(rows in rows(), at in cuts(), descending in any::<[bool; 2]>(), last in any::<bool>()) {
        let frame = frame_of(&rows);
        let of = |rows: &mut Vec<usize>, by_key: bool, all: &[Row]| rows.sort_by(|&a, &b| {
            let compare = |a: Option<i64>, b: Option<i64>, descending: bool| match (a, b) {
                (Some(a), Some(b)) if descending => b.cmp(&a),
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) if last => b.is_some().cmp(&a.is_some()),
                (a, b) => a.is_some().cmp(&b.is_some()),
            };
            let by_value = compare(all[a].1, all[b].1, descending[1]);
            if by_key { compare(all[a].0, all[b].0, descending[0]).then(by_value) } else { by_value }
        });
        let mut order: Vec<usize> = (0..rows.len()).collect();
        of(&mut order, true, &rows);
        let mut within: Vec<Option<i64>> = vec![None; rows.len()];
        for (_, places) in groups(&rows) {
            let mut sorted = places.clone();
            of(&mut sorted, false, &rows);
            places.iter().zip(sorted).for_each(|(&place, row)| within[place] = Some(row as i64));
        }
        let sorted = col("row").sort_by(["k", "x"], descending, last).alias("all");
        let of_group = col("row").sort_by([col("x")], descending[1], [last]).over(["k"]).alias("group");
        for config in configs() {
            let out = config.scope(|| cut(&frame, &at).select([sorted.clone(), of_group.clone()]).compute().unwrap());
            prop_assert_eq!(ints(&out, "all"), order.iter().map(|row| Some(*row as i64)).collect::<Vec<_>>());
            prop_assert_eq!(ints(&out, "group"), within.clone());
        }
    }

    /// Whatever the partitions of each, and whether it is known how many rows they have.
    #[test]
    fn frames_stand_side_by_side(rows in rows(), at in cuts(), other in cuts(), third in cuts(), is_known in any::<[bool; 2]>()) {
        let frame = frame_of(&rows);
        let part = |names: &[&str], at: &[prop::sample::Index], is_known: bool| {
            let part = cut(&frame.select(names.iter().copied()).unwrap(), at);
            if is_known { part } else { part.filter(lit(1).gt(0).and(col(names[0]).is_null().or(true))) }
        };
        let beside = || Frame::concat_horizontal([
            &part(&["k"], &at, true), &part(&["x"], &other, is_known[0]), &part(&["row"], &third, is_known[1]),
        ]);
        for config in configs() {
            config.scope(|| -> Result<(), TestCaseError> {
                let out = beside().compute().unwrap();
                prop_assert!(out.equals_missing(&frame), "{out} {frame}");
                let some = beside().filter(col("k").gt(2)).select(["row", "k"]).compute().unwrap();
                let expected: Vec<_> = (0..rows.len()).filter(|&row| rows[row].0 > Some(2)).map(|row| Some(row as i64)).collect();
                prop_assert_eq!(ints(&some, "row"), expected);
                let k = beside().select(["k"]).compute().unwrap();
                prop_assert_eq!(ints(&k, "k"), rows.iter().map(|row| row.0).collect::<Vec<_>>());
                Ok(())
            })?;
        }
    }
}

#[test]
fn frames_side_by_side_have_as_many_rows_and_other_names() {
    let frame = |name: &str, n: i64, parts| {
        let column = Column::new(name.into(), (0..n).collect::<Vec<_>>());
        Frame::from_polars(&column.into_frame(), parts)
    };
    for parts in [1, 3] {
        let beside = Frame::concat_horizontal([&frame("x", 10, parts), &frame("y", 9, 2)]);
        let error = beside.compute().unwrap_err().to_string();
        assert!(error.contains("10") && error.contains("9 rows"), "{error}");
    }
    let twice = Frame::concat_horizontal([&frame("x", 3, 1), &frame("x", 3, 1)]).check();
    assert!(matches!(twice, Err(Error::DuplicateColumn { .. })), "{twice:?}");
    let none = Frame::concat_horizontal(std::iter::empty::<&Frame>()).check();
    assert!(matches!(none, Err(Error::InvalidArgument { .. })), "{none:?}");
    let one = Frame::concat_horizontal([&frame("x", 3, 2)]).compute().unwrap();
    assert_eq!(one.height(), 3);
    // The first frame keeps its index.
    let indexed = frame("x", 10, 2).set_index("x");
    let beside = Frame::concat_horizontal([&indexed, &frame("y", 10, 3)]);
    let some = beside.loc(3_i64..5).compute().unwrap();
    assert!(some.equals(&df!["x" => [3_i64, 4], "y" => [3_i64, 4]].unwrap()), "{some}");
}

#[test]
fn known_values_become_ones_and_zeros() {
    let kinds = [Some("b"), None, Some("a b"), Some("b")];
    let frame = df!["i" => [1, 2, 3, 4], "kind" => kinds, "flag" => [Some(true), None, Some(false), Some(true)]].unwrap();
    let known = Frame::from_polars(&frame, 3).as_known("kind").unwrap();
    let out = known.to_dummies(["flag", "kind"]).compute().unwrap();
    let ones = |is: &dyn Fn(usize) -> bool| (0..4).map(|row| u8::from(is(row))).collect::<Vec<_>>();
    let expected = df![
        "i" => [1, 2, 3, 4],
        "kind_a b" => ones(&|row| kinds[row] == Some("a b")),
        "kind_b" => ones(&|row| kinds[row] == Some("b")),
        "flag_false" => ones(&|row| row == 2),
        "flag_true" => ones(&|row| row == 0 || row == 3),
    ];
    assert!(out.equals(&expected.unwrap()), "{out}");
    let unknown = Frame::from_polars(&frame, 3).to_dummies("kind").check();
    assert!(
        matches!(&unknown, Err(Error::DTypeMismatch { expected, .. }) if expected.contains("as_known")),
        "{unknown:?}"
    );
    assert!(matches!(known.to_dummies("x").check(), Err(Error::UnknownColumn { .. })));
    let twice = known.with_columns([lit(1).alias("kind_b")]).to_dummies("kind").check();
    assert!(matches!(twice, Err(Error::DuplicateColumn { .. })), "{twice:?}");
}

#[test]
fn groups_need_columns_as_keys_for_their_ends() {
    let frame = Frame::from_polars(&frame_of(&[(Some(1), None)]), 1);
    assert!(matches!(
        frame.group_by([col("k") + 1]).head(1).check(),
        Err(Error::InvalidArgument { .. })
    ));
    assert!(matches!(frame.group_by(["z"]).tail(1).check(), Err(Error::UnknownColumn { .. })));
}

/// Groups that a filter leaves few of tell their keys without moving again.
#[test]
fn rows_without_a_group_do_not_move() {
    let n = 3000_i64;
    let rows =
        df!["k" => (0..n).map(|i| i % 500).collect::<Vec<_>>(), "x" => (0..n).collect::<Vec<_>>()]
            .unwrap();
    let frame = Frame::from_polars(&rows, 6);
    let groups =
        frame.group_by(["k"]).agg([col("x").max().alias("most")]).filter(col("most").eq(2999));
    let other = frame.select([col("k"), (col("x") * 2).alias("y")]);
    for how in [JoinHow::Inner, JoinHow::Semi] {
        let joined = other.join(&groups, "k", how);
        let config = Config::new().with_chunk_bytes(1 << 11).with_memory_limit(1 << 30);
        let (text, out) = config.scope(|| {
            (joined.explain().unwrap().to_string(), joined.sort("y", false).compute().unwrap())
        });
        assert!(text.contains("tell k") && text.contains("those with a partner"), "{text}");
        let expected: Vec<_> =
            (0..n).filter(|i| i % 500 == 2999 % 500).map(|i| Some(2 * i)).collect();
        assert_eq!(ints(&out, "y"), expected, "{how:?}");
    }
}
