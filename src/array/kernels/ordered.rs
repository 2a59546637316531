//! A total order of elements, in which NaN comes last.

use std::cmp::Ordering;

use num_complex::Complex;

use crate::array::dtype::Element;

/// Elements that can be sorted: NaN after everything, complex numbers by their real part first.
pub(crate) trait Ordered: Element {
    fn order(&self, other: &Self) -> Ordering;

    fn is_nan(&self) -> bool {
        false
    }

    /// Whether the two are one value in a set.
    fn is_same(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Equal
    }
}

macro_rules! by_ord {
    ($($t:ty)*) => {$(
        impl Ordered for $t {
            fn order(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }
        }
    )*};
}

macro_rules! floats {
    ($($t:ty)*) => {$(
        impl Ordered for $t {
            fn order(&self, other: &Self) -> Ordering {
                // Unequal to itself is NaN; zeros of either sign are equal.
                self.partial_cmp(other).unwrap_or_else(|| <$t>::is_nan(*self).cmp(&<$t>::is_nan(*other)))
            }

            fn is_nan(&self) -> bool {
                <$t>::is_nan(*self)
            }
        }

        impl Ordered for Complex<$t> {
            fn order(&self, other: &Self) -> Ordering {
                let nan = |z: &Self| z.is_nan();
                match (nan(self), nan(other)) {
                    (false, false) => self.re.order(&other.re).then(self.im.order(&other.im)),
                    (a, b) => a.cmp(&b),
                }
            }

            fn is_nan(&self) -> bool {
                self.re.is_nan() || self.im.is_nan()
            }
        }
    )*};
}

by_ord!(bool i8 i16 i32 i64 u8 u16 u32 u64);
floats!(f32 f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_last_and_one() {
        let mut all = [f64::NAN, 1.0, f64::INFINITY, -f64::NAN, -1.0];
        all.sort_by(Ordered::order);
        assert_eq!(all[..3], [-1.0, 1.0, f64::INFINITY]);
        assert!(all[3].is_same(&all[4]) && 0.0_f64.is_same(&-0.0) && !all[2].is_same(&all[3]));
    }
}
