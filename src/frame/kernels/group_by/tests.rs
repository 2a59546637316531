//! Every aggregate over random frames and partitions, against polars or loops written another way.

use polars_core::df;
use polars_core::prelude::*;
use proptest::prelude::*;

use super::*;
use crate::error::Call;
use crate::frame::expr::{Aggregate as A, ExprKind, Function, col};

const AGGREGATES: [A; 21] = [
    A::Sum,
    A::Product,
    A::Mean,
    A::Min,
    A::Max,
    A::Count,
    A::NullCount,
    A::Var { ddof: 1 },
    A::Std { ddof: 0 },
    A::First,
    A::Last,
    A::Any,
    A::All,
    A::Median,
    A::Quantile { q: 0.3, nearest: false },
    A::Quantile { q: 0.7, nearest: true },
    A::NUnique,
    A::ArgMin,
    A::ArgMax,
    A::Implode,
    A::Var { ddof: 0 },
];

static DIVIDE: Function = Function::new("/", |c| &c[0] / &c[1]);
static TIMES: Function = Function::new("*", |c| &c[0] * &c[1]);

fn agg(name: &str, aggregate: &A) -> Expr {
    Expr::new(ExprKind::Alias(
        col(name).aggregate(aggregate.clone()),
        format!("{name} {aggregate:?}").into(),
    ))
}

fn plan(frame: &DataFrame, keys: &[&str], aggs: &[Expr]) -> AggregatePlan {
    let keys: Vec<Expr> = keys.iter().map(|&key| col(key)).collect();
    AggregatePlan::new(&keys, aggs, frame.schema(), Call::new("agg")).unwrap()
}

fn cut(frame: &DataFrame, cuts: &[usize]) -> Vec<DataFrame> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (frame.height() + 1)).collect();
    cuts.extend([0, frame.height()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| frame.slice(ends[0] as i64, ends[1] - ends[0])).collect()
}

/// By partial states, merged `fan` at a time.
fn by_tree(frames: &[DataFrame], plan: &AggregatePlan, fan: usize) -> DataFrame {
    let mut states: Vec<DataFrame> = frames.iter().map(|f| partial(f, plan).unwrap()).collect();
    while states.len() > 1 {
        states = states.chunks(fan).map(|few| combine(few.to_vec(), plan).unwrap()).collect();
    }
    finish(&states[0], plan).unwrap()
}

/// By states of rows that are equal in keys and counted values.
fn by_distinct(frames: &[DataFrame], plan: &AggregatePlan) -> DataFrame {
    let states = frames.iter().map(|frame| partial_distinct(frame, plan).unwrap());
    whole_of_distinct(&concat(states).unwrap(), plan).unwrap()
}

/// The aggregate of one group, from the rows of the group, slowly.
fn by_loop(aggregate: &A, values: &Series) -> AnyValue<'static> {
    let valid = values.drop_nulls();
    let count = |n: usize| AnyValue::UInt32(n as IdxSize);
    match aggregate {
        A::Count => count(valid.len()),
        A::NullCount => count(values.null_count()),
        A::First if values.is_empty() => AnyValue::Null,
        A::First => values.get(0).unwrap().into_static(),
        A::Last if values.is_empty() => AnyValue::Null,
        A::Last => values.get(values.len() - 1).unwrap().into_static(),
        A::Any => AnyValue::Boolean(valid.bool().unwrap().iter().any(|v| v == Some(true))),
        A::All => AnyValue::Boolean(valid.bool().unwrap().iter().all(|v| v == Some(true))),
        A::Product => match values.dtype() {
            DataType::Float32 | DataType::Float64 => {
                let floats = valid.cast(&DataType::Float64).unwrap();
                let product = floats.f64().unwrap().into_no_null_iter().product::<f64>();
                return AnyValue::Float64(product).cast(values.dtype()).into_static();
            }
            _ => {
                let ints = valid.cast(&DataType::Int64).unwrap();
                let ints = ints.i64().unwrap().into_no_null_iter();
                AnyValue::Int64(ints.fold(1, i64::wrapping_mul))
            }
        },
        A::NUnique => count(values.n_unique().unwrap()),
        A::ArgMin | A::ArgMax => {
            let extreme = by_loop(if *aggregate == A::ArgMin { &A::Min } else { &A::Max }, values);
            let is_it = |value: AnyValue| same(&value, &extreme);
            match values.iter().position(is_it) {
                Some(row) if !extreme.is_null() => count(row),
                _ => AnyValue::Null,
            }
        }
        A::Min | A::Max => {
            let better =
                |a: &AnyValue, b: &AnyValue| if *aggregate == A::Min { a < b } else { a > b };
            let mut best = AnyValue::Null;
            for value in valid.iter() {
                if best.is_null() || !value.is_nan() && (best.is_nan() || better(&value, &best)) {
                    best = value;
                }
            }
            best.into_static()
        }
        A::Implode => AnyValue::List(values.clone()),
        other => unreachable!("{other:?} is compared with polars"),
    }
}

