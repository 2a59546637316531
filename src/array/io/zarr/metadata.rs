//! What a new array is going to be, and its metadata document.

use std::path::Path;

use serde_json::{Map, Value, json};
use zarrs::array::{ArrayCreateError, ArrayMetadata, ArrayMetadataV2, DataType};
use zarrs::plugin::{ExtensionName, PluginCreateError};
use zarrs::storage::StorageError;

use super::super::bytes::ByteOrder;
use super::place::Documents;
use crate::array::dtype::DType;
use crate::error::{Blame, Call, Error, Result};
use crate::storage::io_error_in;

/// Tables and windows of a compressor at its usual levels, and of the writer of the file.
pub(super) const COMPRESSOR_BYTES: u64 = 1 << 20;

/// The version of the Zarr format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZarrFormat {
    /// Version 2: `.zarray` and `.zattrs`.
    V2,
    /// Version 3: `zarr.json`, and shards.
    #[default]
    V3,
}

/// How the bytes of a chunk are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZarrCompressor {
    /// Not at all.
    None,
    /// zstd, levels -131072 to 22.
    Zstd(i32),
    /// gzip, levels 0 to 9.
    Gzip(u8),
    /// zlib, levels 0 to 9; version 2 only.
    Zlib(u8),
    /// lz4 in blosc with shuffled bytes, levels 0 to 9.
    BloscLz4(u8),
    /// zstd in blosc with shuffled bytes, levels 0 to 9.
    BloscZstd(u8),
}

/// A new array.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub(crate) struct ZarrOptions {
    /// The lengths of the axes.
    pub shape: Vec<u64>,
    /// The lengths of a chunk.
    pub chunks: Vec<u64>,
    /// The lengths of a shard, multiples of a chunk's; version 3 only.
    pub shards: Option<Vec<u64>>,
    /// The element type.
    pub dtype: DType,
    /// The version of the format.
    pub format: ZarrFormat,
    /// How chunks are compressed.
    pub compressor: ZarrCompressor,
    /// The names of the dimensions.
    pub dim_names: Option<Vec<String>>,
    /// Attributes of the user.
    pub attributes: Map<String, Value>,
    /// Whether an array that is there already may be replaced.
    pub overwrite: bool,
}

impl ZarrOptions {
    /// An array of version 3, compressed with zstd, without shards, names and attributes.
    pub(crate) fn new(shape: &[u64], chunks: &[u64], dtype: DType) -> Self {
        ZarrOptions {
            shape: shape.to_vec(),
            chunks: chunks.to_vec(),
            shards: None,
            dtype,
            format: ZarrFormat::V3,
            compressor: ZarrCompressor::Zstd(1),
            dim_names: None,
            attributes: Map::new(),
            overwrite: false,
        }
    }

    /// The lengths of what one writer has to own: a shard, or a chunk without shards.
    pub(crate) fn unit(&self) -> &[u64] {
        self.shards.as_deref().unwrap_or(&self.chunks)
    }

    /// Bytes that writing a box uses beside it: one chunk or shard in C order, the same as bytes, and
    /// compressed, with what the compressor needs.
    pub(crate) fn scratch_bytes(&self) -> u64 {
        let unit = bytes_of(self.unit(), self.dtype).unwrap_or(u64::MAX);
        unit.saturating_mul(3).saturating_add(COMPRESSOR_BYTES)
    }

    /// Refuses what can't be written.
    pub(crate) fn check(&self, call: Call) -> Result<()> {
        let invalid_chunks = |got: &[u64], problem| Error::InvalidChunks {
            call,
            got: format!("{got:?}"),
            shape: self.shape.clone(),
            problem,
        };
        if self.chunks.len() != self.shape.len() || self.chunks.contains(&0) {
            return Err(invalid_chunks(
                &self.chunks,
                "one length of at least 1 is needed per axis",
            ));
        }
        if let Some(shards) = &self.shards {
            let is_multiple = |(&shard, &chunk): (&u64, &u64)| shard > 0 && shard % chunk == 0;
            if shards.len() != self.chunks.len()
                || !shards.iter().zip(&self.chunks).all(is_multiple)
            {
                return Err(invalid_chunks(shards, "shards have to be multiples of the chunks"));
            }
        }
        let unit_bytes = bytes_of(self.unit(), self.dtype);
        if unit_bytes.is_none() || bytes_of(&self.shape, self.dtype).is_none() {
            return Err(invalid_chunks(self.unit(), "2^63 bytes are too many"));
        }
        let invalid =
            |argument, got, expected| Error::InvalidArgument { call, argument, got, expected };
        if self.dim_names.as_ref().is_some_and(|names| names.len() != self.shape.len()) {
            let got = format!("{:?}", self.dim_names);
            return Err(invalid("dim_names", got, "one name per axis"));
        }
        if self.format == ZarrFormat::V2 && self.shards.is_some() {
            return Err(invalid("shards", format!("{:?}", self.shards), "none in Zarr version 2"));
        }
        if self.format == ZarrFormat::V3 && matches!(self.compressor, ZarrCompressor::Zlib(_)) {
            let got = format!("{:?}", self.compressor);
            return Err(invalid("compressor", got, "Gzip instead of Zlib in Zarr version 3"));
        }
        Ok(())
    }

