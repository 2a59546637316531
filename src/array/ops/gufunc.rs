//! Users' functions of whole axes, which are looped over the others.

use std::sync::Arc;

use super::selections::blockwise;
use crate::array::chunks::{AxisChunks, Chunks, cut_within, unify_broadcast};
use crate::array::dtype::Element;
use crate::array::expr::{Handle, Node};
use crate::array::kernels::gufunc::{CoreFunction, GufuncKernel};
use crate::array::kernels::linalg::parts::PartKernel;
use crate::array::meta::Meta;
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap, Kernel};

/// The names of the core axes of each input and of each result.
pub(crate) struct Signature {
    inputs: Vec<Vec<String>>,
    pub(crate) outputs: Vec<Vec<String>>,
}

impl Signature {
    /// Reads `(i,j),(j)->(i)`.
    pub(crate) fn parse(call: Call, text: &str) -> Result<Signature> {
        let wrong = || Error::InvalidArgument {
            call,
            argument: "signature",
            got: format!("{text:?}"),
            expected: "core axes by name, such as \"(i,j),(j)->(i)\"",
        };
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (inputs, outputs) = plain.split_once("->").ok_or_else(wrong)?;
        let [inputs, outputs] = [inputs, outputs].map(terms);
        let signature =
            Signature { inputs: inputs.ok_or_else(wrong)?, outputs: outputs.ok_or_else(wrong)? };
        Ok(signature)
    }
}

/// The names in `(i,j),(j)`.
fn terms(text: &str) -> Option<Vec<Vec<String>>> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let term = |term: &str| -> Option<Vec<String>> {
        if term.is_empty() {
            return Some(Vec::new());
        }
        term.split(',').map(|name| Some(name).filter(is_name).map(str::to_owned)).collect()
    };
    inner.split("),(").map(term).collect()
}

/// The lengths of core axes by name.
type Lengths = Vec<(String, u64)>;

/// An array of the input with its loop axes, which are the first.
struct Input<'a> {
    node: &'a Arc<Node>,
    n_loops: usize,
}

/// The results of a function whose core axes are in one block each, over the blocks of the others.
pub(crate) fn apply_gufunc<T: Element, U: Element>(
    call: Call,
    signature: &Signature,
    arrays: &[&Handle],
    sizes: &[(&str, u64)],
    function: Arc<CoreFunction<T, U>>,
) -> Result<Vec<Arc<Node>>> {
    let nodes: Vec<&Arc<Node>> = arrays.iter().map(|array| array.node()).collect::<Result<_>>()?;
    let (inputs, mut lens) = cores(call, signature, &nodes)?;
    lens.extend(sizes.iter().map(|(name, len)| ((*name).to_owned(), *len)));
    let cores: Vec<Vec<u64>> =
        signature.outputs.iter().map(|term| lengths(call, term, &lens)).collect::<Result<_>>()?;
    let loops = loops(call, &inputs, &cores, U::DTYPE.nbytes())?;
    let whole = inputs.iter().map(|input| in_loops(input.node, input.n_loops, &loops));
    let whole: Vec<Arc<Node>> = whole.collect::<Result<_>>()?;
    let slots: Vec<(&Arc<Node>, BlockMap)> = whole
        .iter()
        .zip(&inputs)
        .map(|(node, input)| (node, map_of(node, input.n_loops, &loops)))
        .collect();
    let kernel: Arc<dyn Kernel> = Arc::new(GufuncKernel {
        call,
        function,
        n_cores: signature.inputs.iter().map(Vec::len).collect(),
        loops: loops.clone(),
        cores: cores.clone(),
    });
    let of = |core: &[u64]| -> Chunks {
        loops.axes().iter().cloned().chain(core.iter().map(|&n| AxisChunks::whole(n))).collect()
    };
    let outs: Vec<Meta> =
        cores.iter().map(|core| Meta { dtype: U::DTYPE, chunks: of(core) }).collect();
    for out in &outs {
        super::countable(call, out.chunks.clone())?;
    }
    if let [out] = &outs[..] {
        return Ok(vec![blockwise(call, kernel, &slots, out.clone(), None, 0)?]);
    }
    let bytes = outs.iter().map(|out| out.block_bytes_max().unwrap_or(0));
    let bytes = bytes.fold(0, u64::saturating_add);
    let together = Meta { dtype: U::DTYPE, chunks: loops.clone() };
    let parts = blockwise(call, kernel, &slots, together, Some(bytes), 0)?;
    let part = |(i, out): (usize, Meta)| {
        let map = BlockMap::axes((0..loops.ndim()).map(AxisMap::same));
        blockwise(call, Arc::new(PartKernel(i)), &[(&parts, map)], out, None, 0)
    };
    outs.into_iter().enumerate().map(part).collect()
}

