//! All kernels and values that this build can get from another process.

use crate::graph::{self, Registry};

/// What workers and clients of this build decode with.
pub(crate) static REGISTRY: Registry =
    Registry(&[&graph::CODECS, &crate::array::kernels::portable::CODECS]);
