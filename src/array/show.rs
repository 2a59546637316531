//! Operations and their results as plans print them.

use std::fmt;

use super::chunks::{AxisChunks, AxisSlice, tuple_text};
use super::meta::Meta;
use super::op::{ArrayOp, Read, ReadFrom, Reduction};
use crate::bytes::format_bytes;

/// The operation with its parameters; what follows from the result's chunks is left out.
impl fmt::Display for ArrayOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArrayOp::Read(read) => show_read(read, f),
            ArrayOp::Blocks(_) => f.write_str("persisted"),
            ArrayOp::Bridge(bridged) => f.write_str(&bridged.bridge.name),
            ArrayOp::Create { program, .. } => write!(f, "create {program}"),
            ArrayOp::Elemwise(program) => write!(f, "elemwise {program}"),
            ArrayOp::Slice(slices) => {
                let texts = slices.iter().map(|slice| slice.map_or(":".into(), show_slice));
                write!(f, "slice [{}]", list(texts))
            }
            ArrayOp::Permute(axes) => {
                let texts = axes.iter().map(|axis| axis.map_or("new".into(), |i| i.to_string()));
                write!(f, "permute [{}]", list(texts))
            }
            ArrayOp::Broadcast(_) => f.write_str("broadcast"),
            ArrayOp::Concat(axis) => write!(f, "concatenate on axis {axis}"),
            ArrayOp::Rechunk(_) => f.write_str("rechunk"),
            ArrayOp::Reshape(_) => f.write_str("reshape"),
            ArrayOp::ReshapeBlocks(_) => f.write_str("reshape blocks"),
            ArrayOp::Reduce(reduction) => show_reduction(reduction, f),
            ArrayOp::Take(take) => write!(f, "take {} on axis {}", take.index.len(), take.axis),
            ArrayOp::Blockwise(blockwise) => f.write_str(&blockwise.name),
            ArrayOp::Contract(contraction) => {
                write!(f, "contract axes {:?}", contraction.summed)?;
                if !contraction.batch.is_empty() {
                    write!(f, " for each of {:?}", contraction.batch)?;
                }
                Ok(())
            }
        }
    }
}

/// Element type, shape, the shape of a chunk, and bytes.
impl fmt::Display for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dtype, self.chunks.shape_text())?;
        if self.chunks.n_blocks() > 1 {
            let axes = self.chunks.axes().iter().map(show_axis);
            write!(f, " in {} chunks of {}", self.chunks.n_blocks(), tuple_text(axes))?;
        }
        match self.nbytes() {
            Some(bytes) => write!(f, ", {}", format_bytes(bytes)),
            None => Ok(()),
        }
    }
}

fn show_axis(axis: &AxisChunks) -> String {
    match axis {
        AxisChunks::Uniform { size, .. } => size.to_string(),
        AxisChunks::Shifted { .. } | AxisChunks::Varying(_) => axis.to_string(),
        AxisChunks::Unknown { .. } => "?".into(),
    }
}

/// `start:stop:step` as in Python.
fn show_slice(slice: AxisSlice) -> String {
    let AxisSlice { start, len, step } = slice;
    let reach = len.saturating_sub(1).saturating_mul(step.unsigned_abs());
    let stop = match step {
        _ if len == 0 => start.to_string(),
        1.. => (start + reach + 1).to_string(),
        _ if start == reach => String::new(),
        _ => (start - reach - 1).to_string(),
    };
    if step == 1 { format!("{start}:{stop}") } else { format!("{start}:{stop}:{step}") }
}

fn show_read(read: &Read, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_whole = match &read.from {
        ReadFrom::Storage(source) => {
            let verb = if source.is_computed() { "" } else { "read " };
            write!(f, "{verb}{}", source.name())?;
            source.shape().iter().zip(&*read.window).all(|(&len, slice)| slice.is_full(len))
        }
        ReadFrom::Memory(_) => {
            f.write_str("memory")?;
            read.window.iter().all(|slice| slice.start == 0 && slice.step == 1)
        }
    };
    if is_whole {
        return Ok(());
    }
    write!(f, " [{}]", list(read.window.iter().map(|slice| show_slice(*slice))))
}

fn show_reduction(reduction: &Reduction, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", reduction.spec)?;
    if reduction.fan_in.iter().any(|&size| size > 1) {
        write!(f, " by {:?} blocks", reduction.fan_in)?;
    }
    Ok(())
}

fn list(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_print_as_in_python() {
        let cases = [((0, 5, 1), "0:5"), ((9, 3, -2), "9:4:-2"), ((4, 5, -1), "4::-1")];
        for ((start, len, step), text) in cases {
            assert_eq!(show_slice(AxisSlice::new(start, len, step)), text);
        }
        assert_eq!(show_slice(AxisSlice::new(0, 0, 1)), "0:0");
        assert_eq!(show_slice(AxisSlice::new(1, 4, 3)), "1:11:3");
    }
}