    /// The documents of the array by file name, the attributes of version 2 apart.
    pub(super) fn documents(&self) -> Vec<(&'static str, Value)> {
        match self.format {
            ZarrFormat::V2 => {
                let mut attributes = self.attributes.clone();
                if let Some(names) = &self.dim_names {
                    attributes.insert(DIMS_V2.into(), json!(names));
                }
                // The array is there with the last of them.
                vec![(".zattrs", Value::Object(attributes)), (".zarray", self.v2())]
            }
            ZarrFormat::V3 => vec![("zarr.json", self.v3())],
        }
    }

    fn v2(&self) -> Value {
        // No fill value: xarray takes one for the mark of missing values.
        json!({
            "zarr_format": 2,
            "shape": self.shape,
            "chunks": self.chunks,
            "dtype": v2_name(self.dtype),
            "compressor": self.v2_compressor(),
            "fill_value": null,
            "order": "C",
            "filters": null,
            "dimension_separator": ".",
        })
    }

    fn v3(&self) -> Value {
        let mut codecs = vec![bytes_codec(self.dtype)];
        codecs.extend(self.v3_compressor());
        if self.shards.is_some() {
            codecs = vec![json!({
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": self.chunks,
                    "codecs": codecs,
                    "index_codecs": [bytes_codec(DType::U64), {"name": "crc32c"}],
                    "index_location": "end",
                },
            })];
        }
        let fill_value = match self.dtype {
            DType::Bool => json!(false),
            DType::F32 | DType::F64 => json!(0.0),
            DType::C64 | DType::C128 => json!([0.0, 0.0]),
            _ => json!(0),
        };
        let mut document = json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": self.dtype.name(),
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self.unit()}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill_value,
            "codecs": codecs,
            "attributes": self.attributes,
        });
        if let Some(names) = &self.dim_names {
            document["dimension_names"] = json!(names);
        }
        document
    }

    fn v2_compressor(&self) -> Value {
        match self.compressor {
            ZarrCompressor::None => Value::Null,
            ZarrCompressor::Zstd(level) => json!({"id": "zstd", "level": level}),
            ZarrCompressor::Gzip(level) => json!({"id": "gzip", "level": level}),
            ZarrCompressor::Zlib(level) => json!({"id": "zlib", "level": level}),
            ZarrCompressor::BloscLz4(level) => {
                json!({"id": "blosc", "cname": "lz4", "clevel": level, "shuffle": 1, "blocksize": 0})
            }
            ZarrCompressor::BloscZstd(level) => {
                json!({"id": "blosc", "cname": "zstd", "clevel": level, "shuffle": 1, "blocksize": 0})
            }
        }
    }

    fn v3_compressor(&self) -> Option<Value> {
        let blosc = |cname: &str, level: u8| {
            json!({"name": "blosc", "configuration": {
                "cname": cname, "clevel": level, "shuffle": "shuffle",
                "typesize": self.dtype.nbytes(), "blocksize": 0,
            }})
        };
        Some(match self.compressor {
            ZarrCompressor::None => return None,
            ZarrCompressor::Zstd(level) => {
                json!({"name": "zstd", "configuration": {"level": level, "checksum": false}})
            }
            ZarrCompressor::Gzip(level) | ZarrCompressor::Zlib(level) => {
                json!({"name": "gzip", "configuration": {"level": level}})
            }
            ZarrCompressor::BloscLz4(level) => blosc("lz4", level),
            ZarrCompressor::BloscZstd(level) => blosc("zstd", level),
        })
    }
}

/// Where xarray keeps the names of dimensions in version 2.
pub(super) const DIMS_V2: &str = "_ARRAY_DIMENSIONS";

/// The bytes of a chunk; `None` if they are more than memory could ever hold.
pub(super) fn bytes_of(lens: &[u64], dtype: DType) -> Option<u64> {
    let product = |n: u64, &len: &u64| n.checked_mul(len.max(1));
    lens.iter().try_fold(dtype.nbytes() as u64, product).filter(|&n| n <= i64::MAX as u64)
}

