//! What an array is, as a small table.
//!
//! Printing costs the same for all arrays: as many steps as it has dimensions, and a look at
//! `OPERATIONS_SHOWN_MAX` operations at most. Nothing is planned or computed.

use std::collections::HashSet;
use std::fmt;

use super::expr::{Handle, Node};
use crate::bytes::format_bytes;

/// Longer expressions are printed as having more operations than this.
const OPERATIONS_SHOWN_MAX: usize = 1000;

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Ok(node) => show_table(node, f),
            Err(error) => write!(f, "array with an error: {error}"),
        }
    }
}

/// Array and chunk side by side, then what can't be compared.
fn show_table(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (meta, chunks) = (&node.meta, &node.meta.chunks);
    let bytes = |bytes: Option<u64>| bytes.map_or("?".to_owned(), format_bytes);
    let rows = [
        ("", "Array".to_owned(), "Chunk".to_owned()),
        ("Bytes", bytes(meta.nbytes()), bytes(meta.block_bytes_max())),
        ("Shape", chunks.shape_text(), chunks.chunk_text()),
    ];
    let width = rows.iter().map(|row| row.1.chars().count()).max().unwrap_or(0);
    for (name, array, chunk) in &rows {
        writeln!(f, "{name:<5}  {array:<width$}  {chunk}")?;
    }
    if let Some(names) = node.dim_names() {
        writeln!(f, "Dims   {}", names.join(", "))?;
    }
    let (n_blocks, operations) = (chunks.n_blocks(), n_operations(node));
    let s = if n_blocks == 1 { "" } else { "s" };
    write!(f, "{n_blocks} chunk{s} from {operations}, {}", meta.dtype)
}

/// How many operations the expression is made of, of which shared ones count once.
fn n_operations(node: &Node) -> String {
    let mut seen: HashSet<*const Node> = HashSet::from([std::ptr::from_ref(node)]);
    let mut pending = vec![node];
    while let Some(node) = pending.pop() {
        for input in &node.inputs {
            if seen.len() > OPERATIONS_SHOWN_MAX {
                return format!("more than {OPERATIONS_SHOWN_MAX} operations");
            }
            if seen.insert(std::ptr::from_ref(&**input)) {
                pending.push(input);
            }
        }
    }
    match seen.len() {
        1 => "1 operation".to_owned(),
        n => format!("{n} operations"),
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_wrong_step_prints_its_error() {
        let x: Array<f64> = array::ones([6], [2]);
        let text = x.reshape([4]).to_string();
        assert!(text.starts_with("array with an error: reshape: "), "{text}");
    }

    #[test]
    fn long_expressions_are_not_walked_to_their_end() {
        let mut x: Array<f64> = array::ones([4], [2]);
        for _ in 0..5000 {
            x = &x + 1.0;
        }
        let text = x.to_string();
        assert!(text.ends_with("2 chunks from more than 1000 operations, float64"), "{text}");
    }
}
