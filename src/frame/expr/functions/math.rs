//! Functions of numbers, row by row.

use polars_core::error::{polars_bail, polars_ensure};
use polars_core::prelude::arity::broadcast_binary_elementwise;
use polars_core::prelude::{
    ChunkApply, ChunkCompareIneq, Column, DataType, Float32Chunked, Float64Chunked, Int8Chunked,
    Int16Chunked, Int32Chunked, Int64Chunked, IntoColumn, IntoSeries, NamedFrom, PolarsResult,
    Series, UInt8Chunked, UInt16Chunked, UInt32Chunked, UInt64Chunked,
};
use polars_ops::prelude::{LogSeries, RoundMode, RoundSeries};

use super::series;
use crate::frame::expr::function::{Coercion, functions};
use crate::frame::expr::{Expr, lit};

functions! {
    ABS = "abs" => |c| series(c, polars_ops::prelude::abs);
    SIGN = "sign" => |c| series(c, sign);
    FLOOR = "floor" => |c| series(c, |s| s.floor());
    CEIL = "ceil" => |c| series(c, |s| s.ceil());
    ROUND = "round" => |c| round(c, RoundMode::HalfToEven);
    ROUND_AWAY = "round_half_away" => |c| round(c, RoundMode::HalfAwayFromZero);
    TRUNCATE = "truncate" => |c| round(c, RoundMode::ToZero);
    CLIP = "clip", coerce(Coercion::None) => clip;
    CLIP_MIN = "clip_min" => |c| clip_one(c, polars_ops::prelude::clip_min);
    CLIP_MAX = "clip_max" => |c| clip_one(c, polars_ops::prelude::clip_max);
    POW = "pow" => pow;
    SQRT = "sqrt" => |c| floats(c, f32::sqrt, f64::sqrt);
    CBRT = "cbrt" => |c| floats(c, f32::cbrt, f64::cbrt);
    EXP = "exp" => |c| floats(c, f32::exp, f64::exp);
    LOG = "log" => log;
    LOG1P = "log1p" => |c| floats(c, f32::ln_1p, f64::ln_1p);
    SIN = "sin" => |c| floats(c, f32::sin, f64::sin);
    COS = "cos" => |c| floats(c, f32::cos, f64::cos);
    TAN = "tan" => |c| floats(c, f32::tan, f64::tan);
    ARCSIN = "arcsin" => |c| floats(c, f32::asin, f64::asin);
    ARCCOS = "arccos" => |c| floats(c, f32::acos, f64::acos);
    ARCTAN = "arctan" => |c| floats(c, f32::atan, f64::atan);
    SINH = "sinh" => |c| floats(c, f32::sinh, f64::sinh);
    COSH = "cosh" => |c| floats(c, f32::cosh, f64::cosh);
    TANH = "tanh" => |c| floats(c, f32::tanh, f64::tanh);
    ARCTAN2 = "arctan2" => arctan2;
    DEGREES = "degrees" => |c| floats(c, f32::to_degrees, f64::to_degrees);
    RADIANS = "radians" => |c| floats(c, f32::to_radians, f64::to_radians);
}

fn check_number(name: &str, dtype: &DataType) -> PolarsResult<()> {
    polars_ensure!(
        dtype.is_primitive_numeric() || dtype.is_decimal() || dtype.is_bool(),
        InvalidOperation: "{name} of {dtype} is not possible"
    );
    Ok(())
}

/// As a float: `f32` stays, everything else becomes `f64`.
fn as_float(column: &Column) -> PolarsResult<Column> {
    check_number("a float", column.dtype())?;
    if column.dtype().is_float() { Ok(column.clone()) } else { column.cast(&DataType::Float64) }
}

fn floats(
    inputs: &[Column],
    single: fn(f32) -> f32,
    double: fn(f64) -> f64,
) -> PolarsResult<Column> {
    as_float(&inputs[0])?.try_apply_unary_elementwise(|s| match s.dtype() {
        DataType::Float32 => Ok(s.f32()?.apply_values(single).into_series()),
        _ => Ok(s.f64()?.apply_values(double).into_series()),
    })
}

