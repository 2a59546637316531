//! In-memory arrays whose element type is known only at run time.

use ndarray::{ArrayD, ArrayViewMutD};
use num_complex::Complex;

use super::dtype::{DType, Element};

macro_rules! any_array {
    ($($variant:ident => $t:ty),* $(,)?) => {
        /// An in-memory array of any element type: what a [`DynArray`](super::DynArray) computes to.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum AnyArray {
            $(#[doc = concat!("Elements of type `", stringify!($t), "`.")]
            $variant(ArrayD<$t>),)*
        }

        /// A mutable view of an array of any element type: where a [`Source`](super::Source) puts
        /// what it reads.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum AnyViewMut<'a> {
            $(#[doc = concat!("Elements of type `", stringify!($t), "`.")]
            $variant(ArrayViewMutD<'a, $t>),)*
        }

        impl AnyArray {
            /// The element type.
            pub fn dtype(&self) -> DType {
                match self { $(AnyArray::$variant(_) => DType::$variant,)* }
            }

            /// The lengths of the axes.
            pub fn shape(&self) -> &[usize] {
                match self { $(AnyArray::$variant(array) => array.shape(),)* }
            }

            /// A mutable view of the whole array.
            pub fn view_mut(&mut self) -> AnyViewMut<'_> {
                match self { $(AnyArray::$variant(array) => AnyViewMut::$variant(array.view_mut()),)* }
            }
        }

        impl AnyViewMut<'_> {
            /// The element type.
            pub fn dtype(&self) -> DType {
                match self { $(AnyViewMut::$variant(_) => DType::$variant,)* }
            }

            /// The lengths of the axes.
            pub fn shape(&self) -> &[usize] {
                match self { $(AnyViewMut::$variant(array) => array.shape(),)* }
            }
        }

        $(
            impl From<ArrayD<$t>> for AnyArray {
                fn from(array: ArrayD<$t>) -> Self {
                    AnyArray::$variant(array)
                }
            }

            impl<'a> From<ArrayViewMutD<'a, $t>> for AnyViewMut<'a> {
                fn from(array: ArrayViewMutD<'a, $t>) -> Self {
                    AnyViewMut::$variant(array)
                }
            }

            impl AnyElement for $t {
                fn from_any(array: AnyArray) -> Result<ArrayD<$t>, AnyArray> {
                    match array {
                        AnyArray::$variant(array) => Ok(array),
                        other => Err(other),
                    }
                }

                fn from_any_view<'a>(view: AnyViewMut<'a>) -> Option<ArrayViewMutD<'a, $t>> {
                    match view {
                        AnyViewMut::$variant(view) => Some(view),
                        _ => None,
                    }
                }

                fn to_any(array: ArrayD<$t>) -> AnyArray {
                    AnyArray::$variant(array)
                }

                fn to_any_view(view: ArrayViewMutD<'_, $t>) -> AnyViewMut<'_> {
                    AnyViewMut::$variant(view)
                }
            }
        )*
    };
}

any_array! {
    Bool => bool, I8 => i8, I16 => i16, I32 => i32, I64 => i64,
    U8 => u8, U16 => u16, U32 => u32, U64 => u64,
    F32 => f32, F64 => f64, C64 => Complex<f32>, C128 => Complex<f64>,
}

/// Conversions between typed and erased arrays, for every [`Element`].
pub trait AnyElement: Sized {
    /// The typed array, or the array itself if it holds other elements.
    ///
    /// # Errors
    /// The array, unchanged, if its dtype is another one.
    fn from_any(array: AnyArray) -> Result<ArrayD<Self>, AnyArray>;

    /// The typed view, if the view holds these elements.
    fn from_any_view(view: AnyViewMut<'_>) -> Option<ArrayViewMutD<'_, Self>>;

    /// The erased array.
    fn to_any(array: ArrayD<Self>) -> AnyArray;

    /// The erased view.
    fn to_any_view(view: ArrayViewMutD<'_, Self>) -> AnyViewMut<'_>;
}

impl AnyArray {
    /// The array with elements of type `T`.
    ///
    /// # Errors
    /// The array, unchanged, if its dtype is another one.
    pub fn into_typed<T: Element>(self) -> Result<ArrayD<T>, AnyArray> {
        T::from_any(self)
    }
}
