//! Lazy chunked N-d arrays.

mod chunks;
