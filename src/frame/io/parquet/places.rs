//! Which bytes of a file are read for some rows of some columns.
//!
//! Only a hint: what is read besides is read too, by a request of its own.

use std::ops::Range;

use parquet::arrow::arrow_reader::RowSelection;

use super::decode::Rows;
use super::file::Footer;

/// What the first rows of a column chunk need besides their share of its bytes: the dictionary, and half a page.
const FIRST_BYTES: u64 = 1 << 20;

/// The bytes of these leaves in whole row groups.
pub(super) fn of_groups(
    footer: &Footer,
    groups: impl IntoIterator<Item = usize>,
    leaves: &[usize],
) -> Vec<Range<u64>> {
    let ranges = groups.into_iter().flat_map(|group| {
        leaves.iter().map(move |&leaf| {
            let (start, length) = footer.groups()[group].column(leaf).byte_range();
            start..start.saturating_add(length)
        })
    });
    ranges.collect()
}

/// The bytes of these leaves in the first `height` of some rows.
pub(super) fn of_rows(
    footer: &Footer,
    of: &Rows,
    leaves: &[usize],
    height: u64,
) -> Vec<Range<u64>> {
    let (mut rest, mut left, mut ranges) = (of.selection.clone(), height, Vec::new());
    for &group in &of.groups {
        let rows = footer.group_rows(group);
        let own = rest.as_mut().map(|rest| rest.split_off(rows as usize));
        if left == 0 {
            break;
        }
        for (chunk, &leaf) in of_groups(footer, [group], leaves).into_iter().zip(leaves) {
            match own.as_ref().and_then(|own| of_pages(footer, group, leaf, own)) {
                Some(pages) => {
                    ranges.push(chunk.start..pages.first().map_or(chunk.start, |page| page.start));
                    ranges.extend(pages);
                }
                None if own.is_none() && left < rows => {
                    let bytes = u128::from(chunk.end - chunk.start) * u128::from(left);
                    let share = bytes.div_ceil(u128::from(rows)) as u64;
                    let end = chunk.start.saturating_add(share).saturating_add(FIRST_BYTES);
                    ranges.push(chunk.start..chunk.end.min(end));
                }
                None => ranges.push(chunk),
            }
        }
        left = left.saturating_sub(own.map_or(rows, |own| own.row_count() as u64));
    }
    ranges
}

/// The pages with selected rows, where it is known where they are; with what is before the first of all.
fn of_pages(
    footer: &Footer,
    group: usize,
    leaf: usize,
    selection: &RowSelection,
) -> Option<Vec<Range<u64>>> {
    let index = footer.metadata().page_index()?.offset_index(group, leaf)?;
    let locations = index.page_locations();
    let first = u64::try_from(locations.first()?.offset).ok()?;
    Some(std::iter::once(first..first).chain(selection.scan_ranges(locations)).collect())
}