fn sign(s: &Series) -> PolarsResult<Series> {
    check_number("sign", s.dtype())?;
    match s.dtype() {
        DataType::Float32 => {
            Ok(s.f32()?.apply_values(|v| if v == 0.0 { v } else { v.signum() }).into_series())
        }
        DataType::Float64 => {
            Ok(s.f64()?.apply_values(|v| if v == 0.0 { v } else { v.signum() }).into_series())
        }
        dtype => {
            let zero = Series::new("".into(), [0_i32]).cast(dtype)?;
            let (above, below) = (s.gt(&zero)?.into_series(), s.lt(&zero)?.into_series());
            &above.cast(dtype)? - &below.cast(dtype)?
        }
    }
}

/// The second input is the number of digits.
fn round(inputs: &[Column], mode: RoundMode) -> PolarsResult<Column> {
    let digits = inputs[1].cast(&DataType::UInt32)?;
    let Some(digits) = digits.u32()?.get(0) else {
        polars_bail!(InvalidOperation: "round needs a number of digits");
    };
    check_number("round", inputs[0].dtype())?;
    series(&inputs[..1], |s| s.round(digits, mode))
}

fn clip(inputs: &[Column]) -> PolarsResult<Column> {
    let [values, min, max] = inputs else {
        polars_bail!(InvalidOperation: "clip needs two bounds");
    };
    check_number("clip", values.dtype())
        .or_else(|error| if values.dtype().is_temporal() { Ok(()) } else { Err(error) })?;
    let of = Column::as_materialized_series;
    Ok(polars_ops::prelude::clip(of(values), of(min), of(max))?.into_column())
}

fn clip_one(
    inputs: &[Column],
    clip: fn(&Series, &Series) -> PolarsResult<Series>,
) -> PolarsResult<Column> {
    let (values, bound) = (&inputs[0], &inputs[1]);
    Ok(clip(values.as_materialized_series(), bound.as_materialized_series())?.into_column())
}

fn log(inputs: &[Column]) -> PolarsResult<Column> {
    let (values, base) = (as_float(&inputs[0])?, as_float(&inputs[1])?);
    // A base that is a literal follows the values.
    let base = if base.len() == 1 { base.cast(values.dtype())? } else { base };
    let of = Column::as_materialized_series;
    Ok(of(&values).log(of(&base)).into_column())
}

fn arctan2(inputs: &[Column]) -> PolarsResult<Column> {
    pairs(&as_float(&inputs[0])?, &inputs[1], f32::atan2, f64::atan2)
}

/// A function of two floats, in the dtype of `left`.
fn pairs(
    left: &Column,
    right: &Column,
    single: fn(f32, f32) -> f32,
    double: fn(f64, f64) -> f64,
) -> PolarsResult<Column> {
    check_number("a float", right.dtype())?;
    let right = right.cast(left.dtype())?;
    if left.dtype() == &DataType::Float32 {
        let out: Float32Chunked =
            broadcast_binary_elementwise(left.f32()?, right.f32()?, |l, r| Some(single(l?, r?)));
        return Ok(out.into_column());
    }
    let out: Float64Chunked =
        broadcast_binary_elementwise(left.f64()?, right.f64()?, |l, r| Some(double(l?, r?)));
    Ok(out.into_column())
}

fn int_pow(base: &Column, exponent: &UInt32Chunked) -> PolarsResult<Column> {
    macro_rules! pow {
        ($chunked:ty, $values:expr) => {{
            let out: $chunked =
                broadcast_binary_elementwise($values, exponent, |b, e| Some(b?.wrapping_pow(e?)));
            out.into_column()
        }};
    }
    Ok(match base.dtype() {
        DataType::Int8 => pow!(Int8Chunked, base.i8()?),
        DataType::Int16 => pow!(Int16Chunked, base.i16()?),
        DataType::Int32 => pow!(Int32Chunked, base.i32()?),
        DataType::Int64 => pow!(Int64Chunked, base.i64()?),
        DataType::UInt8 => pow!(UInt8Chunked, base.u8()?),
        DataType::UInt16 => pow!(UInt16Chunked, base.u16()?),
        DataType::UInt32 => pow!(UInt32Chunked, base.u32()?),
        DataType::UInt64 => pow!(UInt64Chunked, base.u64()?),
        dtype => polars_bail!(InvalidOperation: "pow of {dtype} is not possible"),
    })
}

