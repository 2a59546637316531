//! Where boxes stand in a picture: in rows from top to bottom, with few and short crossings.
//!
//! After Sugiyama, Tagawa and Toda: boxes go to rows by their longest path, arrows that cross a row
//! get a bend there, rows are sorted by the mean place of what they are connected with, and
//! then everything moves as near to its neighbours as its row allows.

/// How often rows are sorted and moved. Later rounds change little.
const N_ROUNDS: usize = 12;
/// Boxes and bends; arrows that find no room any more go through other boxes.
const N_ITEMS_MAX: usize = 20_000;
/// Between the boxes of a row: a part of their mean width, and between these bounds.
const GAP_PART: f64 = 0.15;
const GAP_BOUNDS: (f64, f64) = (10.0, 28.0);
const ROW_GAP: f64 = 46.0;

/// The size of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Places in a picture whose top left corner is the origin.
#[derive(Debug)]
pub(super) struct Layout {
    /// The centre of each box.
    pub(super) centers: Vec<(f64, f64)>,
    /// For each arrow the places where it crosses the rows between its ends.
    pub(super) bends: Vec<Vec<(f64, f64)>>,
    pub(super) size: Size,
}

/// A box or a bend.
struct Item {
    row: usize,
    width: f64,
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Finds places for boxes of these sizes; arrows go from lower to higher numbers.
///
/// Takes O(arrows + `N_ITEMS_MAX`).
pub(super) fn layout(sizes: &[Size], arrows: &[(usize, usize)]) -> Layout {
    let rows = rows(sizes.len(), arrows);
    let mut items: Vec<Item> = sizes
        .iter()
        .zip(&rows)
        .map(|(size, &row)| Item { row, width: size.width, x: 0.0, above: vec![], below: vec![] })
        .collect();
    let bends = arrows.iter().map(|&(from, to)| connect(&mut items, from, to)).collect::<Vec<_>>();
    let lines = sort_rows(&mut items);
    let mean_width = sizes.iter().map(|size| size.width).sum::<f64>() / sizes.len().max(1) as f64;
    let gap = (mean_width * GAP_PART).clamp(GAP_BOUNDS.0, GAP_BOUNDS.1);
    for round in 0..N_ROUNDS {
        move_rows(&mut items, &lines, gap, round % 2 == 0);
    }
    let (ys, height) = row_places(sizes, &rows, lines.len());
    let left = items.iter().map(|item| item.x - item.width / 2.0).fold(f64::MAX, f64::min);
    let right = items.iter().map(|item| item.x + item.width / 2.0).fold(f64::MIN, f64::max);
    let place = |i: usize| (items[i].x - left, ys[items[i].row]);
    Layout {
        centers: (0..sizes.len()).map(place).collect(),
        bends: bends.iter().map(|bends| bends.iter().map(|&i| place(i)).collect()).collect(),
        size: Size { width: (right - left).max(0.0), height },
    }
}

/// The row of each box: below all that it reads, and sources right above their first reader.
fn rows(n: usize, arrows: &[(usize, usize)]) -> Vec<usize> {
    let mut rows = vec![0; n];
    let mut is_source = vec![true; n];
    let mut sorted = arrows.to_vec();
    sorted.sort_unstable_by_key(|&(from, to)| (to, from));
    for &(from, to) in &sorted {
        rows[to] = rows[to].max(rows[from] + 1);
        is_source[to] = false;
    }
    let mut first_reader = vec![usize::MAX; n];
    for &(from, to) in arrows {
        first_reader[from] = first_reader[from].min(rows[to]);
    }
    for i in 0..n {
        if is_source[i] && first_reader[i] != usize::MAX {
            rows[i] = first_reader[i] - 1;
        }
    }
    rows
}

/// Connects two boxes, through bends in the rows between them, which are returned.
fn connect(items: &mut Vec<Item>, from: usize, to: usize) -> Vec<usize> {
    let mut bends = Vec::new();
    let mut last = from;
    for row in items[from].row + 1..items[to].row {
        if items.len() >= N_ITEMS_MAX {
            break;
        }
        let bend = items.len();
        items.push(Item { row, width: 8.0, x: 0.0, above: vec![last], below: vec![] });
        items[last].below.push(bend);
        bends.push(bend);
        last = bend;
    }
    items[last].below.push(to);
    items[to].above.push(last);
    bends
}

/// The items of each row from left to right.
fn sort_rows(items: &mut [Item]) -> Vec<Vec<usize>> {
    let n_rows = items.iter().map(|item| item.row + 1).max().unwrap_or(0);
    let mut lines: Vec<Vec<usize>> = vec![Vec::new(); n_rows];
    for (i, item) in items.iter().enumerate() {
        lines[item.row].push(i);
    }
    number(items, &lines);
    for round in 0..N_ROUNDS {
        let downwards = round % 2 == 0;
        for k in 0..n_rows {
            let line = &mut lines[if downwards { k } else { n_rows - 1 - k }];
            let wish = |i: &usize| mean_place(items, *i, downwards);
            let wishes: Vec<(f64, usize)> = line.iter().map(|i| (wish(i), *i)).collect();
            *line = sorted_by_wish(wishes);
            number(items, std::slice::from_ref(line));
        }
    }
    lines
}

fn sorted_by_wish(mut wishes: Vec<(f64, usize)>) -> Vec<usize> {
    wishes.sort_by(|a, b| a.0.total_cmp(&b.0));
    wishes.into_iter().map(|(_, i)| i).collect()
}

/// While rows are sorted, an item's place is its number in its row, centred.
fn number(items: &mut [Item], lines: &[Vec<usize>]) {
    for line in lines {
        let middle = (line.len() as f64 - 1.0) / 2.0;
        for (place, &i) in line.iter().enumerate() {
            items[i].x = place as f64 - middle;
        }
    }
}

/// The mean place of the neighbours on one side, or the item's own place without any.
fn mean_place(items: &[Item], i: usize, of_above: bool) -> f64 {
    let neighbours = if of_above { &items[i].above } else { &items[i].below };
    if neighbours.is_empty() {
        return items[i].x;
    }
    neighbours.iter().map(|&other| items[other].x).sum::<f64>() / neighbours.len() as f64
}

/// Moves each row as near to its neighbours on one side as its order and its widths allow.
fn move_rows(items: &mut [Item], lines: &[Vec<usize>], gap: f64, downwards: bool) {
    for k in 0..lines.len() {
        let line = &lines[if downwards { k } else { lines.len() - 1 - k }];
        // Distances that neighbours have to keep, summed from the left.
        let mut offsets = Vec::with_capacity(line.len());
        let mut offset = 0.0;
        for (place, &i) in line.iter().enumerate() {
            if place > 0 {
                offset += (items[line[place - 1]].width + items[i].width) / 2.0 + gap;
            }
            offsets.push(offset);
        }
        let wishes = line.iter().zip(&offsets);
        let wishes: Vec<f64> =
            wishes.map(|(&i, offset)| mean_place(items, i, downwards) - offset).collect();
        for ((&i, place), offset) in line.iter().zip(ascending(&wishes)).zip(&offsets) {
            items[i].x = place + offset;
        }
    }
}

/// The ascending numbers that are nearest to `wishes` in squares (pool adjacent violators).
fn ascending(wishes: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &wish in wishes {
        let mut pool = (wish, 1);
        while let Some(&(mean, n)) = pools.last() {
            if mean <= pool.0 {
                break;
            }
            let both = n + pool.1;
            pool = ((mean * n as f64 + pool.0 * pool.1 as f64) / both as f64, both);
            pools.pop();
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, n)| std::iter::repeat_n(mean, n)).collect()
}

/// The middle of each row, and the height of all.
fn row_places(sizes: &[Size], rows: &[usize], n_rows: usize) -> (Vec<f64>, f64) {
    let mut heights = vec![0.0_f64; n_rows];
    for (size, &row) in sizes.iter().zip(rows) {
        heights[row] = heights[row].max(size.height);
    }
    let mut y = 0.0;
    let mut places = Vec::with_capacity(n_rows);
    for height in heights {
        places.push(y + height / 2.0);
        y += height + ROW_GAP;
    }
    (places, (y - ROW_GAP).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 100.0, height: 30.0 };

    #[test]
    fn arrows_go_down_and_boxes_do_not_overlap() {
        let arrows = [(0, 2), (1, 2), (2, 3), (2, 4), (0, 5), (3, 5), (4, 5)];
        let places = layout(&[SIZE; 6], &arrows);
        for (from, to) in arrows {
            assert!(places.centers[from].1 + SIZE.height < places.centers[to].1);
        }
        for (i, a) in places.centers.iter().enumerate() {
            for b in &places.centers[..i] {
                assert!(a.1 != b.1 || (a.0 - b.0).abs() >= SIZE.width, "{a:?} {b:?}");
            }
        }
        assert_eq!(places.bends[4].len(), 2);
    }

    #[test]
    fn a_chain_is_straight() {
        let places = layout(&[SIZE; 3], &[(0, 1), (1, 2)]);
        assert!(places.centers.iter().all(|center| center.0 == 50.0));
    }

    #[test]
    fn pools_are_means_of_what_is_out_of_order() {
        assert_eq!(ascending(&[1.0, 5.0, 3.0, 9.0]), [1.0, 4.0, 4.0, 9.0]);
    }

    #[test]
    fn nothing_is_an_empty_picture() {
        let places = layout(&[], &[]);
        assert_eq!(places.size.height, 0.0);
    }
}
