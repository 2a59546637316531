//! Pieces of many inputs, put together in the order of these.

use polars_core::frame::DataFrame;
use polars_core::prelude::IdxSize;

use super::concat::concat;
use super::rows::gather;
use crate::error::Result;

/// So many frames are there at most before they become one: small ones take more memory than their rows.
const FRAMES_MAX: usize = 32;

/// Rows so far, in the order in which they came.
#[derive(Debug)]
pub(super) struct Gathered {
    whole: Vec<DataFrame>,
    last: Vec<DataFrame>,
    /// The input of some rows, the first of them, and how many they are.
    places: Vec<(u32, IdxSize, IdxSize)>,
    n_rows: IdxSize,
}

impl Gathered {
    /// No rows yet, of the columns of this frame.
    pub(super) fn new(schema: DataFrame) -> Self {
        Gathered { whole: vec![schema], last: Vec::new(), places: Vec::new(), n_rows: 0 }
    }

    /// Adds rows, so many of each of these inputs, one after the other.
    pub(super) fn add(
        &mut self,
        inputs: impl IntoIterator<Item = (u32, IdxSize)>,
        rows: DataFrame,
    ) -> Result<()> {
        for (input, n) in inputs {
            self.places.push((input, self.n_rows, n));
            self.n_rows += n;
        }
        self.last.push(rows);
        if self.last.len() == FRAMES_MAX {
            let mut rows = concat(self.last.drain(..))?;
            rows.rechunk_mut();
            self.whole.push(rows);
        }
        Ok(())
    }

    /// All rows in one piece, those of the first input first.
    pub(super) fn in_order(mut self) -> Result<DataFrame> {
        let mut all = concat(self.whole.into_iter().chain(self.last))?;
        all.rechunk_mut();
        let is_first = |pair: &[(u32, IdxSize, IdxSize)]| pair[0].0 <= pair[1].0;
        if all.width() == 0 || self.places.windows(2).all(is_first) {
            return Ok(all);
        }
        self.places.sort_by_key(|(input, ..)| *input);
        let rows = self.places.into_iter().flat_map(|(_, start, n)| start..start + n);
        gather("take", &all, rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use polars_core::df;

    use super::*;

    #[test]
    fn rows_come_in_the_order_of_their_inputs() {
        let frame = |values: Vec<i64>| df!["k" => values].unwrap();
        for n in [3, 100] {
            let mut gathered = Gathered::new(frame(vec![]));
            for i in (0..n).rev() {
                let rows = frame(vec![i64::from(i), i64::from(i), i64::from(i + n)]);
                gathered.add([(i, 2), (i + n, 1)], rows).unwrap();
            }
            let all = gathered.in_order().unwrap();
            let expected = (0..i64::from(n)).flat_map(|i| [i, i]);
            let expected = expected.chain(i64::from(n)..2 * i64::from(n)).collect();
            assert!(all.equals(&frame(expected)));
            assert_eq!(all.max_n_chunks(), 1);
        }
        let nothing = Gathered::new(frame(vec![])).in_order().unwrap();
        assert_eq!(nothing.shape(), (0, 1));
    }
}
