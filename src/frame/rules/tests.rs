//! Structural tests.
