//! Lengths in messages, checked before anything is allocated by them.

use arrow::ipc::{Buffer, CompressionType, RecordBatch};

/// How many times longer than its input the output of a codec can be: LZ4 has a byte for 255 more, and
/// Zstandard blocks of 128 KiB in four bytes.
const LZ4_RATIO_MAX: u64 = 255;
const ZSTD_RATIO_MAX: u64 = 32 << 10;

/// The start and end of a buffer in a body of so many bytes.
pub(super) fn place(buffer: &Buffer, body_bytes: u64) -> Result<(u64, u64), String> {
    let (start, length) = (buffer.offset(), buffer.length());
    let range = u64::try_from(start).ok().zip(u64::try_from(length).ok());
    let range = range.and_then(|(start, length)| Some((start, start.checked_add(length)?)));
    range
        .filter(|&(_, end)| end <= body_bytes)
        .ok_or_else(|| format!("a buffer at {start}+{length} in a body of {body_bytes} bytes"))
}

/// Whether a compressed buffer can become as long as it says.
pub(super) fn check_uncompressed(batch: &RecordBatch<'_>, buffer: &[u8]) -> Result<(), String> {
    let Some(compression) = batch.compression() else { return Ok(()) };
    let Some((prefix, content)) = buffer.split_first_chunk::<8>() else {
        // What is empty has no prefix; what is too short is for the decoder to refuse.
        return Ok(());
    };
    let said = i64::from_le_bytes(*prefix);
    let Ok(uncompressed) = u64::try_from(said) else {
        // -1 is no compression, and of the rest the decoder complains.
        return Ok(());
    };
    let ratio = match compression.codec() {
        CompressionType::LZ4_FRAME => LZ4_RATIO_MAX,
        _ => ZSTD_RATIO_MAX,
    };
    let bytes = content.len() as u64;
    let is_possible = match zstd_content_size(content) {
        Some(known) if compression.codec() == CompressionType::ZSTD => known == uncompressed,
        _ => uncompressed <= bytes.saturating_mul(ratio),
    };
    if is_possible {
        return Ok(());
    }
    Err(format!("{bytes} compressed bytes that should become {uncompressed}"))
}

/// The length of the content that a Zstandard frame has in its header (RFC 8878, section 3.1.1.1), if it has.
fn zstd_content_size(frame: &[u8]) -> Option<u64> {
    let (magic, rest) = frame.split_first_chunk::<4>()?;
    let (&descriptor, rest) = rest.split_first()?;
    if *magic != [0x28, 0xB5, 0x2F, 0xFD] {
        return None;
    }
    let is_single_segment = descriptor & 0x20 != 0;
    let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let field = rest.get(usize::from(!is_single_segment) + dictionary_bytes..)?;
    match descriptor >> 6 {
        0 => is_single_segment.then(|| field.first().copied().map(u64::from))?,
        1 => field.first_chunk::<2>().map(|bytes| u64::from(u16::from_le_bytes(*bytes)) + 256),
        2 => field.first_chunk::<4>().map(|bytes| u64::from(u32::from_le_bytes(*bytes))),
        _ => field.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)),
    }
}
