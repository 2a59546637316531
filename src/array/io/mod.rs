//! Files: sources that are read by region, and writers of whole storage units.

mod source;

pub use source::Source;