/// Equal, as nulls and NaNs are to each other.
fn same(a: &AnyValue, b: &AnyValue) -> bool {
    match (a, b) {
        (AnyValue::List(a), AnyValue::List(b)) => a.equals_missing(b),
        _ => a == b || a.is_null() && b.is_null() || a.is_nan() && b.is_nan(),
    }
}

/// Equal but for the order of sums, and for the rounding of dates that are made of such.
fn near(a: &AnyValue, b: &AnyValue) -> bool {
    match (a.clone().to_physical(), b.clone().to_physical()) {
        // Zero may be what is left of numbers that cancel.
        (AnyValue::Float64(a), AnyValue::Float64(b))
            if (a - b).abs() <= 1e-9 * a.abs().max(1e-3) =>
        {
            true
        }
        (AnyValue::Float32(a), AnyValue::Float32(b))
            if (a - b).abs() <= 1e-4 * a.abs().max(1e-3) =>
        {
            true
        }
        (AnyValue::Int64(x), AnyValue::Int64(y)) if matches!(a.dtype(), DataType::Datetime(..)) => {
            (x - y).abs() <= 1
        }
        _ => same(a, b),
    }
}

#[track_caller]
fn assert_same(got: &DataFrame, expected: &DataFrame) {
    assert_eq!(got.schema(), expected.schema());
    for (got, expected) in got.columns().iter().zip(expected.columns()) {
        assert_eq!(got.len(), expected.len());
        for row in 0..got.len() {
            let (a, b) = (got.get(row).unwrap(), expected.get(row).unwrap());
            assert!(near(&a, &b), "{}, row {row}: {a:?}, expected {b:?}", got.name());
        }
    }
}

/// One aggregate by polars where it has a safe function for it, else by [`by_loop`].
#[allow(deprecated, reason = "without polars-lazy there is no other way")]
fn oracle(frame: &DataFrame, keys: &[&str], name: &str, aggregate: &A) -> Column {
    let mut frame = frame.clone();
    let mut keys = keys.to_vec();
    if keys.is_empty() {
        // Not known to be sorted: polars takes the variance of one null to be 0 then.
        frame.with_column(Column::new("1".into(), vec![1; frame.height()])).unwrap();
        keys.push("1");
    }
    let grouped = frame.group_by_stable(keys.clone()).unwrap();
    let grouped = grouped.select([name]);
    let by_polars = match aggregate {
        A::Sum => grouped.sum(),
        A::Mean => grouped.mean(),
        A::Var { ddof } => grouped.var(*ddof),
        A::Std { ddof } => grouped.std(*ddof),
        A::Median => grouped.median(),
        A::Quantile { q, nearest } => grouped
            .quantile(*q, if *nearest { QuantileMethod::Nearest } else { QuantileMethod::Linear }),
        _ => {
            let groups = grouped.get_groups();
            let values = frame.column(name).unwrap().as_materialized_series();
            let values: Vec<AnyValue> = groups
                .iter()
                .map(|group| {
                    let rows: Vec<IdxSize> = match group {
                        GroupsIndicator::Idx((_, rows)) => rows.to_vec(),
                        GroupsIndicator::Slice([first, len]) => (first..first + len).collect(),
                    };
                    by_loop(aggregate, &values.take(&IdxCa::from_vec("".into(), rows)).unwrap())
                })
                .collect();
            let dtype = match aggregate {
                A::First | A::Last | A::Min | A::Max => frame.column(name).unwrap().dtype().clone(),
                A::Implode => DataType::List(Box::new(frame.column(name).unwrap().dtype().clone())),
                A::Any | A::All => DataType::Boolean,
                A::Product => match frame.column(name).unwrap().dtype() {
                    dtype if dtype.is_float() => dtype.clone(),
                    _ => DataType::Int64,
                },
                _ => IDX_DTYPE,
            };
            let series = Series::from_any_values_and_dtype("".into(), &values, &dtype, true);
            return series.unwrap().into_column();
        }
    };
    by_polars.unwrap().columns().last().unwrap().clone()
}

