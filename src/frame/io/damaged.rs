//! Damaged files, for the tests of each format.

/// `good` with one bit flipped; for each `i` it is another one, and neighbours lie far apart.
pub(super) fn flipped(good: &[u8], i: usize) -> Vec<u8> {
    let mut bad = good.to_vec();
    let bit = i * 7919 % (good.len() * 8);
    bad[bit / 8] ^= 1 << (bit % 8);
    bad
}

/// `good` cut after `i` twentieths, and from 20 on with one bit flipped.
#[cfg(feature = "cloud")]
pub(super) fn cut_or_flipped(good: &[u8], i: usize) -> Vec<u8> {
    if i < 20 { good[..good.len() * i / 20].to_vec() } else { flipped(good, i) }
}
