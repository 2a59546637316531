//! Where the elements of an array lie in a file.
//!
//! Invariant: every offset that a [`Layout`] yields fits into an `i64`; [`Layout::new`] refuses
//! shapes whose last element lies further, so no later arithmetic can overflow.

/// The position of every element of an N-d array in a file, as bytes per step along each axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    begin: u64,
    shape: Vec<u64>,
    /// Bytes from one element to the next along each axis.
    strides: Vec<u64>,
    item_bytes: u64,
    end: u64,
}

impl Layout {
    /// Elements in C order from the byte `begin` on; with `record_bytes`, the first axis steps by
    /// so many bytes.
    ///
    /// `None` if the positions do not fit into an `i64`, or records into their bytes.
    pub(crate) fn new(
        begin: u64,
        shape: &[u64],
        item_bytes: usize,
        record_bytes: Option<u64>,
    ) -> Option<Self> {
        let item_bytes = item_bytes as u64;
        let mut strides = vec![0; shape.len()];
        let mut step = item_bytes;
        for (stride, &len) in strides.iter_mut().zip(shape).rev() {
            *stride = step;
            step = step.checked_mul(len.max(1)).filter(|&step| step <= i64::MAX as u64)?;
        }
        if let (Some(stride), Some(record_bytes)) = (strides.first_mut(), record_bytes) {
            if record_bytes < *stride {
                return None;
            }
            *stride = record_bytes;
            step = record_bytes.checked_mul(shape[0].max(1))?;
        }
        begin.checked_add(step).filter(|&end| end <= i64::MAX as u64)?;
        let last = shape.iter().zip(&strides).map(|(&len, &stride)| len.saturating_sub(1) * stride);
        let end = if shape.contains(&0) { begin } else { begin + last.sum::<u64>() + item_bytes };
        Some(Layout { begin, shape: shape.to_vec(), strides, item_bytes, end })
    }

    /// Where the first element lies.
    #[cfg(feature = "hdf5")]
    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    /// The lengths of the axes.
    pub(crate) fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The byte after the last element: how long the file has to be.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether the box at `start` of shape `lens` lies inside of the array.
    pub(crate) fn contains(&self, start: &[u64], lens: &[usize]) -> bool {
        super::errors::contains(&self.shape, start, lens)
    }

    /// The contiguous runs of bytes that make up a box inside of the array, in C order.
    pub(crate) fn runs(&self, start: &[u64], lens: &[usize]) -> Runs<'_> {
        debug_assert!(self.contains(start, lens));
        let mut run_bytes = self.item_bytes;
        let mut outer = lens.len();
        while outer > 0 && (lens[outer - 1] == 1 || self.strides[outer - 1] == run_bytes) {
            run_bytes *= lens[outer - 1] as u64;
            outer -= 1;
        }
        let offset = start.iter().zip(&self.strides).map(|(&start, &stride)| start * stride);
        Runs {
            strides: &self.strides[..outer],
            lens: lens[..outer].to_vec(),
            index: vec![0; outer],
            offset: self.begin + offset.sum::<u64>(),
            run_bytes,
            done: lens.contains(&0),
        }
    }
}

/// Contiguous bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) offset: u64,
    pub(crate) nbytes: u64,
}

/// Iterator over the runs of a box: an odometer over the axes that are not contiguous.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    strides: &'a [u64],
    lens: Vec<usize>,
    index: Vec<usize>,
    offset: u64,
    run_bytes: u64,
    done: bool,
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        if self.done {
            return None;
        }
        let run = Run { offset: self.offset, nbytes: self.run_bytes };
        self.done = true;
        for axis in (0..self.lens.len()).rev() {
            self.index[axis] += 1;
            if self.index[axis] < self.lens[axis] {
                self.offset += self.strides[axis];
                self.done = false;
                break;
            }
            self.offset -= self.strides[axis] * (self.lens[axis] as u64 - 1);
            self.index[axis] = 0;
        }
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(layout: &Layout, start: &[u64], lens: &[usize]) -> Vec<(u64, u64)> {
        layout.runs(start, lens).map(|run| (run.offset, run.nbytes)).collect()
    }

    #[test]
    fn full_inner_axes_are_one_run() {
        let layout = Layout::new(100, &[4, 3, 5], 2, None).unwrap();
        assert_eq!(layout.end(), 220);
        assert_eq!(runs(&layout, &[0, 0, 0], &[4, 3, 5]), [(100, 120)]);
        assert_eq!(runs(&layout, &[1, 0, 0], &[2, 3, 5]), [(130, 60)]);
        assert_eq!(runs(&layout, &[1, 1, 0], &[2, 2, 5]), [(140, 20), (170, 20)]);
        assert_eq!(runs(&layout, &[1, 1, 2], &[1, 2, 2]), [(144, 4), (154, 4)]);
        assert_eq!(runs(&layout, &[2, 1, 3], &[1, 1, 1]), [(176, 2)]);
        assert_eq!(runs(&layout, &[2, 1, 3], &[1, 0, 1]), []);
    }

    #[test]
    fn scalars_and_records() {
        let scalar = Layout::new(8, &[], 8, None).unwrap();
        assert_eq!(runs(&scalar, &[], &[]), [(8, 8)]);
        let records = Layout::new(10, &[3, 2], 4, Some(100)).unwrap();
        assert_eq!(records.end(), 10 + 200 + 8);
        assert_eq!(runs(&records, &[1, 0], &[2, 2]), [(110, 8), (210, 8)]);
        assert_eq!(runs(&records, &[0, 1], &[3, 1]), [(14, 4), (114, 4), (214, 4)]);
    }

    #[test]
    fn absurd_shapes_are_refused() {
        assert_eq!(Layout::new(0, &[1 << 60, 16], 8, None), None);
        assert_eq!(Layout::new(u64::MAX, &[1], 8, None), None);
        assert_eq!(Layout::new(0, &[0, 1 << 60, 1 << 10], 8, None), None);
        assert_eq!(Layout::new(0, &[1 << 20], 8, Some(1 << 60)), None);
        assert_eq!(Layout::new(0, &[1, 10], 8, Some(72)), None);
    }

    #[test]
    fn boxes_outside_are_noticed() {
        let layout = Layout::new(0, &[4, 3], 1, None).unwrap();
        assert!(layout.contains(&[3, 0], &[1, 3]));
        assert!(!layout.contains(&[3, 0], &[2, 3]));
        assert!(!layout.contains(&[u64::MAX, 0], &[2, 3]));
        assert!(!layout.contains(&[0], &[1, 1]));
    }

    #[test]
    fn runs_visit_every_element_of_the_box_once_in_order() {
        let shape = [3u64, 4, 2, 3];
        let layout = Layout::new(0, &shape, 1, None).unwrap();
        for start in [[0u64, 0, 0, 0], [1, 2, 0, 1], [2, 0, 1, 0]] {
            let lens: Vec<usize> = shape.iter().zip(start).map(|(s, a)| (s - a) as usize).collect();
            let got: Vec<u64> =
                layout.runs(&start, &lens).flat_map(|r| r.offset..r.offset + r.nbytes).collect();
            let want: Vec<u64> = ndarray::indices(&lens[..])
                .into_iter()
                .map(|i| (0..4).fold(0, |at, k| at * shape[k] + start[k] + i[k] as u64))
                .collect();
            assert_eq!(got, want);
        }
    }
}
