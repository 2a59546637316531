//! How a frame is cut into partitions, as far as that is known before anything runs.
//!
//! Layouts are made while a plan is lowered, from the sources upwards. Rows and bytes of what depends on the
//! data are estimates; they decide how to compute, never what comes out.

mod placement;

pub(crate) use placement::{Divided, Placement, Ranged};

use std::ops::Range;
use std::sync::Arc;

use polars_core::prelude::{DataType, PlSmallStr, Schema};

use super::io::Source;

/// Bytes of a string for which nothing is known.
const STRING_BYTES: f64 = 24.0;

/// Partitions, rows and bytes of a frame.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) n_parts: usize,
    /// Rows of the largest partition.
    pub(crate) rows_max: u64,
    /// Rows of all partitions.
    pub(crate) rows: u64,
    /// Whether `rows_of` says how many rows each partition has.
    pub(crate) rows_of: Option<Arc<[u64]>>,
    /// Bytes of a row by column.
    pub(crate) widths: Vec<(PlSmallStr, f64)>,
    pub(crate) placement: Placement,
    /// The part of `rows` that filters probably leave, by a rule of thumb. Decides about the cheaper of two ways only,
    /// because memory has to hold all rows that there can be.
    pub(crate) likely: f64,
}

impl Layout {
    /// The layout of these parts of a source, of each of which at most `n_rows_max` rows are read; `is_exact` says
    /// that none of them are left out.
    pub(crate) fn of_source(
        source: &Arc<dyn Source>,
        parts: &[usize],
        columns: &[PlSmallStr],
        n_rows_max: u64,
        is_exact: bool,
    ) -> Self {
        let schema = source.schema();
        let all: Vec<PlSmallStr> = schema.iter_names().cloned().collect();
        let row_bytes: f64 = schema.iter_values().map(width).sum();
        let estimated = |part: &usize| {
            let bytes = source.nbytes(*part, &all) as f64;
            source.n_rows(*part).unwrap_or((bytes / row_bytes.max(1.0)) as u64)
        };
        let rows_of: Vec<u64> = parts.iter().map(estimated).collect();
        let all_rows: u64 = rows_of.iter().sum();
        let of_column = |name: &PlSmallStr| {
            let name = std::slice::from_ref(name);
            let bytes: u64 = parts.iter().map(|part| source.nbytes(*part, name)).sum();
            (name[0].clone(), bytes as f64 / all_rows.max(1) as f64)
        };
        let widths = columns.iter().map(of_column).collect();
        let rows_of: Vec<u64> = rows_of.into_iter().map(|rows| rows.min(n_rows_max)).collect();
        let known = is_exact && parts.iter().all(|part| source.n_rows(*part).is_some());
        Layout {
            n_parts: parts.len(),
            rows_max: rows_of.iter().copied().max().unwrap_or(0),
            rows: rows_of.iter().sum(),
            rows_of: known.then(|| rows_of.into()),
            widths,
            placement: Placement::of_source(source, parts, columns),
            likely: 1.0,
        }
    }

    /// Partitions of which no more is known than this, the largest of about so many bytes.
    pub(crate) fn of_blocks(
        schema: &Schema,
        n_parts: usize,
        rows_of: Option<&Arc<[u64]>>,
        bytes: u64,
    ) -> Self {
        let widths = schema.iter().map(|(name, dtype)| (name.clone(), width(dtype))).collect();
        let row_bytes: f64 = schema.iter_values().map(width).sum();
        let guessed = (bytes as f64 / row_bytes.max(0.25)) as u64;
        let rows_max = rows_of.map(|rows| rows.iter().copied().max().unwrap_or(0));
        let rows = rows_of.map(|rows| rows.iter().sum());
        Layout {
            n_parts,
            rows_max: rows_max.unwrap_or(guessed),
            rows: rows.unwrap_or(guessed.saturating_mul(n_parts as u64)),
            rows_of: rows_of.cloned(),
            widths,
            placement: Placement::default(),
            likely: 1.0,
        }
    }

    /// The same partitions with other columns; those that are not columns of this layout have the width of
    /// their dtype. Where rows are is forgotten.
    pub(crate) fn with_columns(
        &self,
        schema: &Schema,
        from: impl Fn(&str) -> Option<PlSmallStr>,
    ) -> Self {
        let widths = schema.iter().map(|(name, dtype)| {
            let kept = from(name).and_then(|name| self.width_of(&name));
            (name.clone(), kept.unwrap_or_else(|| width(dtype)))
        });
        Layout { widths: widths.collect(), placement: Placement::default(), ..self.clone() }
    }

    /// The same partitions, of whose rows this is known.
    pub(crate) fn placed(self, placement: Placement) -> Self {
        Layout { placement, ..self }
    }

