//! Functions of rows next to each other.

use std::sync::Arc;

use polars_core::prelude::SchemaRef;

use crate::error::{Call, Error};
use crate::frame::expr::check_column;
use crate::frame::kernels::asof::{AsofSpec, asof_schema};
use crate::frame::op::{
    FrameOp, Handle, JoinAsof, MapOverlap, MapPartitions, Node, PartitionFunction,
};

/// A user's function of partitions with rows of their neighbours, which returns as many rows of `schema`.
pub(crate) fn map_overlap(
    call: Call,
    handle: &Handle,
    [before, after]: [u64; 2],
    schema: SchemaRef,
    function: Box<PartitionFunction>,
) -> Handle {
    handle.then(|node| {
        let map = MapPartitions { name: "map_overlap".into(), function, schema, call };
        let overlap = MapOverlap { map: Arc::new(map), before, after };
        Node::of(FrameOp::MapOverlap(overlap), &[node])
    })
}

/// Each row of `left` with the nearest one of `right`.
pub(crate) fn join_asof(call: Call, left: &Handle, right: &Handle, spec: AsofSpec) -> Handle {
    Handle::join(&[left, right], |nodes| {
        let schemas = [&nodes[0].meta.schema, &nodes[1].meta.schema];
        let names = [
            [std::slice::from_ref(&spec.left_on), &spec.left_by].concat(),
            [std::slice::from_ref(&spec.right_on), &spec.right_by].concat(),
        ];
        for (names, schema) in names.iter().zip(schemas) {
            names.iter().try_for_each(|name| check_column(name, schema, call))?;
        }
        for (left, right) in names[0].iter().zip(&names[1]) {
            if let (Some(left), Some(right)) = (schemas[0].get(left), schemas[1].get(right))
                && left != right
            {
                return Err(Error::DTypeMismatch {
                    call,
                    got: format!("{left} for a key of the left frame"),
                    expected: format!("{right} as in the right frame"),
                });
            }
        }
        let schema = Arc::new(asof_schema(schemas[0], schemas[1], &spec)?);
        Node::of(FrameOp::JoinAsof(JoinAsof { spec: Arc::new(spec), schema }), nodes)
    })
}
