//! Functions that give rows an order.

use std::sync::Arc;

use crate::error::{Call, Error};
use crate::frame::expr::check_column;
use crate::frame::kernels::sort::SortSpec;
use crate::frame::op::{FrameOp, Handle, Node, Sort};

/// The rows in the order of `spec`; rows with equal keys stay in their order.
pub(crate) fn sort(call: Call, handle: &Handle, spec: SortSpec, limit: Option<u64>) -> Handle {
    handle.then(|node| {
        let schema = &node.meta.schema;
        spec.by.iter().try_for_each(|name| check_column(name, schema, call))?;
        let n = spec.by.len();
        if n == 0 || spec.descending.len() != n || spec.nulls_last.len() != n {
            return Err(Error::InvalidArgument {
                call,
                argument: "by",
                got: format!("{n} columns and {} directions", spec.descending.len()),
                expected: "one column at least, and a direction for all or for each of them",
            });
        }
        Node::of(FrameOp::Sort(Sort { spec: Arc::new(spec), limit }), &[node])
    })
}
