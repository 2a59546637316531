//! Turns what a user writes for chunks into the chunks of an array.

use super::auto::{self, AutoAxis};
use super::axis::AxisChunks;
use super::grid::Chunks;
use super::limit::MAX_LISTED;
use crate::bytes::parse_bytes;
use crate::error::{Call, Error, Result};

/// Chunks as a user asks for them, for a whole array.
///
/// Anything that converts is accepted: a number or a text for all axes, a list with an entry per
/// axis, a list of lists of block lengths, a list of dimension names with an entry for each
/// (`[("time", -1)]`). For an array of one dimension, a list of two or more numbers is the list of its
/// block lengths.
///
/// # Source
/// Dask, `normalize_chunks`.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum ChunkSpec {
    /// The same for every axis.
    All(AxisSpec),
    /// One entry for each axis.
    PerAxis(Vec<AxisSpec>),
    /// Entries for some axes, counted from the end if negative. The others keep what they have.
    Axes(Vec<(i64, AxisSpec)>),
    /// Entries for some axes by their dimension names. The others keep what they have.
    Named(Vec<(String, AxisSpec)>),
}

/// Chunks as a user asks for them, for one axis.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum AxisSpec {
    /// Blocks of this length, with the remainder last. Written as a number.
    Size(u64),
    /// The whole axis as one block. Written `-1`.
    Whole,
    /// Blocks as long as the chunk size allows. Written `"auto"`.
    Auto,
    /// As `Auto`, for a block of this many bytes. Written as a text such as `"16 MiB"`.
    Bytes(u64),
    /// Blocks of these lengths. Written as a list of numbers.
    Explicit(Vec<u64>),
    /// The chunks that the axis has, or the whole axis for a new array.
    Keep,
    /// Something that means no chunks; it is refused where it is used.
    Invalid(String),
}

impl ChunkSpec {
    /// Chunks for some axes only; the others keep what they have.
    pub fn axes<S: Into<AxisSpec>>(axes: impl IntoIterator<Item = (i64, S)>) -> Self {
        ChunkSpec::Axes(axes.into_iter().map(|(axis, spec)| (axis, spec.into())).collect())
    }
}