fn frames() -> impl Strategy<Value = DataFrame> {
    let float = prop_oneof![
        Just(None),
        Just(Some(f64::NAN)),
        Just(Some(-0.0)),
        Just(Some(0.0)),
        (-9_i32..9).prop_map(|v| Some(f64::from(v) / 4.0)),
    ];
    let text = prop::sample::select(vec![
        None,
        Some(""),
        Some("b"),
        Some("a string longer than twelve"),
        Some("c"),
    ]);
    let row = (
        prop::option::of(-3_i32..3),
        float.clone(),
        text.clone(),
        prop::option::of(any::<bool>()),
        (float, text, prop::option::of(-100_i64..100), prop::option::of(any::<bool>())),
    );
    prop::collection::vec(row, 0..40).prop_map(|rows| {
        let date = |v: Option<i64>| v.map(|v| v as i32);
        let mut frame = df![
            "ki" => rows.iter().map(|r| r.0).collect::<Vec<_>>(),
            "kf" => rows.iter().map(|r| r.1).collect::<Vec<_>>(),
            "ks" => rows.iter().map(|r| r.2).collect::<Vec<_>>(),
            "kb" => rows.iter().map(|r| r.3).collect::<Vec<_>>(),
            "x" => rows.iter().map(|r| r.4.0).collect::<Vec<_>>(),
            "f" => rows.iter().map(|r| r.4.0.map(|v| v as f32)).collect::<Vec<_>>(),
            "s" => rows.iter().map(|r| r.4.1).collect::<Vec<_>>(),
            "i" => rows.iter().map(|r| r.4.2).collect::<Vec<_>>(),
            "t" => rows.iter().map(|r| r.4.2.map(|v| v as i8)).collect::<Vec<_>>(),
            "b" => rows.iter().map(|r| r.4.3).collect::<Vec<_>>(),
            "d" => rows.iter().map(|r| date(r.4.2)).collect::<Vec<_>>(),
            "m" => rows.iter().map(|r| r.4.2).collect::<Vec<_>>(),
        ]
        .unwrap();
        frame.apply("d", |d| d.cast(&DataType::Date).unwrap()).unwrap();
        let dtype = DataType::Datetime(TimeUnit::Milliseconds, None);
        frame.apply("m", |m| m.cast(&dtype).unwrap()).unwrap();
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn trees_and_one_pass_give_what_polars_gives(
        frame in frames(),
        keys in prop::sample::subsequence(vec!["ki", "kf", "ks", "kb"], 0..3),
        pairs in prop::collection::vec(
            (prop::sample::select(vec!["x", "f", "s", "i", "t", "b", "d", "m"]), 0..AGGREGATES.len()),
            1..8,
        ),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        fan in 2_usize..4,
    ) {
        let mut pairs: Vec<_> = pairs.into_iter().map(|(name, i)| (name, AGGREGATES[i].clone())).collect();
        pairs.dedup();
        let mut aggs = Vec::new();
        let mut expected = Vec::new();
        if !keys.is_empty() {
            let first = frame.group_by_stable(keys.clone()).unwrap().keys();
            expected.extend(first);
        }
        for (name, aggregate) in pairs {
            let expr = agg(name, &aggregate);
            let known = aggs.iter().any(|other: &Expr| other.output_name() == expr.output_name());
            let alone = std::slice::from_ref(&expr);
            if known || AggregatePlan::new(&[], alone, frame.schema(), Call::new("agg")).is_err() {
                continue;
            }
            // Polars has no quantiles of booleans; ours are those of 0 and 1.
            if name == "b" && matches!(aggregate, A::Quantile { .. }) {
                continue;
            }
            if frame.height() > 0 {
                let column = oracle(&frame, &keys, name, &aggregate);
                expected.push(column.with_name(expr.output_name()));
            }
            aggs.push(expr);
        }
        let plan = plan(&frame, &keys, &aggs);
        let schema = output_schema(frame.schema(), &plan).unwrap();
        let got = whole(&frame, &plan).unwrap();
        prop_assert_eq!(&**got.schema(), &schema);
        if frame.height() > 0 {
            let n = expected.first().map_or(1, Column::len);
            assert_same(&got, &DataFrame::new(n, expected).unwrap());
        }
        if !plan.is_holistic() {
            assert_same(&by_tree(&cut(&frame, &cuts), &plan, fan), &got);
        }
        if plan.distinct_inputs().is_some() {
            assert_same(&by_distinct(&cut(&frame, &cuts), &plan), &got);
        }
    }
}

#[test]
fn groups_are_looked_for_only_where_there_are_fewer_than_rows() {
    let n = 10_000_i64;
    let frame =
        df!["id" => (0..n).collect::<Vec<_>>(), "x" => (0..n).map(|i| i % 5).collect::<Vec<_>>(),
        "few" => (0..n).map(|i| i % 7).collect::<Vec<_>>()]
        .unwrap();
    let aggs = [agg("x", &A::NUnique), agg("x", &A::Sum), agg("x", &A::First)];
    for (key, n_states, n_rows) in [("id", n, n), ("few", 7, 35)] {
        let counted = plan(&frame, &[key], &aggs);
        assert_eq!(counted.distinct_inputs(), Some(vec![0]));
        assert_eq!(partial_distinct(&frame, &counted).unwrap().height() as i64, n_rows);
        let expected = whole(&frame, &counted).unwrap();
        assert_same(&by_distinct(&cut(&frame, &[1, 9000]), &counted), &expected);
        let states = plan(&frame, &[key], &aggs[1..]);
        assert_eq!(partial(&frame, &states).unwrap().height() as i64, n_states);
        let expected = whole(&frame, &states).unwrap();
        assert_same(&by_tree(&cut(&frame, &[1, 9000]), &states, 2), &expected);
    }
    // The last row of a group is not the last of its different values.
    // Nor is the first of equal values by which others are picked.
    for in_order in [A::Last, A::MinBy(col("id"))] {
        let plan = plan(&frame, &["few"], &[agg("x", &A::NUnique), agg("x", &in_order)]);
        assert_eq!(plan.distinct_inputs(), None);
    }
}

#[test]
fn no_keys_give_one_row_also_of_no_rows() {
    let frame = df!["x" => [1.5_f64], "s" => ["a"]].unwrap().clear();
    let aggs: Vec<Expr> = AGGREGATES[..9].iter().map(|a| agg("x", a)).collect();
    let mut aggs: Vec<Expr> = aggs.into_iter().chain([agg("s", &A::First)]).collect();
    aggs.push(Expr::new(ExprKind::Len));
    let plan = plan(&frame, &[], &aggs);
    let got = whole(&frame, &plan).unwrap();
    assert_same(&by_tree(&[frame.clone(), frame], &plan, 2), &got);
    let row: Vec<String> = got.get(0).unwrap().iter().map(ToString::to_string).collect();
    let expected = ["0.0", "1.0", "null", "null", "null", "0", "0", "null", "null", "null", "0"];
    assert_eq!(row, expected);
}

#[test]
fn expressions_of_aggregates_of_expressions() {
    let frame = df!["k" => ["a", "b", "a"], "x" => [1, 2, 3], "y" => [10, 20, 30]].unwrap();
    let product = Expr::call(&TIMES, vec![col("x"), col("y")]).aggregate(A::Sum);
    let ratio = Expr::call(&DIVIDE, vec![product, Expr::new(ExprKind::Len)]);
    let aggs = [Expr::new(ExprKind::Alias(ratio, "r".into()))];
    let plan = plan(&frame, &["k"], &aggs);
    let expected = df!["k" => ["a", "b"], "r" => [50, 40]].unwrap();
    let got = by_tree(&cut(&frame, &[1]), &plan, 2);
    assert_eq!(got.column("r").unwrap().cast(&DataType::Int32).unwrap(), expected[1]);
    assert_eq!(got[0], expected[0]);
}

#[test]
fn keys_are_expressions_and_categories() {
    let mut frame = df!["k" => ["b", "a", "b"], "x" => [1, 2, 3]].unwrap();
    let dtype = DataType::from_categories(Categories::global());
    frame.apply("k", |k| k.cast(&dtype).unwrap()).unwrap();
    let key = Expr::call(&TIMES, vec![col("x"), col("x")]);
    let keys = [col("k"), Expr::new(ExprKind::Alias(key, "xx".into()))];
    let aggs = [agg("k", &A::Max)];
    let plan = AggregatePlan::new(&keys, &aggs, frame.schema(), Call::new("agg")).unwrap();
    let got = by_tree(&cut(&frame, &[1, 2]), &plan, 2);
    assert_eq!(got.get_column_names(), ["k", "xx", "k Max"]);
    assert_eq!(got["xx"], Column::new("xx".into(), [1, 4, 9]));
    assert_eq!(got["k Max"].dtype(), &dtype);
}

#[test]
fn decimals_and_durations_keep_their_dtypes() {
    let mut frame = df!["c" => [Some(150_i64), None, Some(-25)], "d" => [1_i64, 2, 3]].unwrap();
    frame.apply("c", |c| c.cast(&DataType::Decimal(10, 2)).unwrap()).unwrap();
    let dtype = DataType::Duration(TimeUnit::Milliseconds);
    frame.apply("d", |d| d.cast(&dtype).unwrap()).unwrap();
    let aggs = [agg("c", &A::Sum), agg("c", &A::Min), agg("c", &A::Mean), agg("d", &A::Sum)];
    let plan = plan(&frame, &[], &aggs);
    let got = by_tree(&cut(&frame, &[1]), &plan, 2);
    assert_eq!(got[0].dtype(), &DataType::Decimal(38, 2));
    assert_eq!(got[1].dtype(), &DataType::Decimal(10, 2));
    let row: Vec<String> = got.get(0).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(row, ["125.00", "-25.00", "62.5", "6ms"]);
}

/// `dask.md` section 7, defect 2: first and last were those of another partition.
#[test]
fn dask_defect_2_first_and_last_keep_the_order_of_rows() {
    let n = 64_i64;
    let frame = df!["k" => (0..n).map(|i| i % 4).collect::<Vec<_>>(),
        "x" => (0..n).collect::<Vec<_>>()]
    .unwrap();
    let plan = plan(&frame, &["k"], &[agg("x", &A::First), agg("x", &A::Last)]);
    let expected = df!["k" => [0_i64, 1, 2, 3], "x First" => [0_i64, 1, 2, 3],
        "x Last" => [60_i64, 61, 62, 63]]
    .unwrap();
    for n_parts in 1..=32 {
        let cuts: Vec<usize> = (1..n_parts).map(|i| i * 64 / n_parts).collect();
        assert_same(&by_tree(&cut(&frame, &cuts), &plan, 3), &expected);
    }
}

/// Defect 3: the smallest value was looked for in the first partition only.
#[test]
fn dask_defect_3_arg_min_sees_all_partitions() {
    let frame = df!["k" => [1, 1, 1, 1, 1, 1], "x" => [5, 3, 4, 6, 7, 1]].unwrap();
    let plan = plan(&frame, &["k"], &[agg("x", &A::ArgMin), agg("x", &A::ArgMax)]);
    assert!(plan.is_holistic());
    let rows: Vec<_> =
        cut(&frame, &[2, 4]).iter().map(|part| project(part, &plan).unwrap()).collect();
    let got = whole_of_projected(&concat(rows).unwrap(), &plan).unwrap();
    assert_eq!(got[1], Column::new("x ArgMin".into(), [5_u32]));
    assert_eq!(got[2], Column::new("x ArgMax".into(), [4_u32]));
}

/// Defect 4: variances were differences of sums of squares.
#[test]
fn dask_defect_4_variances_far_from_zero() {
    let noise = |i: u32| f64::from(i.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
    let x: Vec<f64> = (0..1000).map(|i| 1e9 + noise(i)).collect();
    let mean = x.iter().map(|v| v - 1e9).sum::<f64>() / 1000.0;
    let expected = x.iter().map(|v| (v - 1e9 - mean).powi(2)).sum::<f64>() / 999.0;
    let frame = df!["k" => vec![1; 1000], "x" => x].unwrap();
    for keys in [&["k"][..], &[]] {
        let plan = plan(&frame, keys, &[agg("x", &A::Var { ddof: 1 })]);
        for cuts in [vec![], vec![1, 2, 500], (0..1000).collect()] {
            let got = by_tree(&cut(&frame, &cuts), &plan, 2);
            let got = got.columns().last().unwrap().f64().unwrap().get(0).unwrap();
            assert!((got / expected - 1.0).abs() < 1e-5, "{got}, expected {expected}");
        }
    }
}

/// Defect 5, of groups: a group whose values are null in one partition is not lost.
#[test]
fn dask_defect_5_partitions_of_nulls_do_not_spread() {
    let frame = df!["k" => [1, 0, 0], "x" => [Some(1.0), None, Some(2.0)]].unwrap();
    let plan = plan(&frame, &["k"], &[agg("x", &A::Sum), agg("x", &A::Max), agg("x", &A::Mean)]);
    let expected = df!["k" => [1, 0], "x Sum" => [1.0, 2.0], "x Max" => [1.0, 2.0],
        "x Mean" => [1.0, 2.0]]
    .unwrap();
    assert_same(&by_tree(&cut(&frame, &[2]), &plan, 2), &expected);
}

/// Of one pass for all columns and of one pass for each, be they in one piece or in several, with nulls or without.
#[test]
fn totals_side_by_side_have_the_bits_of_each_alone() {
    let n = 1000_i64;
    let mut columns: Vec<Column> = (1..=7)
        .map(|i| {
            let values = (0..n).map(|row| 1.0 / (row * i % 89 + 1) as f64);
            Column::new(format!("c{i}").as_str().into(), values.collect::<Vec<_>>())
        })
        .collect();
    columns[5] = columns[5].cast(&DataType::Float32).unwrap();
    let (head, tail) = columns[6].split_at(300);
    columns[6] = head;
    columns[6].append(&tail).unwrap();
    let some = (0..n).map(|row| (row % 3 > 0).then_some(0.1 * row as f64));
    columns.push(Column::new("some".into(), some.collect::<Vec<_>>()));
    for n_groups in [1, 3, 500] {
        let key = (0..n).map(|row| row * row % 1009 % n_groups).collect::<Vec<_>>();
        let groups = Groups::new(&[Column::new("k".into(), key)], n as usize).unwrap();
        for n_columns in 0..=columns.len() {
            let inputs: Vec<&Column> = columns[columns.len() - n_columns..].iter().collect();
            let together = fold::totals(&inputs, &groups).unwrap();
            for (input, total) in inputs.iter().zip(&together) {
                let mut expected = vec![0.0_f64; groups.len()];
                let values = input.cast(&DataType::Float64).unwrap();
                for (&group, value) in groups.of_row.iter().zip(values.f64().unwrap().iter()) {
                    expected[group as usize] += value.unwrap_or_default();
                }
                let bits = |v: f64| v.to_bits();
                let total = total.f64().unwrap().into_no_null_iter().map(bits);
                assert!(total.eq(expected.into_iter().map(bits)), "{}", input.name());
            }
            assert_eq!(together.len(), n_columns);
        }
    }
}

/// Found by value where that is possible, or by row.
#[test]
fn extremes_of_numbers_are_those_of_their_rows() {
    let floats = [0.0, -0.0, f64::NAN, 2.0, f64::NAN, -f64::INFINITY, 0.5, f64::NAN];
    let frame = df!["f" => floats, "i" => [3_i64, -3, i64::MIN, 7, i64::MAX, 0, 0, 1],
        "u" => [3_u32, 0, u32::MAX, 7, 1, 0, 0, 1]]
    .unwrap();
    let keys = Column::new("k".into(), [0, 0, 1, 2, 1, 2, 2, 2]);
    let groups = Groups::new(&[keys], 8).unwrap();
    let days = Column::new("d".into(), [3_i32, 0, i32::MAX, 7, 1, 0, 0, 1]);
    let days = days.cast(&DataType::Date).unwrap();
    for values in frame.columns().iter().chain([&days]) {
        for (state, max) in [(State::Min, false), (State::Max, true)] {
            let found = pick::extreme_numbers(values, &groups, max).unwrap().unwrap();
            let rows = pick::rows(&state, values, &groups).unwrap();
            let expected = pick::take(values, &rows).unwrap();
            assert_eq!(found.dtype(), values.dtype());
            let text = |column: &Column| {
                format!("{:?}", column.as_materialized_series().iter().collect::<Vec<_>>())
            };
            assert_eq!(text(&found), text(&expected), "{} {state:?}", values.name());
        }
    }
    let some = Column::new("s".into(), [Some(1_i64), None]);
    assert!(pick::extreme_numbers(&some, &Groups::one(2), true).unwrap().is_none());
}
