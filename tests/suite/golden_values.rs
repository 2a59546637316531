//! Every program of `../shared/golden/values.jsonl` gives what NumPy gives, or is refused where it should be.
//!
//! The file's README says what the programs mean and how results are compared.

use std::collections::HashMap;
use std::ops::Not;

use dask_rs::array::{
    self, AnyArray, Array, Axes, AxisSpec, Boundary, ChunkSpec, DType, Index, Over, PadMode,
    QuantileMethod, concatenate, over, stack, where_,
};
use dask_rs::{Config, Error, ExecutorKind};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex;
use serde_json::Value;

use super::values::{Dynamic, Typed, bits, each, with_type};
use crate::golden::golden;

#[test]
fn programs_give_what_numpy_gives() {
    let Some(text) = golden("values.jsonl") else { return };
    let mut n_run = 0;
    let mut failures = Vec::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("each line is JSON");
        n_run += 1;
        if let Err(problem) = check(&case) {
            failures.push(format!("case {}: {problem}\n    {}", case["id"], brief(line)));
        }
    }
    eprintln!("{n_run} programs ran");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    assert!(n_run > 1900, "only {n_run} programs ran");
}

fn brief(line: &str) -> String {
    line.chars().take(600).collect()
}

fn check(case: &Value) -> Result<(), String> {
    let refused = case["expect"]["error"].is_string();
    let wrong_step = refused.then(|| case["expect"]["step"].as_i64().unwrap_or(-1));
    let mut arrays: HashMap<String, Dynamic> = HashMap::new();
    for input in list(&case["inputs"]) {
        let array = make_input(input);
        if let Err(error) = array.to_dyn().check() {
            return answered(wrong_step == Some(-1), &error, -1);
        }
        arrays.insert(input["name"].as_str().unwrap_or_default().to_owned(), array);
    }
    for (i, step) in list(&case["steps"]).iter().enumerate() {
        let out = run(step, &arrays)?;
        if let Err(error) = out.to_dyn().check() {
            return answered(wrong_step == Some(i as i64), &error, i as i64);
        }
        // Later steps may need lengths that only computing tells.
        let out = match i + 1 == list(&case["steps"]).len() {
            true => out,
            false => out.with_known_lengths().map_err(|error| error.to_string())?,
        };
        arrays.insert(step["out"].as_str().unwrap_or_default().to_owned(), out);
    }
    if let Some(step) = wrong_step {
        return Err(format!("step {step} was not refused: {}", case["expect"]["error"]));
    }
    let result = &arrays[case["result"].as_str().unwrap_or_default()];
    let got = result.compute().map_err(|error| format!("compute: {error}"))?;
    compare(&got, &case["expect"], result)?;
    let plain = Config::new().with_optimize(false).with_executor(ExecutorKind::Serial);
    let unoptimized =
        plain.scope(|| result.compute()).map_err(|error| format!("without rules: {error}"))?;
    if unoptimized.shape() != got.shape() || bits(&unoptimized) != bits(&got) {
        return Err(format!("without rules {unoptimized:?}, with rules {got:?}"));
    }
    Ok(())
}

