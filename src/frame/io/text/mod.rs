//! Text files whose records end with lines: what CSV and NDJSON share.
//!
//! Files are cut into parts at about equal bytes, and each part reads the records that begin in its bytes. Nothing is
//! read up front. Reading a part goes in slabs of whole records, so that it needs little memory besides its rows.

mod cuts;
mod dtypes;
mod files;
mod scan;
mod slabs;
mod source;

pub(super) use dtypes::decoded_type;
pub(super) use files::{Layout, TextFiles};
pub(super) use scan::{Quoting, Scanner};
pub(crate) use slabs::Slab;
pub(crate) use source::{Decode, Refused, TextSource};
