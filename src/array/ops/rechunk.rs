//! The same values in other chunks.

use crate::array::args::AxisRef;
use crate::array::chunks::{AxisSpec, ChunkSpec, Chunks, normalize_chunks};
use crate::array::expr::{Handle, Node};
use crate::error::{Call, Error, Result};

/// The array in the chunks that `spec` asks for.
pub(crate) fn rechunk(call: Call, x: &Handle, spec: &ChunkSpec) -> Handle {
    x.then(|node| {
        let numbered = numbered(call, node, spec)?;
        let spec = numbered.as_ref().unwrap_or(spec);
        let chunks = match node.meta.chunks.first_unknown() {
            None => of_known(call, node, &node.meta.chunks, spec)?,
            Some(_) => around_unknown(call, node, spec)?,
        };
        node.in_chunks(chunks)
    })
}

/// A spec of dimension names as one of their numbers.
fn numbered(call: Call, node: &Node, spec: &ChunkSpec) -> Result<Option<ChunkSpec>> {
    let ChunkSpec::Named(entries) = spec else { return Ok(None) };
    let axes = entries.iter().map(|(name, spec)| {
        let axis = AxisRef::from(name.as_str()).resolve(call, node.ndim(), node.dim_names())?;
        Ok((axis as i64, spec.clone()))
    });
    Ok(Some(ChunkSpec::Axes(axes.collect::<Result<_>>()?)))
}

fn of_known(call: Call, node: &Node, chunks: &Chunks, spec: &ChunkSpec) -> Result<Chunks> {
    let shape = chunks.known_shape().unwrap_or_default();
    let itemsize = Some(node.meta.dtype.nbytes() as u64);
    normalize_chunks(call, spec, &shape, itemsize, super::chunk_bytes()?, Some(chunks))
}

/// Axes of unknown lengths stay as they are; only a spec that says so for each axis is clear.
fn around_unknown(call: Call, node: &Node, spec: &ChunkSpec) -> Result<Chunks> {
    let refused = |axis| Error::UnknownChunks { call, axis };
    let ndim = node.ndim();
    let per_axis: Vec<AxisSpec> = match spec {
        ChunkSpec::PerAxis(specs) if specs.len() == ndim => specs.clone(),
        ChunkSpec::Axes(specs) => {
            let mut all = vec![AxisSpec::Keep; ndim];
            for (axis, spec) in specs {
                let axis = AxisRef::Index(*axis).resolve(call, ndim, None)?;
                all[axis] = spec.clone();
            }
            all
        }
        _ => return Err(refused(node.meta.chunks.first_unknown().unwrap_or(0))),
    };
    let mut chunks = node.meta.chunks.clone();
    for (axis, spec) in per_axis.into_iter().enumerate() {
        let old = &node.meta.chunks.axes()[axis];
        if matches!(spec, AxisSpec::Keep) {
            continue;
        }
        if !old.is_known() {
            return Err(refused(axis));
        }
        let alone = Chunks::new(vec![old.clone()]);
        let spec = ChunkSpec::PerAxis(vec![spec]);
        chunks = chunks.with_axis(axis, of_known(call, node, &alone, &spec)?.axes()[0].clone());
    }
    Ok(chunks)
}