impl<S: Into<AxisSpec>> From<Vec<S>> for ChunkSpec {
    fn from(axes: Vec<S>) -> Self {
        ChunkSpec::PerAxis(axes.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<AxisSpec> + Clone> From<&[S]> for ChunkSpec {
    fn from(axes: &[S]) -> Self {
        ChunkSpec::PerAxis(axes.iter().cloned().map(Into::into).collect())
    }
}

impl<S: Into<AxisSpec>, const N: usize> From<[S; N]> for ChunkSpec {
    fn from(axes: [S; N]) -> Self {
        ChunkSpec::PerAxis(axes.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<AxisSpec>, const N: usize> From<[(&str, S); N]> for ChunkSpec {
    fn from(axes: [(&str, S); N]) -> Self {
        ChunkSpec::Named(
            axes.into_iter().map(|(name, spec)| (name.to_owned(), spec.into())).collect(),
        )
    }
}

impl From<AxisSpec> for ChunkSpec {
    fn from(spec: AxisSpec) -> Self {
        ChunkSpec::All(spec)
    }
}

/// The chunks of another array. Unknown lengths are not a request, so they are refused, and so are more
/// irregular ones than may be listed.
impl From<&Chunks> for ChunkSpec {
    fn from(chunks: &Chunks) -> Self {
        let spec = |axis: &AxisChunks| match axis {
            AxisChunks::Uniform { len, size } => AxisSpec::exactly(*len, *size),
            AxisChunks::Shifted { .. } | AxisChunks::Varying(_)
                if axis.n_blocks() <= MAX_LISTED =>
            {
                AxisSpec::Explicit(axis.sizes().collect())
            }
            _ => AxisSpec::Invalid(axis.to_string()),
        };
        ChunkSpec::PerAxis(chunks.axes().iter().map(spec).collect())
    }
}

impl From<Chunks> for ChunkSpec {
    fn from(chunks: Chunks) -> Self {
        ChunkSpec::from(&chunks)
    }
}

impl AxisSpec {
    /// Stays O(1) for the long regular axes; a length other than `len` is refused only where the
    /// blocks are few enough to be listed.
    fn exactly(len: u64, size: u64) -> Self {
        if len.div_ceil(size) <= 1 << 10 {
            AxisSpec::Explicit(AxisChunks::uniform(len, size).sizes().collect())
        } else {
            AxisSpec::Size(size)
        }
    }
}

impl From<&str> for AxisSpec {
    fn from(text: &str) -> Self {
        if text.eq_ignore_ascii_case("auto") {
            return AxisSpec::Auto;
        }
        parse_bytes(text).map_or_else(|| AxisSpec::Invalid(format!("{text:?}")), AxisSpec::Bytes)
    }
}

impl From<String> for AxisSpec {
    fn from(text: String) -> Self {
        AxisSpec::from(text.as_str())
    }
}

/// `None` keeps the chunks of the axis.
impl<S: Into<AxisSpec>> From<Option<S>> for AxisSpec {
    fn from(spec: Option<S>) -> Self {
        spec.map_or(AxisSpec::Keep, Into::into)
    }
}

impl From<&str> for ChunkSpec {
    fn from(text: &str) -> Self {
        ChunkSpec::All(text.into())
    }
}

impl From<String> for ChunkSpec {
    fn from(text: String) -> Self {
        ChunkSpec::All(text.into())
    }
}

/// A list of block lengths, of any integer type.
fn explicit<I: TryInto<u64> + Copy + std::fmt::Debug>(sizes: &[I]) -> AxisSpec {
    let lengths: Option<Vec<u64>> = sizes.iter().map(|&size| size.try_into().ok()).collect();
    lengths.map_or_else(|| AxisSpec::Invalid(format!("{sizes:?}")), AxisSpec::Explicit)
}

macro_rules! from_integers {
    ($($int:ty)*) => {$(
        impl From<$int> for AxisSpec {
            fn from(size: $int) -> Self {
                match u64::try_from(size) {
                    Ok(size) => AxisSpec::Size(size),
                    // Only signed types get here, and `i128` holds all of them.
                    Err(_) if size as i128 == -1 => AxisSpec::Whole,
                    Err(_) => AxisSpec::Invalid(size.to_string()),
                }
            }
        }

        impl From<$int> for ChunkSpec {
            fn from(size: $int) -> Self {
                ChunkSpec::All(size.into())
            }
        }

        impl From<Vec<$int>> for AxisSpec {
            fn from(sizes: Vec<$int>) -> Self {
                explicit(&sizes)
            }
        }

        impl From<&[$int]> for AxisSpec {
            fn from(sizes: &[$int]) -> Self {
                explicit(sizes)
            }
        }

        impl<const N: usize> From<[$int; N]> for AxisSpec {
            fn from(sizes: [$int; N]) -> Self {
                explicit(&sizes)
            }
        }
    )*};
}

from_integers!(i32 i64 u32 u64 usize isize);

/// What a spec is normalized against.
struct Target<'a> {
    call: Call,
    shape: &'a [u64],
    itemsize: Option<u64>,
    previous: Option<&'a Chunks>,
}

/// The chunks of an array of `shape` that `spec` asks for.
///
/// `"auto"` makes blocks of about `limit_bytes`, or of the bytes that the spec itself names; it
/// prefers to keep or to join the blocks of `previous`.
///
/// # Errors
/// [`Error::InvalidChunks`] if the spec does not describe the shape, or asks for `"auto"` where
/// the size of an element is unknown. [`Error::InvalidArgument`] for a shape that no array has.
pub(crate) fn normalize_chunks(
    call: Call,
    spec: &ChunkSpec,
    shape: &[u64],
    itemsize: Option<u64>,
    limit_bytes: u64,
    previous: Option<&Chunks>,
) -> Result<Chunks> {
    check_shape(call, shape)?;
    let previous = previous.filter(|previous| previous.ndim() == shape.len());
    let target = Target { call, shape, itemsize, previous };
    let specs = target.per_axis(spec)?;
    let limit_bytes = target.limit(&specs)?.unwrap_or(limit_bytes);
    let axes = (0..shape.len()).map(|axis| target.fixed(axis, &specs[axis]));
    let axes: Vec<Option<AxisChunks>> = axes.collect::<Result<_>>()?;
    target.fill_autos(&specs, axes, limit_bytes)
}

/// Refuses shapes whose number of elements can't be counted.
///
/// An axis of length 0 does not excuse the others, as in NumPy, so that removing or reducing that
/// axis can't make an array that is too large.
///
/// # Errors
/// [`Error::InvalidArgument`] if the lengths other than 0 multiply to more than `i64::MAX`.
pub(crate) fn check_shape(call: Call, shape: &[u64]) -> Result<()> {
    let product = shape.iter().try_fold(1u64, |n, &len| n.checked_mul(len.max(1)));
    match product {
        Some(n) if n <= i64::MAX as u64 => Ok(()),
        _ => Err(Error::InvalidArgument {
            call,
            argument: "shape",
            got: format!("{shape:?}"),
            expected: "lengths whose product is at most 2^63 - 1",
        }),
    }
}

impl Target<'_> {
    /// One spec for each axis.
    fn per_axis(&self, spec: &ChunkSpec) -> Result<Vec<AxisSpec>> {
        let ndim = self.shape.len();
        match spec {
            ChunkSpec::All(spec) => Ok(vec![spec.clone(); ndim]),
            ChunkSpec::PerAxis(specs) => match sizes_of_one_axis(specs) {
                Some(sizes) if ndim == 1 => Ok(vec![AxisSpec::Explicit(sizes)]),
                _ if specs.len() == ndim => Ok(specs.clone()),
                // An array without axes, or an empty one, has no chunks that could be wrong.
                _ if ndim == 0 => Ok(Vec::new()),
                _ if specs.is_empty() && self.shape.iter().all(|&len| len == 0) => {
                    Ok(vec![AxisSpec::Whole; ndim])
                }
                _ => Err(self.wrong(spec, "there must be one entry for each axis")),
            },
            ChunkSpec::Axes(entries) => self.by_number(entries),
            // Whoever knows the names of the dimensions has put their numbers in their place.
            ChunkSpec::Named(entries) => match entries.first() {
                None => Ok(vec![AxisSpec::Keep; ndim]),
                Some((name, _)) => Err(Error::InvalidAxis {
                    call: self.call,
                    got: format!("{name:?}"),
                    ndim,
                    names: String::new(),
                    remedy: "a new array has no names; use rechunk() after with_dim_names()",
                }),
            },
        }
    }

    fn by_number(&self, entries: &[(i64, AxisSpec)]) -> Result<Vec<AxisSpec>> {
        let ndim = self.shape.len();
        let mut specs = vec![AxisSpec::Keep; ndim];
        for (number, spec) in entries {
            let axis =
                if *number < 0 { number.checked_add_unsigned(ndim as u64) } else { Some(*number) };
            let place = axis.and_then(|axis| specs.get_mut(usize::try_from(axis).ok()?));
            *place.ok_or_else(|| Error::InvalidAxis {
                call: self.call,
                got: number.to_string(),
                ndim,
                names: String::new(),
                remedy: "use axes from -ndim to ndim - 1",
            })? = spec.clone();
        }
        Ok(specs)
    }

    /// The bytes that a spec itself asks for; it may do so only once.
    fn limit(&self, specs: &[AxisSpec]) -> Result<Option<u64>> {
        let mut limit = None;
        for spec in specs {
            let AxisSpec::Bytes(bytes) = spec else { continue };
            if *limit.get_or_insert(*bytes) != *bytes {
                return Err(self.wrong(&specs, "there can be only one number of bytes for a block"));
            }
        }
        Ok(limit)
    }

    /// The chunks of an axis, or nothing if they depend on the other axes.
    fn fixed(&self, axis: usize, spec: &AxisSpec) -> Result<Option<AxisChunks>> {
        let len = self.shape[axis];
        match spec {
            AxisSpec::Size(0) if len > 0 => Err(self.wrong(spec, "a block can't have length 0")),
            AxisSpec::Size(size) => Ok(Some(AxisChunks::uniform(len, *size))),
            AxisSpec::Whole => Ok(Some(AxisChunks::whole(len))),
            AxisSpec::Explicit(sizes) => self.explicit(len, sizes).map(Some),
            AxisSpec::Keep => Ok(Some(self.kept(axis))),
            AxisSpec::Auto | AxisSpec::Bytes(_) => Ok(None),
            AxisSpec::Invalid(got) => Err(self.wrong(
                got,
                "expected a positive length, -1, \"auto\", a number of bytes such as \"16 MiB\", \
                 or a list of lengths",
            )),
        }
    }

    fn explicit(&self, len: u64, sizes: &[u64]) -> Result<AxisChunks> {
        if sizes.is_empty() {
            return Err(self.wrong(&sizes, "a list of lengths can't be empty; write [0]"));
        }
        match AxisChunks::from_sizes(sizes) {
            Some(chunks) if chunks.len() == Some(len) => Ok(chunks),
            _ => Err(self.wrong(&sizes, "lengths must sum to the length of the axis")),
        }
    }

    fn kept(&self, axis: usize) -> AxisChunks {
        let len = self.shape[axis];
        self.previous_axis(axis).cloned().unwrap_or_else(|| AxisChunks::whole(len))
    }

    fn previous_axis(&self, axis: usize) -> Option<&AxisChunks> {
        let previous = &self.previous?.axes()[axis];
        (previous.len() == Some(self.shape[axis])).then_some(previous)
    }

    fn fill_autos(
        &self,
        specs: &[AxisSpec],
        axes: Vec<Option<AxisChunks>>,
        limit_bytes: u64,
    ) -> Result<Chunks> {
        if axes.iter().all(Option::is_some) {
            return Ok(axes.into_iter().flatten().collect());
        }
        let itemsize = self.itemsize.filter(|&size| size > 0).ok_or_else(|| {
            self.wrong(&specs, "automatic chunks need elements of a known size; give lengths")
        })?;
        let limit = limit_bytes.max(1) as f64 / itemsize as f64;
        let axes = axes.into_iter().enumerate().map(|(axis, fixed)| match fixed {
            Some(chunks) => AutoAxis::Fixed(chunks),
            None => AutoAxis::Auto { len: self.shape[axis], previous: self.previous_axis(axis) },
        });
        Ok(auto::auto_chunks(axes.collect(), limit))
    }

    fn wrong(&self, got: &dyn std::fmt::Debug, problem: &'static str) -> Error {
        Error::InvalidChunks {
            call: self.call,
            got: format!("{got:?}"),
            shape: self.shape.to_vec(),
            problem,
        }
    }
}

/// Two or more plain numbers, which are the block lengths where there is one axis only.
fn sizes_of_one_axis(specs: &[AxisSpec]) -> Option<Vec<u64>> {
    let size = |spec: &AxisSpec| match spec {
        AxisSpec::Size(size) => Some(*size),
        _ => None,
    };
    if specs.len() < 2 { None } else { specs.iter().map(size).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalize(spec: impl Into<ChunkSpec>, shape: &[u64]) -> Result<String> {
        let call = Call::new("test");
        normalize_chunks(call, &spec.into(), shape, Some(8), 128 << 20, None).map(|c| c.to_string())
    }

    #[test]
    fn users_write_chunks_in_many_ways() -> Result<()> {
        assert_eq!(normalize(5, &[10, 7])?, "((5, 5), (5, 2))");
        assert_eq!(normalize([5, -1], &[10, 7])?, "((5, 5), (7,))");
        assert_eq!(normalize([2, 2, 2], &[2, 3, 4])?, "((2,), (2, 1), (2, 2))");
        assert_eq!(normalize("auto", &[10, 7])?, "((10,), (7,))");
        assert_eq!(normalize("80 B", &[100])?, normalize([10], &[100])?);
        assert_eq!(normalize(vec![vec![2, 3], vec![4]], &[5, 4])?, "((2, 3), (4,))");
        assert_eq!(normalize([[2, 3], [4, 0]], &[5, 4])?, "((2, 3), (4, 0))");
        assert_eq!(normalize([2, 3], &[5])?, "((2, 3),)");
        assert_eq!(
            normalize(ChunkSpec::axes([(0, 5), (-1, 2)]), &[10, 3, 4])?,
            "((5, 5), (3,), (2, 2))"
        );
        assert_eq!(normalize([AxisSpec::Whole, 2.into()], &[4, 4])?, "((4,), (2, 2))");
        assert_eq!(normalize([Some("auto"), None], &[4, 4])?, "((4,), (4,))");
        Ok(())
    }

    #[test]
    fn chunks_that_do_not_fit_are_refused() {
        assert!(normalize([2, 2], &[4, 4, 4]).is_err());
        assert!(normalize([0], &[4]).is_err());
        assert!(normalize([-2], &[4]).is_err());
        assert!(normalize([2, 3], &[4]).is_err());
        assert!(normalize(vec![Vec::<u64>::new()], &[4]).is_err());
        assert!(normalize(["1 kB", "2 kB"], &[4, 4]).is_err());
        assert!(normalize("5 foos", &[4]).is_err());
        assert!(normalize(ChunkSpec::axes([(2, 5)]), &[4, 4]).is_err());
        assert!(normalize(vec![vec![u64::MAX, 2]], &[1]).is_err());
    }

    #[test]
    fn shapes_that_overflow_are_refused() {
        assert!(normalize(1, &[u64::MAX, 2]).is_err());
        assert!(normalize(1, &[u64::MAX]).is_err());
        assert!(normalize(1, &[1 << 62, 4, 0]).is_err());
        assert!(normalize(1, &[1 << 62, 1]).is_ok());
    }

    #[test]
    fn the_chunks_of_another_array_are_a_spec() -> Result<()> {
        let chunks: Chunks =
            [AxisChunks::uniform(1_000_000, 1), AxisChunks::whole(3)].into_iter().collect();
        assert_eq!(normalize(&chunks, &[1_000_000, 3])?, chunks.to_string());
        assert!(normalize(&chunks, &[1_000_000, 4]).is_err());
        Ok(())
    }
}
