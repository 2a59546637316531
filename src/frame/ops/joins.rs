//! Functions of two frames.

use std::sync::Arc;

use polars_core::prelude::DataType;

use crate::error::{Call, Error, Result};
use crate::frame::expr::{at_build, check_column};
use crate::frame::kernels::join::{JoinHow, JoinSpec, join_schema};
use crate::frame::op::{FrameOp, Handle, Join, KeptIndex, Node};

/// Rows of both frames with equal keys, as `spec` says.
pub(crate) fn join(call: Call, left: &Handle, right: &Handle, spec: JoinSpec) -> Handle {
    Handle::join(&[left, right], |nodes| {
        let schemas = [&nodes[0].meta.schema, &nodes[1].meta.schema];
        check_keys(call, &spec, schemas.map(|schema| schema.as_ref()))?;
        let schema = join_schema(schemas[0], schemas[1], &spec);
        let schema = Arc::new(schema.map_err(|error| at_build(error, call))?);
        let index = kept_index(&spec, [nodes[0], nodes[1]]);
        Node::of(FrameOp::Join(Join { spec: Arc::new(spec), schema, index }), nodes)
    })
}

/// The index of a side that is a key, if all rows of the result have it.
fn kept_index(spec: &JoinSpec, nodes: [&Arc<Node>; 2]) -> Option<KeptIndex> {
    use JoinHow as J;
    let side = match spec.how {
        J::Inner | J::Left | J::Semi | J::Anti => 0,
        // Of keys of other names one may have to give its name away.
        J::Right if spec.left_on == spec.right_on && spec.coalesce.is_none() => 1,
        J::Right | J::Full | J::Cross => return None,
    };
    let index = nodes[side].note.as_ref()?;
    // Ranges of categories are not those of the other frame, and both in one partition would be too high a price.
    if nodes[side].meta.schema.get(index).is_some_and(DataType::is_categorical) {
        return None;
    }
    let key = [&spec.left_on, &spec.right_on][side].iter().position(|key| key == index)?;
    Some(KeptIndex { side, key })
}

/// Keys are columns of their sides, as many on both, of the same dtypes.
fn check_keys(
    call: Call,
    spec: &JoinSpec,
    schemas: [&polars_core::prelude::Schema; 2],
) -> Result<()> {
    let (left_on, right_on) = (&spec.left_on, &spec.right_on);
    left_on.iter().try_for_each(|name| check_column(name, schemas[0], call))?;
    right_on.iter().try_for_each(|name| check_column(name, schemas[1], call))?;
    let n_keys_fit = left_on.len() == right_on.len();
    if !n_keys_fit || left_on.is_empty() != (spec.how == JoinHow::Cross) {
        return Err(Error::InvalidArgument {
            call,
            argument: "on",
            got: format!("{} and {} columns", left_on.len(), right_on.len()),
            expected: "as many columns of the left as of the right frame, and none for a cross join",
        });
    }
    for (left, right) in left_on.iter().zip(right_on) {
        let dtypes = [schemas[0].get(left), schemas[1].get(right)];
        if let [Some(left), Some(right)] = dtypes
            && left != right
            // Of other categories, which are unified.
            && !(left.is_categorical() && right.is_categorical())
        {
            return Err(Error::DTypeMismatch {
                call,
                got: format!("{left} for a key of the left frame"),
                expected: format!("{right} as in the right frame"),
            });
        }
    }
    Ok(())
}
