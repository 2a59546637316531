//! Pictures in the DOT language, for Graphviz and other programs.

use std::fmt::Write;

use super::picture::Picture;

impl Picture {
    /// The picture as DOT text.
    pub(crate) fn to_dot(&self) -> String {
        let mut dot = String::from("digraph plan {\n");
        // Writing into a string can't fail.
        let _ = writeln!(dot, "  labelloc=t; label={};", quoted(&self.caption));
        dot.push_str("  node [shape=box, style=\"rounded,filled\", fontname=\"monospace\"];\n");
        dot.push_str("  edge [color=\"#7a8699\", fontname=\"monospace\", fontsize=10];\n");
        for (i, node) in self.boxes.iter().enumerate() {
            let width = if node.is_result { 2 } else { 1 };
            let (label, fill) = (quoted(&node.lines.join("\n")), node.fill.hex());
            let tooltip = quoted(&node.tooltip);
            let _ = writeln!(
                dot,
                "  n{i} [label={label}, tooltip={tooltip}, fillcolor=\"{fill}\", penwidth={width}];"
            );
        }
        for arrow in &self.arrows {
            let _ = write!(dot, "  n{} -> n{}", arrow.from, arrow.to);
            if !arrow.text.is_empty() {
                let _ = write!(dot, " [label={}]", quoted(&arrow.text));
            }
            dot.push_str(";\n");
        }
        dot.push_str("}\n");
        dot
    }
}

/// A string of the DOT language.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
