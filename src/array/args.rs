//! What users may write for shapes and axes.

use super::expr::DimNames;
use crate::error::{Call, Error, Result};

/// A shape as a user writes it: a number, an array, a slice or a `Vec` of any integers.
///
/// `-1` stands for the length that is left over, where that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(pub(crate) Vec<i64>);

impl Shape {
    /// The lengths, none of which may be negative.
    pub(crate) fn lengths(&self, call: Call) -> Result<Vec<u64>> {
        let lengths: Result<Vec<u64>, _> = self.0.iter().map(|&len| u64::try_from(len)).collect();
        lengths.map_err(|_| Error::InvalidArgument {
            call,
            argument: "shape",
            got: format!("{:?}", self.0),
            expected: "lengths of 0 or more",
        })
    }
}

/// One axis as a user writes it: a number, counted from the end if negative, or a dimension name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AxisRef {
    /// By position.
    Index(i64),
    /// By dimension name.
    Name(String),
}

/// Some axes as a user writes them: one, a list, or all of them (`..` or `()`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Axes {
    /// Every axis.
    All,
    /// The axes in this list.
    List(Vec<AxisRef>),
}

impl AxisRef {
    /// The position of this axis among `ndim`.
    pub(crate) fn resolve(
        &self,
        call: Call,
        ndim: usize,
        names: Option<&DimNames>,
    ) -> Result<usize> {
        let found = match self {
            AxisRef::Index(index) => {
                let from_start = if *index < 0 { index + ndim as i64 } else { *index };
                usize::try_from(from_start).ok().filter(|axis| *axis < ndim)
            }
            AxisRef::Name(name) => {
                let names = names.filter(|_| !name.is_empty());
                names.and_then(|names| names.iter().position(|other| **other == **name))
            }
        };
        found.ok_or_else(|| Error::InvalidAxis {
            call,
            got: match self {
                AxisRef::Index(index) => index.to_string(),
                AxisRef::Name(name) => format!("{name:?}"),
            },
            ndim,
            names: names.map_or_else(String::new, |names| format!(" named {}", names.join(", "))),
            remedy: match self {
                AxisRef::Index(_) => "use an axis from -ndim to ndim - 1",
                AxisRef::Name(_) => "use one of the names, or name them with with_dim_names()",
            },
        })
    }
}

impl Axes {
    /// The positions of these axes among `ndim`, each once, in the order given.
    pub(crate) fn resolve(
        &self,
        call: Call,
        ndim: usize,
        names: Option<&DimNames>,
    ) -> Result<Vec<usize>> {
        let Axes::List(list) = self else { return Ok((0..ndim).collect()) };
        let mut axes = Vec::with_capacity(list.len());
        for axis in list {
            let axis = axis.resolve(call, ndim, names)?;
            if axes.contains(&axis) {
                return Err(Error::InvalidArgument {
                    call,
                    argument: "axis",
                    got: format!("{self}"),
                    expected: "each axis at most once",
                });
            }
            axes.push(axis);
        }
        Ok(axes)
    }
}

impl std::fmt::Display for Axes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Axes::List(list) = self else { return f.write_str("all axes") };
        let texts = list.iter().map(|axis| match axis {
            AxisRef::Index(index) => index.to_string(),
            AxisRef::Name(name) => format!("{name:?}"),
        });
        write!(f, "[{}]", texts.collect::<Vec<_>>().join(", "))
    }
}

macro_rules! from_integers {
    ($($int:ty)*) => {$(
        impl From<$int> for Shape {
            fn from(len: $int) -> Self {
                Shape(vec![i64::try_from(len).unwrap_or(i64::MAX)])
            }
        }

        impl<const N: usize> From<[$int; N]> for Shape {
            fn from(lengths: [$int; N]) -> Self {
                Shape::from(&lengths[..])
            }
        }

        impl<const N: usize> From<&[$int; N]> for Shape {
            fn from(lengths: &[$int; N]) -> Self {
                Shape::from(&lengths[..])
            }
        }

        impl From<Vec<$int>> for Shape {
            fn from(lengths: Vec<$int>) -> Self {
                Shape::from(&lengths[..])
            }
        }

        impl From<&Vec<$int>> for Shape {
            fn from(lengths: &Vec<$int>) -> Self {
                Shape::from(&lengths[..])
            }
        }

        impl From<&[$int]> for Shape {
            fn from(lengths: &[$int]) -> Self {
                // A length that `i64` can't hold is refused wherever it is used.
                Shape(lengths.iter().map(|&len| i64::try_from(len).unwrap_or(i64::MAX)).collect())
            }
        }

        impl From<$int> for AxisRef {
            fn from(axis: $int) -> Self {
                AxisRef::Index(i64::try_from(axis).unwrap_or(i64::MAX))
            }
        }

        impl From<$int> for Axes {
            fn from(axis: $int) -> Self {
                Axes::List(vec![axis.into()])
            }
        }
    )*};
}

from_integers!(i32 i64 isize u32 u64 usize);

impl<const N: usize> From<[(); N]> for Shape {
    /// The shape `[]` of an array without dimensions; there is nothing else to write here.
    fn from(_: [(); N]) -> Self {
        Shape(Vec::new())
    }
}

impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape(Vec::new())
    }
}

impl From<&str> for AxisRef {
    fn from(name: &str) -> Self {
        AxisRef::Name(name.to_owned())
    }
}

impl From<&str> for Axes {
    fn from(name: &str) -> Self {
        Axes::List(vec![name.into()])
    }
}

impl From<()> for Axes {
    fn from((): ()) -> Self {
        Axes::All
    }
}

impl From<std::ops::RangeFull> for Axes {
    fn from(_: std::ops::RangeFull) -> Self {
        Axes::All
    }
}

impl<A: Into<AxisRef>, const N: usize> From<[A; N]> for Axes {
    fn from(axes: [A; N]) -> Self {
        Axes::List(axes.into_iter().map(Into::into).collect())
    }
}

impl<A: Into<AxisRef>> From<Vec<A>> for Axes {
    fn from(axes: Vec<A>) -> Self {
        Axes::List(axes.into_iter().map(Into::into).collect())
    }
}

impl<A: Into<AxisRef> + Clone> From<&[A]> for Axes {
    fn from(axes: &[A]) -> Self {
        Axes::List(axes.iter().cloned().map(Into::into).collect())
    }
}