/// A refusal is right if it was expected here, and names this file.
fn answered(expected: bool, error: &Error, step: i64) -> Result<(), String> {
    if !expected {
        return Err(format!("step {step} was refused: {error}"));
    }
    if !error.to_string().contains("golden_values.rs:") {
        return Err(format!("no caller's line in: {error}"));
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn integers(value: &Value) -> Vec<i64> {
    match value {
        Value::Array(all) => all.iter().filter_map(Value::as_i64).collect(),
        one => one.as_i64().into_iter().collect(),
    }
}

fn dtype_of(value: &Value) -> DType {
    match value.as_str().unwrap_or_default() {
        "bool" => DType::Bool,
        "i16" => DType::I16,
        "i32" => DType::I32,
        "i64" => DType::I64,
        "u8" => DType::U8,
        "u32" => DType::U32,
        "u64" => DType::U64,
        "f32" => DType::F32,
        "f64" => DType::F64,
        "c64" => DType::C64,
        "c128" => DType::C128,
        other => panic!("no dtype is called {other}"),
    }
}

/// A number as it stands in the file.
fn float(value: &Value) -> f64 {
    match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => value.as_bool().map_or_else(|| value.as_f64().unwrap_or(f64::NAN), f64::from),
    }
}

/// An element from JSON.
trait FromJson: Sized {
    fn from_json(value: &Value) -> Self;
}

macro_rules! from_json {
    ($($t:ty)*) => {$(
        impl FromJson for $t {
            fn from_json(value: &Value) -> $t {
                match (value.as_i64(), value.as_u64()) {
                    (Some(value), _) => value as $t,
                    (_, Some(value)) => value as $t,
                    _ => float(value) as $t,
                }
            }
        }
    )*};
}

from_json!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

impl FromJson for bool {
    fn from_json(value: &Value) -> bool {
        float(value) != 0.0
    }
}

macro_rules! complex_from_json {
    ($($t:ty)*) => {$(
        impl FromJson for Complex<$t> {
            fn from_json(value: &Value) -> Self {
                match value {
                    Value::Array(parts) => Complex::new(<$t>::from_json(&parts[0]), <$t>::from_json(&parts[1])),
                    real => Complex::new(<$t>::from_json(real), 0.0),
                }
            }
        }
    )*};
}

complex_from_json!(f32 f64);

fn make_input(input: &Value) -> Dynamic {
    let shape: Vec<usize> = integers(&input["shape"]).iter().map(|&len| len as usize).collect();
    let chunks: Vec<Vec<i64>> = list(&input["chunks"]).iter().map(integers).collect();
    let n: usize = shape.iter().product();
    let of = |name: &str| input[name].as_i64().unwrap_or(0);
    let dtype = dtype_of(&input["dtype"]);
    let element = |i: i64| -> Value {
        match input["fill"].as_str().unwrap_or_default() {
            "explicit" => input["data"][i as usize].clone(),
            "arange" => {
                let value = float(&input["start"]) + float(&input["step"]) * i as f64;
                match dtype {
                    DType::Bool => Value::from(value.rem_euclid(2.0)),
                    DType::F32 | DType::F64 | DType::C64 | DType::C128 => Value::from(value),
                    _ => Value::from(value as i64),
                }
            }
            _ => {
                let mod_m = |v: i64| v.rem_euclid(of("m")) + of("offset");
                let v = mod_m(of("a") * i + of("b"));
                let w = mod_m(of("b") * i + of("a"));
                let scale = input["scale"].as_f64().unwrap_or(1.0);
                match dtype {
                    DType::F32 | DType::F64 => Value::from(v as f64 * scale),
                    DType::C64 | DType::C128 => {
                        Value::from(vec![v as f64 * scale, w as f64 * scale])
                    }
                    _ => Value::from(v),
                }
            }
        }
    };
    with_type!(dtype, T => {
        let data: Vec<T> = (0..n as i64).map(|i| T::from_json(&element(i))).collect();
        let data = ArrayD::from_shape_vec(IxDyn(&shape), data).expect("as many as the shape says");
        Dynamic::from(array::from_ndarray(data, chunk_spec(&chunks)))
    })
}

fn chunk_spec(chunks: &[Vec<i64>]) -> ChunkSpec {
    ChunkSpec::PerAxis(chunks.iter().map(|sizes| AxisSpec::from(sizes.clone())).collect())
}

fn axes(value: &Value) -> Axes {
    if value.is_null() { Axes::All } else { Axes::from(integers(value)) }
}

fn run(step: &Value, arrays: &HashMap<String, Dynamic>) -> Result<Dynamic, String> {
    let op = step["op"].as_str().unwrap_or_default();
    let args = list(&step["args"]);
    let array = |i: usize| args.get(i).and_then(Value::as_str).map(|name| &arrays[name]);
    match op {
        "concatenate" | "stack" => {
            let parts: Vec<&Dynamic> = (0..args.len()).filter_map(array).collect();
            let axis = step["axis"].as_i64().unwrap_or(0);
            return each!(parts[0], x => join(x, op, &parts, axis));
        }
        "where" => {
            let Some(Dynamic::Bool(cond)) = array(0) else { return Err("no condition".into()) };
            let like = array(1).or(array(2)).ok_or("where without arrays")?;
            return each!(like, x => choose(x, cond, [array(1), array(2)], args));
        }
        _ => {}
    }
    let mask = |name: &str| match &arrays[name] {
        Dynamic::Bool(mask) => Ok(mask.clone()),
        other => Err(format!("a mask of {:?}", other.dtype())),
    };
    if op == "mask" {
        let (x, mask) = (array(0).ok_or("no array")?, mask(args[1].as_str().unwrap_or_default())?);
        return Ok(each!(x, x => x.mask(&mask).into()));
    }
    if let Some((axis, picks)) = picks(step) {
        let x = array(0).ok_or("no array")?;
        return each!(x, x => pick(x, step, axis, &picks, mask));
    }
    if args.len() == 2 {
        let like = array(0).or(array(1)).ok_or("no array")?;
        return each!(like, x => binary(x, op, [array(0), array(1)], args, step));
    }
    let x = array(0).ok_or("no array")?;
    if op == "cast" {
        return Ok(with_type!(dtype_of(&step["dtype"]), T => {
            each!(x, x => Dynamic::from(x.cast::<T>()))
        }));
    }
    if op == "window_mean" {
        return Ok(match x {
            Dynamic::F32(x) => window_mean(x, step).into(),
            other => each!(other, x => window_mean(&x.cast::<f64>(), step).into()),
        });
    }
    each!(x, x => unary(x, op, step))
}

fn same<T: Typed>(array: &Dynamic) -> Result<&Array<T>, String> {
    T::of(array).ok_or_else(|| format!("{:?} beside {:?}", array.dtype(), T::DTYPE))
}

fn join<T: Typed>(
    _like: &Array<T>,
    op: &str,
    parts: &[&Dynamic],
    axis: i64,
) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>>,
{
    let parts: Vec<Array<T>> =
        parts.iter().map(|part| same::<T>(part).cloned()).collect::<Result<_, _>>()?;
    Ok(if op == "stack" { stack(&parts, axis) } else { concatenate(&parts, axis) }.into())
}

fn choose<T: Typed + FromJson>(
    _like: &Array<T>,
    cond: &Array<bool>,
    branches: [Option<&Dynamic>; 2],
    args: &[Value],
) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>>,
{
    let scalar = |i: usize| T::from_json(&args[i]);
    Ok(match branches {
        [Some(a), Some(b)] => where_(cond, same::<T>(a)?, same::<T>(b)?),
        [Some(a), None] => where_(cond, same::<T>(a)?, scalar(2)),
        [None, Some(b)] => where_(cond, scalar(1), same::<T>(b)?),
        [None, None] => where_(cond, scalar(1), scalar(2)),
    }
    .into())
}

fn binary<T: Typed + FromJson>(
    _like: &Array<T>,
    op: &str,
    operands: [Option<&Dynamic>; 2],
    args: &[Value],
    step: &Value,
) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>> + From<Array<T::Mean>>,
{
    // A scalar on the left is an array without dimensions.
    let left = match operands[0] {
        Some(left) => same::<T>(left)?.clone(),
        None => array::full([(); 0], T::from_json(&args[0]), -1),
    };
    if let ("matmul" | "dot" | "tensordot", Some(right)) = (op, operands[1]) {
        return products(&left, same::<T>(right)?, op, step);
    }
    Ok(match operands[1] {
        Some(right) => elementwise(op, &left, same::<T>(right)?)?,
        None => elementwise(op, &left, T::from_json(&args[1]))?,
    })
}

fn elementwise<T: Typed, R: array::Operand<T>>(
    op: &str,
    x: &Array<T>,
    y: R,
) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>> + From<Array<T::Mean>>,
{
    Ok(match op {
        "add" => (x + y).into(),
        "sub" => (x - y).into(),
        "mul" => (x * y).into(),
        "div" => (x / y).into(),
        "floor_div" => x.floor_div(y).into(),
        "rem" => (x % y).into(),
        "pow" => x.pow(y).into(),
        "maximum" => x.maximum(y).into(),
        "minimum" => x.minimum(y).into(),
        "eq" => x.eq(y).into(),
        "ne" => x.ne(y).into(),
        "lt" => x.lt(y).into(),
        "le" => x.le(y).into(),
        "gt" => x.gt(y).into(),
        "ge" => x.ge(y).into(),
        "logical_and" => x.logical_and(y).into(),
        "logical_or" => x.logical_or(y).into(),
        "logical_xor" => x.logical_xor(y).into(),
        _ => return Err(format!("no binary operation {op}")),
    })
}

fn products<T: Typed>(x: &Array<T>, y: &Array<T>, op: &str, step: &Value) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>>,
{
    Ok(match op {
        "matmul" => x.matmul(y),
        "dot" => x.dot(y),
        _ => match &step["axes"] {
            Value::Array(pair) => x.tensordot(y, integers(&pair[0]), integers(&pair[1])),
            n => {
                let n = n.as_i64().unwrap_or(0);
                x.tensordot(y, (-n..0).collect::<Vec<_>>(), (0..n).collect::<Vec<_>>())
            }
        },
    }
    .into())
}

/// The take or mask among the entries of an index, and the axis that it is for.
fn picks(step: &Value) -> Option<(usize, Value)> {
    let entries = list(&step["index"]);
    let at = entries.iter().position(Value::is_object)?;
    Some((at, entries[at].clone()))
}

/// An index with a take or a mask: everything else first, and then that.
fn pick<T: Typed>(
    x: &Array<T>,
    step: &Value,
    at: usize,
    picks: &Value,
    mask: impl Fn(&str) -> Result<Array<bool>, String>,
) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>>,
{
    let mut index: Vec<Index> = list(&step["index"]).iter().map(index).collect();
    index[at] = Index::ALL;
    let rest = x.slice(index.clone());
    if rest.check().is_err() {
        return Ok(rest.into());
    }
    // Where the axis stands in what the other entries leave: none of them is an integer.
    let is_rest = |entry: &Index| matches!(entry, Index::Ellipsis);
    let axis =
        if index[..at].iter().any(is_rest) { at as i64 - index.len() as i64 } else { at as i64 };
    Ok(match picks["mask"].as_str() {
        Some(name) => rest.compress(&mask(name)?, axis).into(),
        None => rest.take(integers(&picks["take"]), axis).into(),
    })
}

fn index(entry: &Value) -> Index {
    match entry {
        Value::String(name) if name == "newaxis" => Index::NewAxis,
        Value::String(_) => Index::Ellipsis,
        Value::Array(slice) => Index::Slice {
            start: slice[0].as_i64(),
            stop: slice[1].as_i64(),
            step: slice[2].as_i64(),
        },
        // Taken afterwards.
        Value::Object(_) => Index::ALL,
        position => Index::At(position.as_i64().unwrap_or(0)),
    }
}

fn unary<T: Typed + FromJson>(x: &Array<T>, op: &str, step: &Value) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>>
        + From<Array<T::Mean>>
        + From<Array<T::Real>>
        + From<Array<T::Sum>>
        + From<Array<T::Spread>>,
{
    let shape = integers(&step["shape"]);
    let at = || axes(&step["axis"]);
    Ok(match op {
        "neg" => (-x).into(),
        "abs" => x.abs().into(),
        "sqrt" => x.sqrt().into(),
        "exp" => x.exp().into(),
        "sin" => x.sin().into(),
        "log" => x.ln().into(),
        "floor" => x.floor().into(),
        "ceil" => x.ceil().into(),
        "isnan" => x.isnan().into(),
        "logical_not" => x.logical_not().into(),
        "conj" => x.conj().into(),
        "real" => x.real().into(),
        "imag" => x.imag().into(),
        "clip" => {
            let bound = |value: &Value| value.is_null().not().then(|| T::from_json(value));
            x.clip(bound(&step["min"]), bound(&step["max"])).into()
        }
        "slice" => x.slice(list(&step["index"]).iter().map(index).collect::<Vec<_>>()).into(),
        "reshape" => x.reshape(shape).into(),
        "transpose" if step["axes"].is_null() => x.transpose().into(),
        "transpose" => x.permute_axes(integers(&step["axes"])).into(),
        "broadcast_to" => x.broadcast_to(shape).into(),
        "expand_dims" => x.expand_dims(integers(&step["axis"])).into(),
        "squeeze" => x.squeeze(at()).into(),
        "flip" => x.flip(at()).into(),
        "rechunk" => {
            let chunks: Vec<Vec<i64>> = list(&step["chunks"]).iter().map(integers).collect();
            x.rechunk(chunk_spec(&chunks)).into()
        }
        _ => return wider(x, op, step),
    })
}

/// Operations that move elements, or need the order of elements.
fn wider<T: Typed + FromJson>(x: &Array<T>, op: &str, step: &Value) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>> + From<Array<T::Mean>> + From<Array<T::Sum>> + From<Array<T::Spread>>,
{
    let axis = || step["axis"].as_i64().unwrap_or(0);
    let numbers = |name: &str| -> Vec<f64> { list(&step[name]).iter().map(float).collect() };
    Ok(match op {
        "roll" => x.roll(integers(&step["shift"]), axes(&step["axis"])).into(),
        "repeat" => x.repeat(integers(&step["repeats"]), axis()).into(),
        "tile" => x.tile(integers(&step["reps"])).into(),
        "take" => x.take(integers(&step["indices"]), axis()).into(),
        "diff" => x.diff(step["n"].as_u64().unwrap_or(1), axis()).into(),
        "cumsum" => x.cumsum(axes(&step["axis"])).into(),
        "cumprod" => x.cumprod(axes(&step["axis"])).into(),
        "unique" => x.unique().into(),
        "unique_counts" => x.unique_counts().1.into(),
        "topk" => x.topk(step["k"].as_i64().unwrap_or(0), axis()).into(),
        "pad" => {
            let widths = list(&step["width"]).iter().map(integers);
            let widths: Vec<(i64, i64)> = widths.map(|pair| (pair[0], pair[1])).collect();
            let mode = match step["mode"].as_str().unwrap_or_default() {
                "constant" => PadMode::Constant(T::from_json(&step["value"])),
                "edge" => PadMode::Edge,
                "reflect" => PadMode::Reflect,
                "symmetric" => PadMode::Symmetric,
                _ => PadMode::Wrap,
            };
            x.pad(widths, mode).into()
        }
        "histogram" if step["edges"].is_null() => {
            let range = numbers("range");
            let n = step["bins"].as_u64().unwrap_or(0) as usize;
            x.histogram(&array::bins(n, range[0], range[1])).into()
        }
        "histogram" => x.histogram(&numbers("edges")).into(),
        "percentile" => {
            let method = match step["method"].as_str().unwrap_or_default() {
                "lower" => QuantileMethod::Lower,
                "higher" => QuantileMethod::Higher,
                "midpoint" => QuantileMethod::Midpoint,
                "nearest" => QuantileMethod::Nearest,
                _ => QuantileMethod::Linear,
            };
            let how = over(axes(&step["axis"]));
            let how = if step["keepdims"] == Value::Bool(true) { how.keepdims() } else { how };
            let found = match &step["q"] {
                Value::Array(_) => x.percentile(numbers("q"), method, how),
                q => x.percentile(float(q), method, how),
            };
            match method {
                QuantileMethod::Linear | QuantileMethod::Midpoint => found.into(),
                // NumPy gives elements the type of elements.
                _ => found.cast::<T>().into(),
            }
        }
        _ => return reduction(x, op, step),
    })
}

/// The mean of each element and its neighbours along an axis, as a user would write it.
fn window_mean<F: Typed + FromJson + num_traits::Float>(x: &Array<F>, step: &Value) -> Array<F> {
    let ndim = x.ndim().unwrap_or(1);
    let axis = step["axis"].as_i64().unwrap_or(0).rem_euclid(ndim as i64) as usize;
    let depth = step["depth"].as_u64().unwrap_or(1);
    let boundary = match step["boundary"].as_str().unwrap_or_default() {
        "constant" => Boundary::Constant(F::from_json(&step["value"])),
        "nearest" => Boundary::Nearest,
        "reflect" => Boundary::Reflect,
        _ => Boundary::Periodic,
    };
    let mut widths = vec![(0, 0); ndim];
    widths[axis] = (depth, depth);
    let depth = depth as usize;
    x.map_overlap(widths, boundary, move |block, _| {
        let mut means = block.to_owned();
        for (lane, mut means) in
            block.lanes(Axis(axis)).into_iter().zip(means.lanes_mut(Axis(axis)))
        {
            for i in depth..lane.len() - depth {
                let sum = (i - depth..=i + depth).fold(F::zero(), |sum, i| sum + lane[i]);
                means[i] = sum / F::from(2 * depth + 1).expect("a small number");
            }
        }
        means
    })
}

fn reduction<T: Typed>(x: &Array<T>, op: &str, step: &Value) -> Result<Dynamic, String>
where
    Dynamic: From<Array<T>> + From<Array<T::Mean>> + From<Array<T::Sum>> + From<Array<T::Spread>>,
{
    let mut how: Over = over(axes(&step["axis"])).ddof(step["ddof"].as_f64().unwrap_or(0.0));
    if step["keepdims"] == Value::Bool(true) {
        how = how.keepdims();
    }
    Ok(match op {
        "sum" => x.sum(how).into(),
        "nansum" => x.nansum(how).into(),
        "prod" => x.prod(how).into(),
        "nanprod" => x.nanprod(how).into(),
        "mean" => x.mean(how).into(),
        "nanmean" => x.nanmean(how).into(),
        "var" => x.var(how).into(),
        "nanvar" => x.nanvar(how).into(),
        "std" => x.std(how).into(),
        "nanstd" => x.nanstd(how).into(),
        "min" => x.min(how).into(),
        "nanmin" => x.nanmin(how).into(),
        "max" => x.max(how).into(),
        "nanmax" => x.nanmax(how).into(),
        "any" => x.any(how).into(),
        "all" => x.all(how).into(),
        "argmin" => x.argmin(how).into(),
        "nanargmin" => x.nanargmin(how).into(),
        "argmax" => x.argmax(how).into(),
        "nanargmax" => x.nanargmax(how).into(),
        _ => return Err(format!("no operation {op}")),
    })
}

fn compare(got: &AnyArray, expect: &Value, lazy: &Dynamic) -> Result<(), String> {
    let dtype = dtype_of(&expect["dtype"]);
    if got.dtype() != dtype {
        return Err(format!("dtype {:?}, expected {dtype:?}", got.dtype()));
    }
    let shape: Vec<usize> = integers(&expect["shape"]).iter().map(|&len| len as usize).collect();
    let declared: Vec<usize> = match lazy.to_dyn().shape() {
        Ok(declared) => declared.iter().map(|&len| len as usize).collect(),
        // What a mask leaves is known only now.
        Err(Error::UnknownChunks { .. }) => shape.clone(),
        Err(error) => return Err(error.to_string()),
    };
    if got.shape() != shape || declared != shape {
        return Err(format!("shape {:?} ({declared:?}), expected {shape:?}", got.shape()));
    }
    let want = list(&expect["data"]);
    let is_close = |got: f64, want: f64, is_single: bool| {
        let (absolute, relative) = if is_single { (1e-5, 1e-4) } else { (1e-11, 1e-9) };
        got == want
            || (got.is_nan() && want.is_nan())
            || (got - want).abs() <= absolute + relative * want.abs() && want.is_finite()
    };
    macro_rules! elements {
        ($array:expr, |$got:ident, $want:ident| $is_same:expr) => {
            $array.iter().zip(want).position(|(&$got, $want)| !$is_same)
        };
    }
    let wrong = match got {
        AnyArray::Bool(all) => elements!(all, |got, want| got == bool::from_json(want)),
        AnyArray::I16(all) => elements!(all, |got, want| Some(i64::from(got)) == want.as_i64()),
        AnyArray::I32(all) => elements!(all, |got, want| Some(i64::from(got)) == want.as_i64()),
        AnyArray::I64(all) => elements!(all, |got, want| Some(got) == want.as_i64()),
        AnyArray::U8(all) => elements!(all, |got, want| Some(u64::from(got)) == want.as_u64()),
        AnyArray::U32(all) => elements!(all, |got, want| Some(u64::from(got)) == want.as_u64()),
        AnyArray::U64(all) => elements!(all, |got, want| Some(got) == want.as_u64()),
        AnyArray::F32(all) => {
            elements!(all, |got, want| is_close(f64::from(got), float(want), true))
        }
        AnyArray::F64(all) => elements!(all, |got, want| is_close(got, float(want), false)),
        AnyArray::C64(all) => elements!(all, |got, want| {
            is_close(f64::from(got.re), float(&want[0]), true)
                && is_close(f64::from(got.im), float(&want[1]), true)
        }),
        AnyArray::C128(all) => elements!(all, |got, want| {
            is_close(got.re, float(&want[0]), false) && is_close(got.im, float(&want[1]), false)
        }),
        other => return Err(format!("no expectation for {:?}", other.dtype())),
    };
    match wrong {
        None if want.len() == shape.iter().product::<usize>() => Ok(()),
        None => Err("the expectation has another length".into()),
        Some(i) => Err(format!("element {i}: expected {}, got {got:?}", want[i])),
    }
}
