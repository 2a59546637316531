//! Which elements of HDF5 arrays have, and how they are decoded.

use hdf5_reader::error::{Error, Result as Read};
use hdf5_reader::{ByteOrder as Order, Datatype, H5Type, StringSize, VarLenKind};

use crate::array::dtype::DType;
use crate::array::io::bytes::ByteOrder;

/// The bytes of an element as they are in the file, to be decoded as in all other formats. The crate's own elements know neither
/// bool nor complex numbers, nor bytes that an attribute declares unsigned, and what reads them is compiled for each.
#[derive(Clone)]
pub(super) struct Raw<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> H5Type for Raw<N> {
    fn hdf5_type() -> Datatype {
        Datatype::Opaque { size: N as u32, tag: String::new() }
    }

    fn from_bytes(bytes: &[u8], _: &Datatype) -> Read<Self> {
        let bytes = bytes.first_chunk();
        bytes.map(|bytes| Raw(*bytes)).ok_or_else(|| Error::InvalidData("an element is cut".into()))
    }

    fn element_size(_: &Datatype) -> usize {
        N
    }

    fn decode_vec(raw: &[u8], _: &Datatype, count: usize) -> Option<Read<Vec<Self>>> {
        let (items, _) = raw.as_chunks();
        Some(Ok(items.get(..count)?.iter().map(|bytes| Raw(*bytes)).collect()))
    }
}

pub(super) fn order_of(dtype: &Datatype) -> ByteOrder {
    match dtype {
        Datatype::FixedPoint { byte_order, .. } | Datatype::FloatingPoint { byte_order, .. } => {
            if *byte_order == Order::BigEndian {
                ByteOrder::Big
            } else {
                ByteOrder::Little
            }
        }
        Datatype::Enum { base, .. } => order_of(base),
        Datatype::Compound { fields, .. } => {
            fields.first().map_or(ByteOrder::NATIVE, |field| order_of(&field.datatype))
        }
        _ => ByteOrder::NATIVE,
    }
}

/// The elements of arrays that a type of HDF5 is, or the name of the type.
///
/// As h5py writes them, bool is an enumeration of FALSE and TRUE, and complex numbers are pairs `r` and `i`. Other enumerations
/// are their numbers; text of one byte is that byte, as in NetCDF.
pub(super) fn dtype_of(dtype: &Datatype) -> Result<DType, String> {
    Ok(match dtype {
        Datatype::FixedPoint { size: 1, signed: true, .. } => DType::I8,
        Datatype::FixedPoint { size: 2, signed: true, .. } => DType::I16,
        Datatype::FixedPoint { size: 4, signed: true, .. } => DType::I32,
        Datatype::FixedPoint { size: 8, signed: true, .. } => DType::I64,
        Datatype::FixedPoint { size: 1, .. } => DType::U8,
        Datatype::FixedPoint { size: 2, .. } => DType::U16,
        Datatype::FixedPoint { size: 4, .. } => DType::U32,
        Datatype::FixedPoint { size: 8, .. } => DType::U64,
        Datatype::FloatingPoint { size: 4, .. } => DType::F32,
        Datatype::FloatingPoint { size: 8, .. } => DType::F64,
        Datatype::String { size: StringSize::Fixed(1), .. } => DType::U8,
        Datatype::Enum { .. } if is_bool(dtype) => DType::Bool,
        Datatype::Enum { base, .. } => return dtype_of(base),
        Datatype::Compound { .. } => return complex(dtype).ok_or_else(|| "records".to_string()),
        Datatype::FixedPoint { size, .. } => return Err(format!("integers of {size} bytes")),
        Datatype::FloatingPoint { size, .. } => return Err(format!("floats of {size} bytes")),
        Datatype::String { .. } => return Err("strings".into()),
        Datatype::VarLen { kind: VarLenKind::String, .. } => return Err("strings".into()),
        Datatype::VarLen { .. } => return Err("elements of variable length".into()),
        Datatype::Array { .. } => return Err("elements that are arrays".into()),
        Datatype::Reference { .. } => return Err("references".into()),
        Datatype::Bitfield { .. } => return Err("bit fields".into()),
        Datatype::Opaque { .. } => return Err("opaque elements".into()),
    })
}

fn is_bool(dtype: &Datatype) -> bool {
    let Datatype::Enum { base, members } = dtype else { return false };
    let has = |name: &str, value: u8| {
        members.iter().any(|member| member.name == name && member.value == [value])
    };
    let is_byte = matches!(**base, Datatype::FixedPoint { size: 1, .. });
    is_byte && members.len() == 2 && has("FALSE", 0) && has("TRUE", 1)
}

fn complex(dtype: &Datatype) -> Option<DType> {
    let Datatype::Compound { size, fields } = dtype else { return None };
    let [re, im] = fields.as_slice() else { return None };
    let is_pair = re.name.starts_with('r') && im.name.starts_with('i');
    if !is_pair || re.datatype != im.datatype || re.byte_offset != 0 {
        return None;
    }
    match (&re.datatype, im.byte_offset, size) {
        (Datatype::FloatingPoint { size: 4, .. }, 4, 8) => Some(DType::C64),
        (Datatype::FloatingPoint { size: 8, .. }, 8, 16) => Some(DType::C128),
        _ => None,
    }
}

/// Whether numbers fill their bytes as those of this machine do, up to the order of the bytes: the message of their type,
/// as the file has it, may say otherwise.
pub(super) fn is_plain(message: &[u8], dtype: &Datatype) -> bool {
    let word = |at: usize| {
        let bytes = message.get(at..at + 2)?;
        Some(u16::from_le_bytes(bytes.try_into().expect("two bytes")))
    };
    match dtype {
        Datatype::FixedPoint { size, .. } => {
            word(8) == Some(0) && word(10) == Some(8 * u16::from(*size))
        }
        Datatype::FloatingPoint { size, .. } => {
            let is_vax = message.get(1).is_none_or(|flags| flags & 0x40 != 0);
            // Where the exponent and the mantissa lie, how long they are, and the bias.
            let ieee = match size {
                4 => [23, 8, 0, 23, 127, 0, 0, 0],
                _ => [52, 11, 0, 52, 255, 3, 0, 0],
            };
            !is_vax && message.get(12..20) == Some(&ieee[..])
        }
        _ => true,
    }
}
