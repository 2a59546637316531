//! Cuts a length into parts.

/// `parts` lengths that differ by at most 1 and sum to `len`, shorter ones first.
///
/// No part is empty unless `len` is: there are at most `len` parts, and at least one.
pub(crate) fn near_equal(len: u64, parts: u64) -> impl Iterator<Item = u64> {
    let parts = parts.min(len).max(1);
    let (short, longer) = (len / parts, len % parts);
    (0..parts).map(move |i| if i < parts - longer { short } else { short + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shorter_parts_come_first() {
        assert!(near_equal(8, 3).eq([2, 3, 3]));
        assert!(near_equal(2, 5).eq([1, 1]));
        assert!(near_equal(0, 3).eq([0]));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole(len in 0u64..1000, parts in 0u64..1000) {
            prop_assert_eq!(near_equal(len, parts).sum::<u64>(), len);
        }
    }
}