fn bytes_codec(dtype: DType) -> Value {
    let endian = match ByteOrder::NATIVE {
        ByteOrder::Little => "little",
        ByteOrder::Big => "big",
    };
    match dtype.nbytes() {
        1 => json!({"name": "bytes"}),
        _ => json!({"name": "bytes", "configuration": {"endian": endian}}),
    }
}

fn v2_name(dtype: DType) -> String {
    let order = match (dtype.nbytes(), ByteOrder::NATIVE) {
        (1, _) => '|',
        (_, ByteOrder::Little) => '<',
        (_, ByteOrder::Big) => '>',
    };
    let kind = match dtype {
        DType::Bool => 'b',
        DType::F32 | DType::F64 => 'f',
        DType::C64 | DType::C128 => 'c',
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => 'u',
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => 'i',
    };
    format!("{order}{kind}{}", dtype.nbytes())
}

/// The dtype of a `zarrs` data type, or the name of one that arrays can't hold.
pub(super) fn dtype_of(data_type: &DataType) -> Result<DType, String> {
    let name = data_type.name_v3().map_or_else(|| format!("{data_type:?}"), |name| name.into());
    DType::ALL.into_iter().find(|dtype| dtype.name() == name).ok_or(name)
}

/// The metadata of an array from its documents.
pub(super) fn parsed(blame: &Blame<'_>, documents: &Documents) -> Result<ArrayMetadata> {
    let document =
        |name: &str| documents.iter().find(|(n, _)| *n == name).map(|(_, bytes)| bytes.as_slice());
    let metadata = parse(document("zarr.json"), document(".zarray"), document(".zattrs"))
        .map_err(|error| blame.corrupt(format!("its metadata: {error}")))?;
    metadata.ok_or_else(|| blame.corrupt("there is neither zarr.json nor .zarray in it"))
}

/// The documents that say the shape of an array, for this shape.
pub(super) fn with_shape(mut documents: Documents, shape: &[u64]) -> Result<Documents, String> {
    documents.retain(|(name, _)| *name != ".zattrs");
    for (_, bytes) in &mut documents {
        let document = serde_json::from_slice(bytes);
        let mut document: Value = document.map_err(|error| error.to_string())?;
        document["shape"] = json!(shape);
        *bytes = format!("{document:#}").into_bytes();
    }
    Ok(documents)
}

/// The metadata of an array from its document of version 3, or of version 2 and its attributes.
fn parse(
    v3: Option<&[u8]>,
    v2: Option<&[u8]>,
    attributes: Option<&[u8]>,
) -> serde_json::Result<Option<ArrayMetadata>> {
    if let Some(v3) = v3 {
        return Ok(Some(ArrayMetadata::V3(serde_json::from_slice(v3)?)));
    }
    let Some(v2) = v2 else { return Ok(None) };
    let mut v2: Value = serde_json::from_slice(v2)?;
    let is_complex = |dtype: &str| dtype.get(1..2) == Some("c");
    if v2["dtype"].as_str().is_some_and(is_complex) && v2["fill_value"].is_null() {
        // `zarrs` takes null for zero in all types but the complex ones.
        v2["fill_value"] = json!([0.0, 0.0]);
    }
    let mut v2: ArrayMetadataV2 = serde_json::from_value(v2)?;
    if let Some(attributes) = attributes {
        v2.attributes = serde_json::from_slice(attributes)?;
    }
    Ok(Some(ArrayMetadata::V2(v2)))
}

/// What `zarrs` says about metadata that it can't use.
pub(super) fn create_error(blame: &Blame<'_>, path: &Path, error: &ArrayCreateError) -> Error {
    let remedy =
        "rewrite the array with a codec and type that Zarr libraries share, or report this";
    match error {
        ArrayCreateError::StorageError(StorageError::IOError(_)) => match io_error_in(error) {
            Some(source) => Error::io(blame.call, path)(source),
            None => blame.corrupt(error.to_string()),
        },
        ArrayCreateError::DataTypeCreateError(PluginCreateError::Unsupported(_))
        | ArrayCreateError::CodecsCreateError(PluginCreateError::Unsupported(_))
        | ArrayCreateError::ChunkGridCreateError(PluginCreateError::Unsupported(_))
        | ArrayCreateError::ChunkKeyEncodingCreateError(PluginCreateError::Unsupported(_))
        | ArrayCreateError::StorageTransformersCreateError(PluginCreateError::Unsupported(_))
        | ArrayCreateError::AdditionalFieldUnsupportedError(_)
        | ArrayCreateError::UnsupportedZarrV2Array(_) => {
            blame.unsupported(format!("what its metadata asks for ({error})"), remedy)
        }
        _ => blame.corrupt(error.to_string()),
    }
}