    /// Some of these partitions, one after the other; how many rows they have is as unknown as which.
    pub(crate) fn of_parts(&self, parts: &Range<usize>) -> Self {
        let rows_of = self.rows_of.as_ref().map(|rows_of| rows_of[parts.clone()].into());
        let share = |n: u64| (n as f64 * parts.len() as f64 / self.n_parts.max(1) as f64) as u64;
        Layout {
            n_parts: parts.len(),
            rows: share(self.rows).max(self.rows_max.min(self.rows)),
            rows_of,
            placement: self.placement.of_parts(parts),
            ..self.clone()
        }
    }

    /// The same partitions with some of their columns.
    pub(crate) fn with_only(&self, names: &[PlSmallStr]) -> Self {
        let widths = self.widths.iter().filter(|(name, _)| names.contains(name));
        Layout { widths: widths.cloned().collect(), ..self.clone() }
    }

    /// At most `rows` rows, at most `rows_max` in one partition.
    pub(crate) fn with_rows(&self, rows: u64, rows_max: u64) -> Self {
        let (rows, rows_max) = (self.rows.min(rows), self.rows_max.min(rows_max));
        Layout { rows, rows_max, rows_of: None, ..self.clone() }
    }

    /// The same partitions, of which rows may be missing.
    pub(crate) fn with_fewer_rows(&self) -> Self {
        Layout { rows_of: None, ..self.clone() }
    }

    /// The same rows in `n_parts` partitions of about the same size.
    pub(crate) fn in_parts(&self, n_parts: usize) -> Self {
        let rows_max = self.rows.div_ceil(n_parts.max(1) as u64);
        let rows_of = self.rows_of.as_ref().filter(|_| n_parts == 1).map(|_| [self.rows].into());
        let placement = Placement::default();
        Layout { n_parts, rows_max, rows_of, placement, ..self.clone() }
    }

    /// These partitions and then those of `other`.
    pub(crate) fn followed_by(&self, other: &Layout) -> Self {
        let rows_of = match (&self.rows_of, &other.rows_of) {
            (Some(a), Some(b)) => Some(a.iter().chain(b.iter()).copied().collect()),
            _ => None,
        };
        let wider = self
            .widths
            .iter()
            .map(|(name, width)| (name.clone(), width.max(other.width_of(name).unwrap_or(0.0))));
        Layout {
            n_parts: self.n_parts + other.n_parts,
            rows_max: self.rows_max.max(other.rows_max),
            rows: self.rows + other.rows,
            rows_of,
            widths: wider.collect(),
            placement: Placement::default(),
            likely: self.likely.max(other.likely),
        }
    }

    /// With the widths that `other` knows of columns that are not of this layout.
    pub(crate) fn widened(&self, other: &Layout, schema: &Schema) -> Self {
        let widths = self.widths.iter().map(|(name, width)| {
            let known = other.width_of(name).filter(|_| schema.contains(name));
            (name.clone(), known.map_or(*width, |known| known.max(*width)))
        });
        Layout { widths: widths.collect(), ..self.clone() }
    }

    fn width_of(&self, name: &str) -> Option<f64> {
        self.widths.iter().find(|(other, _)| other == name).map(|(_, width)| *width)
    }

    pub(crate) fn row_bytes(&self) -> f64 {
        self.widths.iter().map(|(_, width)| width).sum()
    }

    /// Bytes of the largest partition.
    pub(crate) fn part_bytes(&self) -> u64 {
        (self.rows_max as f64 * self.row_bytes()) as u64
    }

    /// Bytes of `bytes` for each row of the largest partition: of numbers of rows, hashes and the like.
    pub(crate) fn index_bytes(&self, bytes: u64) -> u64 {
        self.rows_max.saturating_mul(bytes)
    }

    /// Bytes that all partitions probably have.
    pub(crate) fn likely_bytes(&self) -> f64 {
        self.nbytes() as f64 * self.likely
    }

    /// How many rows there probably are.
    pub(crate) fn likely_rows(&self) -> f64 {
        self.rows as f64 * self.likely
    }

    /// Bytes of all partitions.
    pub(crate) fn nbytes(&self) -> u64 {
        (self.rows as f64 * self.row_bytes()) as u64
    }
}

/// Bytes that a value of `dtype` takes, about.
pub(crate) fn width(dtype: &DataType) -> f64 {
    use DataType as D;
    match dtype {
        D::Null => 0.0,
        D::Boolean => 0.25,
        D::Int8 | D::UInt8 => 1.0,
        D::Int16 | D::UInt16 => 2.0,
        D::Int32 | D::UInt32 | D::Float32 | D::Date | D::Categorical(..) | D::Enum(..) => 4.0,
        D::Decimal(..) => 16.0,
        D::String | D::Binary => STRING_BYTES,
        D::List(inner) => 8.0 + 4.0 * width(inner),
        D::Struct(fields) => fields.iter().map(|field| width(field.dtype())).sum(),
        _ => 8.0,
    }
}