/// Integers to the power of integers stay integers of the same dtype and wrap around; all else is float.
fn pow(inputs: &[Column]) -> PolarsResult<Column> {
    let (base, exponent) = (&inputs[0], &inputs[1]);
    check_number("pow", base.dtype())?;
    check_number("pow", exponent.dtype())?;
    if base.dtype().is_integer() && exponent.dtype().is_integer() {
        let exponent = exponent.strict_cast(&DataType::UInt32).map_err(|error| {
            error.context("integers have no negative powers; cast one side to a float".into())
        })?;
        let exponent = exponent.u32()?;
        return int_pow(base, exponent);
    }
    let base = match (base.dtype(), exponent.dtype()) {
        (b, e) if b.is_integer() && e.is_float() => base.cast(e)?,
        _ => as_float(base)?,
    };
    pairs(&base, exponent, f32::powf, f64::powf)
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident $function:ident)*) => {
        /// Functions of numbers. Those that give fractions give `f32` for `f32` and `f64` for all else.
        ///
        /// ```
        /// use dask_rs::frame::{col, lit};
        /// let distance = (col("dx").pow(2) + col("dy").pow(2)).sqrt().round(2);
        /// let share = col("share").clip(lit(0.0), lit(1.0)) * lit(100);
        /// ```
        impl Expr { $(
            $(#[$doc])*
            pub fn $method(&self) -> Expr {
                self.unary(&$function)
            }
        )* }
    };
}

methods! {
    /// The absolute value.
    abs ABS
    /// -1, 0 or 1, in the dtype of the values.
    sign SIGN
    /// The next whole number below.
    floor FLOOR
    /// The next whole number above.
    ceil CEIL
    /// The square root.
    sqrt SQRT
    /// The cube root.
    cbrt CBRT
    /// *e* to the power of the value.
    exp EXP
    /// The natural logarithm of one more than the value.
    log1p LOG1P
    /// The sine.
    sin SIN
    /// The cosine.
    cos COS
    /// The tangent.
    tan TAN
    /// The inverse of the sine.
    arcsin ARCSIN
    /// The inverse of the cosine.
    arccos ARCCOS
    /// The inverse of the tangent.
    arctan ARCTAN
    /// The hyperbolic sine.
    sinh SINH
    /// The hyperbolic cosine.
    cosh COSH
    /// The hyperbolic tangent.
    tanh TANH
    /// Radians as degrees.
    degrees DEGREES
    /// Degrees as radians.
    radians RADIANS
}

impl Expr {
    /// Rounded to a number of digits, halves to the even digit.
    pub fn round(&self, decimals: u32) -> Expr {
        self.binary(&ROUND, decimals)
    }

    /// Rounded to a number of digits, halves away from zero.
    pub fn round_half_away(&self, decimals: u32) -> Expr {
        self.binary(&ROUND_AWAY, decimals)
    }

    /// Cut to a number of digits.
    pub fn truncate(&self, decimals: u32) -> Expr {
        self.binary(&TRUNCATE, decimals)
    }

    /// Values outside of the bounds become the bound; the dtype stays, and a bound that it can't hold is an error.
    pub fn clip(&self, min: impl Into<Expr>, max: impl Into<Expr>) -> Expr {
        Expr::call(&CLIP, vec![self.clone(), min.into(), max.into()])
    }

    /// As [`clip`](Self::clip), with a lower bound only.
    pub fn clip_min(&self, min: impl Into<Expr>) -> Expr {
        self.binary(&CLIP_MIN, min)
    }

    /// As [`clip`](Self::clip), with an upper bound only.
    pub fn clip_max(&self, max: impl Into<Expr>) -> Expr {
        self.binary(&CLIP_MAX, max)
    }

    /// The value to the power of `exponent`. Powers of integers to integers are integers of the same dtype.
    pub fn pow(&self, exponent: impl Into<Expr>) -> Expr {
        self.binary(&POW, exponent)
    }

    /// The logarithm to `base`.
    pub fn log(&self, base: impl Into<Expr>) -> Expr {
        self.binary(&LOG, base)
    }

    /// The natural logarithm.
    pub fn ln(&self) -> Expr {
        self.log(lit(std::f64::consts::E))
    }

    /// The angle of the point whose vertical coordinate this is, between -π and π.
    pub fn arctan2(&self, x: impl Into<Expr>) -> Expr {
        self.binary(&ARCTAN2, x)
    }
}
