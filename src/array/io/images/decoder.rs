//! PNG and TIFF files, by the crates of these names: `image` around both would build the conversion of colors too.

use std::io::{BufReader, Read, Seek};
use std::sync::Arc;

use png::{BitDepth, Transformations};
use tiff::tags::{SampleFormat, Tag};
use tiff::{TiffError, TiffResult};

use crate::array::dtype::DType;
use crate::error::{Blame, Error, Result};
use crate::storage::{Cursor, FoundFile, io_error_in};

/// LZW's best case is less, and deflate's is a quarter of it.
const COMPRESSION_RATIO_MAX: u64 = 4096;

const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

type Bytes = BufReader<Cursor>;

/// A file whose header was read, and promises no more than the file can hold.
pub(super) struct Decoder {
    pub(super) dtype: DType,
    /// Height and width, and channels if there is more than one.
    pub(super) shape: Vec<u64>,
    format: Format,
}

enum Format {
    Png(Box<png::Reader<Bytes>>),
    Tiff(Box<tiff::decoder::Decoder<Bytes>>, tiff::ColorType),
}

/// All samples of an image, row by row, those of a pixel side by side.
pub(super) enum Samples {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

impl Decoder {
    pub(super) fn new(blame: &Blame<'_>, file: &FoundFile) -> Result<Self> {
        let opened = file.open(blame)?;
        let bytes_max = opened.len().saturating_mul(COMPRESSION_RATIO_MAX);
        let mut bytes = BufReader::new(Cursor::new(Arc::new(opened), 0));
        let mut magic = Vec::new();
        let read = bytes.by_ref().take(PNG_MAGIC.len() as u64).read_to_end(&mut magic);
        read.and_then(|_| bytes.rewind()).map_err(Error::io(blame.call, blame.path))?;
        let buffers_max = usize::try_from(bytes_max.saturating_add(1 << 20)).unwrap_or(usize::MAX);
        let decoder = match &magic[..] {
            PNG_MAGIC => Decoder::of_png(blame, bytes, buffers_max)?,
            [b'I', b'I', ..] | [b'M', b'M', ..] => Decoder::of_tiff(blame, bytes, buffers_max)?,
            _ => return Err(blame.unsupported("its format", "use PNG or TIFF images")),
        };
        if decoder.nbytes() > bytes_max {
            let (width, height) = (decoder.shape[1], decoder.shape[0]);
            let promise = format!("{width} by {height} pixels do not fit into the file");
            return Err(blame.corrupt(promise));
        }
        Ok(decoder)
    }

    /// Samples of less than 8 bits, and colors of a palette, become samples of 8 bits.
    fn of_png(blame: &Blame<'_>, bytes: Bytes, bytes_max: usize) -> Result<Self> {
        let limits = png::Limits { bytes: bytes_max };
        let mut decoder = png::Decoder::new_with_limits(bytes, limits);
        decoder.set_transformations(Transformations::EXPAND);
        let reader = decoder.read_info().map_err(|error| png_failed(blame, &error))?;
        let (color, depth) = reader.output_color_type();
        let dtype = if depth == BitDepth::Sixteen { DType::U16 } else { DType::U8 };
        let shape = shape(reader.info().size(), color.samples());
        Ok(Decoder { dtype, shape, format: Format::Png(Box::new(reader)) })
    }

    fn of_tiff(blame: &Blame<'_>, bytes: Bytes, bytes_max: usize) -> Result<Self> {
        use tiff::ColorType as C;
        let failed = |error| tiff_failed(blame, error);
        let mut limits = tiff::decoder::Limits::unlimited();
        limits.decoding_buffer_size = bytes_max;
        limits.intermediate_buffer_size = bytes_max;
        limits.ifd_value_size = bytes_max;
        let decoder = tiff::decoder::Decoder::new(bytes).map_err(failed)?;
        let mut decoder = decoder.with_limits(limits);
        let size = decoder.dimensions().map_err(failed)?;
        let color = decoder.colortype().map_err(failed)?;
        let refused = |what: String| {
            blame.unsupported(what, "convert the images to whole samples of 8 or 16 bits")
        };
        let (bits, channels) = match color {
            C::Gray(bits @ (1 | 8 | 16)) => (bits, 1),
            C::GrayA(bits @ (8 | 16)) => (bits, 2),
            C::RGB(bits @ (8 | 16)) => (bits, 3),
            C::RGBA(bits @ (8 | 16)) => (bits, 4),
            other => return Err(refused(format!("the color type {other:?}"))),
        };
        if !are_unsigned(&mut decoder).map_err(failed)? {
            return Err(refused("samples that are no unsigned integers".into()));
        }
        let dtype = if bits == 16 { DType::U16 } else { DType::U8 };
        let format = Format::Tiff(Box::new(decoder), color);
        Ok(Decoder { dtype, shape: shape(size, channels), format })
    }

    fn n_samples(&self) -> u64 {
        self.shape.iter().fold(1, |n, &len| n.saturating_mul(len))
    }

    fn nbytes(&self) -> u64 {
        self.n_samples().saturating_mul(self.dtype.nbytes() as u64)
    }

