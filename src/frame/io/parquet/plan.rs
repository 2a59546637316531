//! How the row groups of files are cut into parts of about equal bytes.
//!
//! Files keep their order, and so do rows. Neighbouring row groups are joined while they fit, also those of
//! several files; a row group that is much too large is cut by rows. Where footers are not known, a part is some
//! bytes of a file, and has the row groups whose middle lies in them.

use std::ops::Range;

/// A row group is cut into no more parts than this, and a file of which nothing but the length is known into no
/// shorter shares than that: sizes in headers may be anything.
const CUTS_MAX: u64 = 1024;
const SHARE_BYTES_MIN: u64 = 64 << 10;

/// What one task reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) pieces: Vec<Piece>,
}

/// The piece of a part that is in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) file: usize,
    pub(super) share: Share,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Whole row groups.
    Groups(Range<usize>),
    /// Some rows of one row group.
    Rows { group: usize, rows: Range<u64> },
    /// The row groups whose middle lies in these bytes of the file.
    Bytes(Range<u64>),
}

/// A row group, of which only the sizes count here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) rows: u64,
    /// Bytes of memory once it is read.
    pub(super) bytes: u64,
}

/// Parts of row groups, given for each file.
pub(super) fn of_groups(files: &[Vec<Group>], part_bytes: u64) -> Vec<Part> {
    let mut parts = Joined::new(part_bytes);
    for (file, groups) in files.iter().enumerate() {
        for (i, group) in groups.iter().enumerate() {
            let n_parts = group.bytes.div_ceil(part_bytes.max(1)).min(group.rows).min(CUTS_MAX);
            // Less than two parts would be made of pieces that a part has room for.
            if group.bytes / 2 <= part_bytes || n_parts < 2 {
                parts.push(Piece { file, share: Share::Groups(i..i + 1) }, group.bytes);
                continue;
            }
            let cut =
                |k: u64| (u128::from(group.rows) * u128::from(k) / u128::from(n_parts)) as u64;
            for k in 0..n_parts {
                let share = Share::Rows { group: i, rows: cut(k)..cut(k + 1) };
                parts.push(Piece { file, share }, part_bytes);
            }
        }
    }
    parts.finish()
}

/// Parts of files of which only the length and an estimate of the bytes of memory are known, and how large their row groups
/// are. A smaller share than a row group would have none of them, or more than its share.
pub(super) fn of_bytes(files: &[(u64, u64)], group_bytes: u64, part_bytes: u64) -> Vec<Part> {
    let mut parts = Joined::new(part_bytes);
    let share_bytes = part_bytes.max(group_bytes).max(1);
    for (file, &(len, memory)) in files.iter().enumerate() {
        let n_parts = (memory / share_bytes).clamp(1, (len / SHARE_BYTES_MIN).max(1));
        let cut = |k: u64| (u128::from(len) * u128::from(k) / u128::from(n_parts)) as u64;
        for k in 0..n_parts {
            let share = Share::Bytes(cut(k)..cut(k + 1));
            parts.push(Piece { file, share }, memory / n_parts);
        }
    }
    parts.finish()
}

/// Pieces, joined while they fit.
struct Joined {
    part_bytes: u64,
    parts: Vec<Part>,
    last_bytes: u64,
}

impl Joined {
    fn new(part_bytes: u64) -> Self {
        Joined { part_bytes, parts: Vec::new(), last_bytes: 0 }
    }

    fn push(&mut self, piece: Piece, bytes: u64) {
        let with = self.last_bytes.saturating_add(bytes);
        match self.parts.last_mut() {
            Some(part) if with <= self.part_bytes => {
                self.last_bytes = with;
                if let (Some(Piece { file, share: Share::Groups(groups) }), Share::Groups(more)) =
                    (part.pieces.last_mut(), &piece.share)
                    && *file == piece.file
                    && groups.end == more.start
                {
                    groups.end = more.end;
                } else {
                    part.pieces.push(piece);
                }
            }
            _ => {
                self.last_bytes = bytes;
                self.parts.push(Part { pieces: vec![piece] });
            }
        }
    }

    /// There is at least one part, be it empty: a frame without rows still has columns.
    fn finish(mut self) -> Vec<Part> {
        if self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(bytes: &[u64]) -> Vec<Group> {
        bytes.iter().map(|&bytes| Group { rows: 100, bytes }).collect()
    }

    fn piece(file: usize, share: Share) -> Piece {
        Piece { file, share }
    }

    #[test]
    fn row_groups_are_joined_while_they_fit() {
        let parts = of_groups(&[groups(&[4, 4, 4]), groups(&[1]), groups(&[9])], 10);
        let expected = [
            vec![piece(0, Share::Groups(0..2))],
            vec![piece(0, Share::Groups(2..3)), piece(1, Share::Groups(0..1))],
            vec![piece(2, Share::Groups(0..1))],
        ];
        assert_eq!(parts.into_iter().map(|part| part.pieces).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn large_row_groups_are_cut_by_rows() {
        let parts = of_groups(&[groups(&[35, 19])], 10);
        let rows: Vec<_> = parts.iter().map(|part| part.pieces[0].share.clone()).collect();
        let cut = |rows| Share::Rows { group: 0, rows };
        let expected = [cut(0..25), cut(25..50), cut(50..75), cut(75..100), Share::Groups(1..2)];
        assert_eq!(rows, expected);
    }

    #[test]
    fn no_size_in_a_header_makes_many_parts() {
        let few = [Group { rows: 3, bytes: u64::MAX }];
        assert_eq!(of_groups(&[few.to_vec()], 1).len(), 3);
        let many = [Group { rows: u64::MAX, bytes: u64::MAX }];
        assert_eq!(of_groups(&[many.to_vec()], 1).len(), 1024);
        assert_eq!(of_bytes(&[(1 << 20, u64::MAX)], 0, 1).len(), 16);
        assert_eq!(of_groups(&[], 10).len(), 1);
        assert_eq!(of_groups(&[vec![]], 0).len(), 1);
    }

    #[test]
    fn shares_of_bytes_cover_the_file() {
        let files = [(1_000_000, 35), (10, 3), (10, 3), (10, 6)];
        let parts = of_bytes(&files, 1, 10);
        let shares: Vec<_> = parts.iter().flat_map(|part| &part.pieces).collect();
        assert_eq!(*shares[0], piece(0, Share::Bytes(0..333_333)));
        assert_eq!(*shares[2], piece(0, Share::Bytes(666_666..1_000_000)));
        assert_eq!(parts[3].pieces.len(), 2);
        assert_eq!(parts[4].pieces, [piece(3, Share::Bytes(0..10))]);
        let parts = of_bytes(&files, 17, 10);
        assert_eq!(parts[1].pieces, [piece(0, Share::Bytes(500_000..1_000_000))]);
    }
}
