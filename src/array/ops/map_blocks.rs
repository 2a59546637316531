//! Users' functions of whole blocks.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use super::gufunc::{in_loops, map_of};
use super::selections::blockwise;
use crate::array::chunks::{AxisChunks, Chunks, unify_broadcast, unify_indices};
use crate::array::dtype::Element;
use crate::array::expr::{Handle, Node, dim_names_of};
use crate::array::kernels::map_blocks::{
    BlockFunction, BlockInfo, MapBlocksKernel, of_block, shape_of,
};
use crate::array::meta::Meta;
use crate::array::op::{ArrayOp, Blockwise};
use crate::error::{Call, Error, Result};
use crate::graph::{AxisMap, BlockMap};

/// `function` of each block. `chunks` are those of the result if they differ from the input's; they have one block for
/// each block of the input, and axes of one block may come and go.
pub(crate) fn map_blocks<T: Element, U: Element>(
    call: Call,
    x: &Handle,
    chunks: Option<Chunks>,
    function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Handle {
    x.then(|node| {
        let chunks = declared(call, node, chunks)?;
        let is_same = chunks.grid() == node.meta.chunks.grid();
        let names = node.note.clone().filter(|_| chunks.ndim() == node.ndim());
        let map = match is_same {
            true => BlockMap::axes((0..chunks.ndim()).map(AxisMap::same)),
            false => BlockMap::Linear,
        };
        Ok(mapped(call, node, map, chunks, 0, function)?.with_note(names))
    })
}

/// `function` of the block that `map` names for each block of `chunks`.
pub(crate) fn mapped<T: Element, U: Element>(
    call: Call,
    node: &Arc<Node>,
    map: BlockMap,
    chunks: Chunks,
    scratch_bytes: u64,
    function: impl Fn(ArrayViewD<'_, T>, &BlockInfo) -> ArrayD<U> + Send + Sync + 'static,
) -> Result<Arc<Node>> {
    node_of::<U>(call, &[(node, map)], chunks, scratch_bytes, of_block(function))
}

/// `function` of the blocks that several arrays, which broadcast, have at one place.
pub(crate) fn map_blocks_of<U: Element>(
    call: Call,
    arrays: &[&Handle],
    function: Arc<dyn BlockFunction>,
) -> Handle {
    Handle::join(arrays, |nodes| {
        let own: Vec<&Chunks> = nodes.iter().map(|node| &node.meta.chunks).collect();
        let chunks = super::countable(call, unify_broadcast(call, &own)?)?;
        let fit = |node: &&Arc<Node>| in_loops(node, node.ndim(), &chunks);
        let fit: Vec<Arc<Node>> = nodes.iter().map(fit).collect::<Result<_>>()?;
        let slots: Vec<_> =
            fit.iter().map(|node| (node, map_of(node, node.ndim(), &chunks))).collect();
        let mut names = nodes.iter().filter(|node| node.ndim() == chunks.ndim());
        let names = names.find_map(|node| node.note.clone());
        Ok(node_of::<U>(call, &slots, chunks.clone(), 0, function)?.with_note(names))
    })
}

/// `function` of the blocks that several arrays have at one place along the axes of one letter; those of letters that are not
/// in the result are whole. `declared` are the lengths of blocks along letters of the result that no array has, or that are
/// others than theirs.
pub(crate) fn blockwise_of<U: Element>(
    call: Call,
    subscripts: &str,
    arrays: &[&Handle],
    declared: &[(char, Vec<u64>)],
    function: Arc<dyn BlockFunction>,
) -> Handle {
    Handle::join(arrays, |nodes| {
        let (terms, out) = letters(call, subscripts, nodes)?;
        if let Some((letter, _)) = declared.iter().find(|(letter, _)| !out.contains(letter)) {
            return Err(Error::InvalidArgument {
                call,
                argument: "chunks",
                got: format!("{letter}"),
                expected: "letters of the result",
            });
        }
        let pairs = terms.iter().zip(nodes);
        let args: Vec<(&[char], &Chunks)> =
            pairs.clone().map(|(term, node)| (&term[..], &node.meta.chunks)).collect();
        let unified = unify_indices(call, &args)?;
        let along = |letter: char| {
            let found = unified.iter().find(|(other, _)| *other == letter);
            found.map(|(_, chunks)| chunks)
        };
        let axes = out.iter().map(|&letter| {
            let sizes = declared.iter().find(|(other, _)| *other == letter);
            let sizes = sizes.map(|(_, sizes)| &sizes[..]);
            out_chunks(call, letter, along(letter), sizes)
        });
        let chunks = super::countable(call, axes.collect::<Result<_>>()?)?;

        let mut slots = Vec::with_capacity(nodes.len());
        for (term, node) in pairs.clone() {
            let mut own = Vec::with_capacity(term.len());
            let mut maps = Vec::with_capacity(term.len());
            for (axis, (&letter, old)) in term.iter().zip(node.meta.chunks.axes()).enumerate() {
                let new = along(letter).unwrap_or(old);
                let is_repeated = old.len() == Some(1) && new.len() != Some(1);
                let (chunks, map) = match out.iter().position(|other| *other == letter) {
                    None => (AxisChunks::whole(node.axis_len(call, axis)?), AxisMap::At(0)),
                    Some(_) if is_repeated => (old.clone(), AxisMap::At(old.block_at(0))),
                    Some(place) => (new.clone(), AxisMap::same(place)),
                };
                own.push(chunks);
                maps.push(map);
            }
            slots.push((node.in_chunks(Chunks::new(own))?, BlockMap::axes(maps)));
        }
        let name = |letter: &char| {
            let mut of_letter = pairs.clone().filter_map(|(term, node)| {
                let axis = term.iter().position(|other| other == letter)?;
                Some(Arc::clone(&node.dim_names()?[axis])).filter(|name| !name.is_empty())
            });
            of_letter.next()
        };
        let names = dim_names_of(out.iter().map(name));
        let slots: Vec<_> = slots.iter().map(|(node, map)| (node, map.clone())).collect();
        Ok(node_of::<U>(call, &slots, chunks, 0, function)?.with_note(names))
    })
}

/// The letters of the axes of some arrays and of the result, in `ij,j->i`.
fn letters(
    call: Call,
    subscripts: &str,
    nodes: &[&Arc<Node>],
) -> Result<(Vec<Vec<char>>, Vec<char>)> {
    let wrong = |expected| Error::InvalidArgument {
        call,
        argument: "subscripts",
        got: format!("{subscripts:?}"),
        expected,
    };
    let plain: String = subscripts.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, out) = plain.split_once("->").ok_or_else(|| {
        wrong("a letter for each axis of the arrays and of the result, such as \"ij,j->i\"")
    })?;
    let terms: Vec<Vec<char>> = inputs.split(',').map(|term| term.chars().collect()).collect();
    let out: Vec<char> = out.chars().collect();
    let fits = terms.len() == nodes.len()
        && terms.iter().zip(nodes).all(|(term, node)| term.len() == node.ndim());
    if !fits {
        return Err(wrong("a term for each array, with a letter for each of its axes"));
    }
    let is_letter = |c: &char| c.is_alphabetic();
    if !terms.iter().flatten().chain(&out).all(is_letter) {
        return Err(wrong("letters, commas between the terms of arrays, and an arrow"));
    }
    if (1..out.len()).any(|i| out[..i].contains(&out[i])) {
        return Err(wrong("each letter once after the arrow"));
    }
    Ok((terms, out))
}

/// The chunks of the result along a letter.
fn out_chunks(
    call: Call,
    letter: char,
    own: Option<&AxisChunks>,
    declared: Option<&[u64]>,
) -> Result<AxisChunks> {
    let wrong = |got: String, expected| Error::InvalidArgument {
        call,
        argument: "chunks",
        got: format!("{got} for {letter}"),
        expected,
    };
    let Some(sizes) = declared else {
        let missing = || wrong("nothing".into(), "chunks for each letter that no array has");
        return own.cloned().ok_or_else(missing);
    };
    let new = AxisChunks::from_sizes(sizes);
    new.filter(|new| own.is_none_or(|own| own.n_blocks() == new.n_blocks())).ok_or_else(|| {
        wrong(
            format!("{sizes:?}"),
            "the length of at least one block, and of each block of the arrays",
        )
    })
}

/// The functions of users whose tasks may be said to need more memory than their blocks.
const OF_FUNCTIONS: [&str; 5] =
    ["map_blocks", "map_blocks_with_chunks", "map_overlap", "apply_gufunc", "blockwise"];

/// The result of a user's function whose tasks need so many bytes besides their blocks.
pub(crate) fn with_scratch_bytes(call: Call, x: &Handle, bytes: u64) -> Handle {
    x.then(|node| {
        needing(node, bytes)?.ok_or_else(|| Error::InvalidArgument {
            call,
            argument: "self",
            got: "what no function of blocks has made".into(),
            expected: "the result of map_blocks, map_overlap, apply_gufunc or blockwise itself",
        })
    })
}

fn needing(node: &Arc<Node>, bytes: u64) -> Result<Option<Arc<Node>>> {
    let op = match &node.op {
        ArrayOp::Blockwise(op) if OF_FUNCTIONS.contains(&&*op.name) => op,
        _ => return Ok(None),
    };
    let inputs: Vec<&Arc<Node>> = node.inputs.iter().collect();
    let made = if op.kernel.runs_user_code() {
        let scratch_bytes = op.scratch_bytes.saturating_add(bytes);
        let op = Blockwise { scratch_bytes, ..Blockwise::clone(op) };
        Node::of(ArrayOp::Blockwise(Arc::new(op)), &inputs)?
    } else {
        // One of several results of a function, which are made together.
        let Some(together) = needing(inputs[0], bytes)? else { return Ok(None) };
        Node::of(ArrayOp::Blockwise(Arc::clone(op)), &[&together])?
    };
    Ok(Some(made.with_note(node.note.clone())))
}

pub(super) fn node_of<U: Element>(
    call: Call,
    inputs: &[(&Arc<Node>, BlockMap)],
    chunks: Chunks,
    scratch_bytes: u64,
    function: Arc<dyn BlockFunction>,
) -> Result<Arc<Node>> {
    let kernel = MapBlocksKernel { call, function, out: chunks.clone(), shape_of: shape_of::<U> };
    let out = Meta { dtype: U::DTYPE, chunks };
    blockwise(call, Arc::new(kernel), inputs, out, None, scratch_bytes)
}

fn declared(call: Call, node: &Node, chunks: Option<Chunks>) -> Result<Chunks> {
    let Some(chunks) = chunks else { return Ok(node.meta.chunks.clone()) };
    let cut = |chunks: &Chunks| -> Vec<u64> {
        chunks.grid().into_iter().filter(|n_blocks| *n_blocks != 1).collect()
    };
    if cut(&chunks) == cut(&node.meta.chunks) {
        return super::countable(call, chunks);
    }
    Err(Error::InvalidChunks {
        call,
        got: chunks.to_string(),
        shape: chunks.known_shape().unwrap_or_default(),
        problem: "the result needs one block for each block of the input, apart from axes of one block",
    })
}