    /// Decodes all of the image.
    pub(super) fn read(self, blame: &Blame<'_>) -> Result<Samples> {
        let n_samples = self.n_samples() as usize;
        let samples = match self.format {
            Format::Png(mut reader) => {
                let mut bytes = vec![0; n_samples * self.dtype.nbytes()];
                reader.next_frame(&mut bytes).map_err(|error| png_failed(blame, &error))?;
                match self.dtype {
                    DType::U8 => Samples::U8(bytes),
                    _ => {
                        let pairs = bytes.as_chunks().0.iter();
                        Samples::U16(pairs.map(|pair| u16::from_be_bytes(*pair)).collect())
                    }
                }
            }
            Format::Tiff(mut decoder, color) => {
                let width = self.shape[1] as usize;
                let samples = tiff_samples(&mut decoder, color, width);
                samples
                    .map_err(|error| tiff_failed(blame, error))?
                    .ok_or_else(|| blame.unsupported("its samples", "use PNG or TIFF images"))?
            }
        };
        match samples.len() == n_samples {
            true => Ok(samples),
            false => Err(blame.corrupt(format!("{} of {n_samples} samples", samples.len()))),
        }
    }
}

impl Samples {
    fn len(&self) -> usize {
        match self {
            Samples::U8(samples) => samples.len(),
            Samples::U16(samples) => samples.len(),
        }
    }

    pub(super) fn u8(self) -> Option<Vec<u8>> {
        if let Samples::U8(samples) = self { Some(samples) } else { None }
    }

    pub(super) fn u16(self) -> Option<Vec<u16>> {
        if let Samples::U16(samples) = self { Some(samples) } else { None }
    }
}

fn shape((width, height): (u32, u32), channels: usize) -> Vec<u64> {
    let mut shape = vec![u64::from(height), u64::from(width)];
    shape.extend((channels > 1).then_some(channels as u64));
    shape
}

/// Which samples are if nothing is said of them.
fn are_unsigned(decoder: &mut tiff::decoder::Decoder<Bytes>) -> TiffResult<bool> {
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?;
    Ok(formats
        .is_none_or(|formats| formats.iter().all(|&format| format == SampleFormat::Uint.to_u16())))
}

fn tiff_samples(
    decoder: &mut tiff::decoder::Decoder<Bytes>,
    color: tiff::ColorType,
    width: usize,
) -> TiffResult<Option<Samples>> {
    use tiff::decoder::DecodingResult as D;
    let mut decoded = D::U8(Vec::new());
    let n_planes = decoder.read_image_to_buffer(&mut decoded)?.planes;
    Ok(match decoded {
        D::U8(bits) if color == tiff::ColorType::Gray(1) => Some(Samples::U8(expand(&bits, width))),
        D::U8(samples) => Some(Samples::U8(interleaved(samples, n_planes))),
        D::U16(samples) => Some(Samples::U16(interleaved(samples, n_planes))),
        _ => None,
    })
}

/// Rows of bits, each from a new byte on, as 0 and 255.
fn expand(bits: &[u8], width: usize) -> Vec<u8> {
    let of_row = |row: &[u8]| {
        (0..width).map(|x| if row[x / 8] >> (7 - x % 8) & 1 == 1 { 255 } else { 0 }).collect()
    };
    let rows: Vec<Vec<u8>> = bits.chunks_exact(width.div_ceil(8).max(1)).map(of_row).collect();
    rows.concat()
}

/// The samples of each pixel side by side, from planes one after the other.
fn interleaved<T: Copy>(samples: Vec<T>, n_planes: usize) -> Vec<T> {
    if n_planes < 2 {
        return samples;
    }
    let n_pixels = samples.len() / n_planes;
    let of_pixel = |i: usize| samples.iter().skip(i).step_by(n_pixels.max(1)).take(n_planes);
    (0..n_pixels).flat_map(of_pixel).copied().collect()
}

fn png_failed(blame: &Blame<'_>, error: &png::DecodingError) -> Error {
    match error {
        png::DecodingError::IoError(cause) => failed(blame, cause),
        error => failed(blame, error),
    }
}

fn tiff_failed(blame: &Blame<'_>, error: TiffError) -> Error {
    match error {
        TiffError::UnsupportedError(what) => {
            blame.unsupported(what.to_string(), "use other PNG or TIFF images")
        }
        error => failed(blame, &error),
    }
}

fn failed(blame: &Blame<'_>, error: &(dyn std::error::Error + 'static)) -> Error {
    match io_error_in(error) {
        Some(error) => Error::io(blame.call, blame.path)(error),
        None => blame.corrupt(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_expanded_row_by_row() {
        let bits = [0b1010_0000, 0b0100_0000, 0b1111_1111, 0b1100_0000];
        let expected = [255, 0, 255, 0, 0, 0, 0, 0, 0, 255].into_iter().chain([255; 10]);
        assert_eq!(expand(&bits, 10), expected.collect::<Vec<_>>());
    }

    #[test]
    fn planes_are_interleaved() {
        assert_eq!(interleaved(vec![1, 2, 3, 10, 20, 30], 2), [1, 10, 2, 20, 3, 30]);
        assert_eq!(interleaved(vec![1, 2, 3], 1), [1, 2, 3]);
    }
}
