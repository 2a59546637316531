//! Packed values: what the attributes of a variable say about turning stored numbers into values.
//!
//! After sections 8.1 and 2.5.1 of the CF conventions,
//! <https://cfconventions.org/cf-conventions/cf-conventions.html#packed-data>, and for `_Unsigned`
//! the NetCDF Users Guide.

use super::header::Attribute;
use crate::array::dtype::DType;

/// How stored numbers become values: missing ones become NaN, the others
/// `stored * scale_factor + add_offset`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub(crate) struct Packing {
    /// The factor, if there is one.
    pub scale_factor: Option<f64>,
    /// The offset, added after multiplying, if there is one.
    pub add_offset: Option<f64>,
    /// The stored numbers that stand for missing values: `_FillValue` and `missing_value`.
    pub missing: Vec<f64>,
    /// The dtype of the values.
    pub dtype: DType,
}

impl Packing {
    /// Reads the attributes of a variable with stored elements of type `stored`.
    pub(super) fn new(stored: DType, attributes: &[(String, Attribute)]) -> Self {
        let get = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, v)| v);
        let (scale, offset) = (get("scale_factor"), get("add_offset"));
        let mut missing: Vec<f64> = Vec::new();
        for value in [get("_FillValue"), get("missing_value")].into_iter().flatten() {
            missing.extend(value.to_f64s().iter().map(|&value| as_stored(value, stored)));
        }
        // What is NaN already needs no mark, and integers never are.
        missing.retain(|value| !value.is_nan());
        missing.dedup();
        Packing {
            scale_factor: scale.and_then(first),
            add_offset: offset.and_then(first),
            dtype: value_dtype(stored, [scale, offset], !missing.is_empty()),
            missing,
        }
    }

    /// Whether values are just the stored numbers.
    pub(crate) fn is_identity(&self) -> bool {
        self.scale_factor.is_none() && self.add_offset.is_none() && self.missing.is_empty()
    }
}

impl Attribute {
    /// The numbers as `f64`, none for text. Integers beyond 2^53 are rounded.
    pub fn to_f64s(&self) -> Vec<f64> {
        match self {
            Attribute::Text(_) | Attribute::Texts(_) => Vec::new(),
            Attribute::I8(v) => v.iter().map(|&x| x.into()).collect(),
            Attribute::I16(v) => v.iter().map(|&x| x.into()).collect(),
            Attribute::I32(v) => v.iter().map(|&x| x.into()).collect(),
            Attribute::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Attribute::U8(v) => v.iter().map(|&x| x.into()).collect(),
            Attribute::U16(v) => v.iter().map(|&x| x.into()).collect(),
            Attribute::U32(v) => v.iter().map(|&x| x.into()).collect(),
            Attribute::U64(v) => v.iter().map(|&x| x as f64).collect(),
            Attribute::F32(v) => v.iter().map(|&x| x.into()).collect(),
            Attribute::F64(v) => v.clone(),
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Attribute::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Whether stored signed integers are meant as unsigned ones.
pub(super) fn is_unsigned(attributes: &[(String, Attribute)]) -> bool {
    let is_true = |value: &Attribute| value.as_text().is_some_and(|text| text == "true");
    attributes.iter().any(|(name, value)| name == "_Unsigned" && is_true(value))
}

/// The unsigned type of the same length.
pub(super) fn unsigned(dtype: DType) -> DType {
    match dtype {
        DType::I8 => DType::U8,
        DType::I16 => DType::U16,
        DType::I32 => DType::U32,
        DType::I64 => DType::U64,
        other => other,
    }
}

fn first(attribute: &Attribute) -> Option<f64> {
    attribute.to_f64s().first().copied()
}

/// A fill value of -1 means 255 if the elements are unsigned bytes.
fn as_stored(value: f64, stored: DType) -> f64 {
    match stored {
        DType::U8 | DType::U16 | DType::U32 | DType::U64 if value < 0.0 => {
            value + 2f64.powi(8 * stored.nbytes() as i32)
        }
        _ => value,
    }
}

/// `f32` where it loses nothing: for short integers with `f32` attributes, and for stored `f32`
/// without wider ones. Integers that are neither scaled nor ever missing stay what they are.
fn value_dtype(stored: DType, scaling: [Option<&Attribute>; 2], has_missing: bool) -> DType {
    let mut scaling = scaling.into_iter().flatten().peekable();
    let is_scaled = scaling.peek().is_some();
    if !is_scaled && (!has_missing || stored.is_float()) {
        return stored;
    }
    let narrow = stored == DType::F32 || (stored.is_integer() && stored.nbytes() <= 2);
    let narrow = narrow && scaling.all(|value| matches!(value, Attribute::F32(_)));
    if narrow { DType::F32 } else { DType::F64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packing(stored: DType, attributes: &[(&str, Attribute)]) -> Packing {
        let own = |(name, value): &(&str, Attribute)| (name.to_string(), value.clone());
        Packing::new(stored, &attributes.iter().map(own).collect::<Vec<_>>())
    }

    #[test]
    fn nothing_to_unpack() {
        let plain = packing(DType::I32, &[("units", Attribute::Text("K".into()))]);
        assert!(plain.is_identity());
        assert_eq!(plain.dtype, DType::I32);
    }

    #[test]
    fn dtypes_of_values() {
        let (half, half32) = (Attribute::F64(vec![0.5]), Attribute::F32(vec![0.5]));
        let scaled =
            |stored, value: &Attribute| packing(stored, &[("scale_factor", value.clone())]).dtype;
        assert_eq!(scaled(DType::I16, &half), DType::F64);
        assert_eq!(scaled(DType::I16, &half32), DType::F32);
        assert_eq!(scaled(DType::I32, &half32), DType::F64);
        assert_eq!(scaled(DType::F32, &half32), DType::F32);
        let fill = |stored| packing(stored, &[("_FillValue", Attribute::I16(vec![-1]))]).dtype;
        assert_eq!(fill(DType::I16), DType::F32);
        assert_eq!(fill(DType::I32), DType::F64);
        assert_eq!(fill(DType::F32), DType::F32);
    }

    #[test]
    fn missing_values_are_stored_numbers() {
        let both = [
            ("_FillValue", Attribute::I8(vec![-1])),
            ("missing_value", Attribute::I8(vec![-1, 3])),
        ];
        assert_eq!(packing(DType::U8, &both).missing, [255.0, 3.0]);
        assert_eq!(packing(DType::I8, &both).missing, [-1.0, 3.0]);
    }
}