/// Which axes of the inputs are loops, and the lengths of the others by name.
fn cores<'a>(
    call: Call,
    signature: &Signature,
    nodes: &[&'a Arc<Node>],
) -> Result<(Vec<Input<'a>>, Lengths)> {
    let wrong =
        |got: String, expected| Error::InvalidArgument { call, argument: "arrays", got, expected };
    if nodes.len() != signature.inputs.len() {
        let got = format!("{} arrays", nodes.len());
        return Err(wrong(got, "an array for each term before the arrow"));
    }
    let mut inputs = Vec::with_capacity(nodes.len());
    let mut lens = Lengths::new();
    for (node, term) in nodes.iter().zip(&signature.inputs) {
        let n_loops = node.ndim().checked_sub(term.len()).ok_or_else(|| {
            wrong(format!("{} dimensions", node.ndim()), "an axis for each name of its term")
        })?;
        for (i, name) in term.iter().enumerate() {
            let len = node.axis_len(call, n_loops + i)?;
            match lens.iter().find(|(other, _)| other == name) {
                Some((_, known)) if *known != len => {
                    return Err(Error::ShapeMismatch {
                        call,
                        left: vec![*known],
                        right: vec![len],
                        remedy: "core axes of one name need the same length",
                    });
                }
                Some(_) => {}
                None => lens.push((name.clone(), len)),
            }
        }
        inputs.push(Input { node, n_loops });
    }
    Ok((inputs, lens))
}

fn lengths(call: Call, term: &[String], lens: &[(String, u64)]) -> Result<Vec<u64>> {
    let len = |name: &String| {
        let known = lens.iter().find(|(other, _)| other == name).map(|(_, len)| *len);
        known.ok_or_else(|| Error::InvalidArgument {
            call,
            argument: "sizes",
            got: format!("nothing for {name}"),
            expected: "a length for each name that no input has",
        })
    };
    term.iter().map(len).collect()
}

/// The chunks of the loops, cut so that blocks with whole core axes do not outgrow the largest block of an input, or
/// the chunk size.
fn loops(
    call: Call,
    inputs: &[Input<'_>],
    outputs: &[Vec<u64>],
    out_bytes: usize,
) -> Result<Chunks> {
    let own: Vec<Chunks> = inputs
        .iter()
        .map(|input| input.node.meta.chunks.axes()[..input.n_loops].iter().cloned().collect())
        .collect();
    let common = match &own[..] {
        [] => Chunks::new(Vec::new()),
        own => unify_broadcast(call, &own.iter().collect::<Vec<_>>())?,
    };
    if let Some(axis) = common.first_unknown() {
        return Err(Error::UnknownChunks { call, axis });
    }
    let product = |lens: &[u64]| lens.iter().fold(1_u64, |n, &len| n.saturating_mul(len));
    let of_input = inputs.iter().map(|input| {
        let core = &input.node.meta.chunks.shape()[input.n_loops..];
        let core: Vec<u64> = core.iter().map(|len| len.unwrap_or(1)).collect();
        product(&core).saturating_mul(input.node.meta.dtype.nbytes() as u64)
    });
    let of_output = outputs.iter().map(|core| product(core).saturating_mul(out_bytes as u64));
    let core_bytes = of_input.chain(of_output).max().unwrap_or(1).max(1);
    let largest = inputs.iter().filter_map(|input| input.node.meta.block_bytes_max()).max();
    let bytes_max = largest.unwrap_or(0).max(super::chunk_bytes()?);
    let n_loops = common.ndim();
    Ok(cut_within(common, 0..n_loops, bytes_max / core_bytes))
}

/// An array whose first axes broadcast to the loops, in chunks like these; of the others there is one chunk.
pub(super) fn in_loops(node: &Arc<Node>, n_loops: usize, loops: &Chunks) -> Result<Arc<Node>> {
    let own = node.meta.chunks.axes().iter().enumerate().map(|(axis, old)| {
        let place = loops.ndim() + axis - n_loops;
        match old.len() {
            Some(len) if axis >= n_loops => AxisChunks::whole(len),
            len if len == loops.axes()[place].len() => loops.axes()[place].clone(),
            _ => old.clone(),
        }
    });
    node.in_chunks(own.collect())
}

/// Which block of an input each block of the loops reads.
pub(super) fn map_of(node: &Node, n_loops: usize, loops: &Chunks) -> BlockMap {
    BlockMap::axes(node.meta.chunks.axes().iter().enumerate().map(|(axis, chunks)| {
        let place = loops.ndim() + axis - n_loops;
        if axis < n_loops && chunks.len() == loops.axes()[place].len() {
            return AxisMap::same(place);
        }
        AxisMap::At(chunks.block_at(0))
    }))
}
