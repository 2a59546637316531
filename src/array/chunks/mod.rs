//! Chunk arithmetic: pure integers.
