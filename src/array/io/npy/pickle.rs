//! Python's pickles, as far as the `info` of a stack of files has them.
//!
//! Numbers, texts, tuples, lists and dictionaries are read; what a pickle would call is not called and becomes
//! [`Value::Other`]. The opcodes: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.

use std::collections::HashMap;

/// A value of Python.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Text(String),
    /// A tuple or a list.
    Sequence(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// Whatever else there is.
    Other,
}

impl Value {
    /// What a dictionary has under a text.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let Value::Dict(items) = self else { return None };
        items.iter().rev().find(|(k, _)| *k == Value::Text(key.to_string())).map(|(_, value)| value)
    }

    /// Lengths or positions.
    pub(super) fn as_u64s(&self) -> Option<Vec<u64>> {
        let Value::Sequence(items) = self else { return None };
        items.iter().map(Value::as_u64).collect()
    }

    /// Whether there are more than so many containers inside of each other.
    fn is_deeper_than(&self, n_levels: usize) -> bool {
        let Some(n_below) = n_levels.checked_sub(1) else {
            return matches!(self, Value::Sequence(_) | Value::Dict(_));
        };
        match self {
            Value::Sequence(items) => items.iter().any(|item| item.is_deeper_than(n_below)),
            Value::Dict(items) => items
                .iter()
                .any(|(key, value)| key.is_deeper_than(n_below) || value.is_deeper_than(n_below)),
            Value::Int(_) | Value::Text(_) | Value::Other => false,
        }
    }

    pub(super) fn as_u64(&self) -> Option<u64> {
        if let Value::Int(n) = self { u64::try_from(*n).ok() } else { None }
    }
}

/// Containers inside of each other; an `info` has three. What is deeper could not be dropped on a small stack.
const LEVELS_MAX: usize = 8;

/// The value of a pickle; None if it is cut, uses what is not read here, or is far more than its bytes.
pub(super) fn load(bytes: &[u8]) -> Option<Value> {
    let (stack, marks, memo) = (Vec::new(), Vec::new(), HashMap::new());
    // Each opcode makes one value; copies are what a few bytes can make any number of.
    let n_copies_left = bytes.len().saturating_mul(16);
    let mut machine = Machine { bytes, stack, marks, memo, n_copies_left };
    loop {
        if let Some(value) = machine.step()? {
            return Some(value);
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    n_copies_left: usize,
}

impl<'a> Machine<'a> {
    /// Runs one opcode; the value if it was the last.
    fn step(&mut self) -> Option<Option<Value>> {
        match self.take(1)?[0] {
            b'.' => return self.stack.pop().map(Some),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'}' => self.stack.push(Value::Dict(Vec::new())),
            b']' | b')' => self.stack.push(Value::Sequence(Vec::new())),
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Other),
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            b'J' => {
                let bytes = self.take(4)?.try_into().ok()?;
                self.stack.push(Value::Int(i32::from_le_bytes(bytes).into()));
            }
            0x8A => {
                let n = self.number(1)? as usize;
                let (bytes, mut wide) = (self.take(n)?, [0; 16]);
                if bytes.last().is_some_and(|last| last & 0x80 != 0) {
                    wide = [0xFF; 16];
                }
                wide.get_mut(..n)?.copy_from_slice(bytes);
                self.stack.push(Value::Int(i64::try_from(i128::from_le_bytes(wide)).ok()?));
            }
            0x8C => self.text(1)?,
            b'X' => self.text(4)?,
            b't' | b'l' => {
                let items = self.pop_mark()?;
                self.wrap(items)?;
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'e' => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            b'a' => {
                let item = self.stack.pop()?;
                self.extend(vec![item])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set(items)?;
            }
            b's' => {
                let items = self.stack.split_off(self.stack.len().checked_sub(2)?);
                self.set(items)?;
            }
            // A name, a call of it, and what the object is set to: none of which happens.
            b'c' => {
                for _ in 0..2 {
                    let end = self.bytes.iter().position(|&byte| byte == b'\n')?;
                    self.take(end + 1)?;
                }
                self.stack.push(Value::Other);
            }
            0x93 | b'R' | 0x81 => {
                self.stack.truncate(self.stack.len().checked_sub(2)?);
                self.stack.push(Value::Other);
            }
            b'b' => drop(self.stack.pop()?),
            0x94 => self.keep(self.memo.len() as u64)?,
            b'q' => self.put(1)?,
            b'r' => self.put(4)?,
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            _ => return None,
        }
        Some(None)
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(n)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self, n_bytes: usize) -> Option<u64> {
        let mut wide = [0; 8];
        wide[..n_bytes].copy_from_slice(self.take(n_bytes)?);
        Some(u64::from_le_bytes(wide))
    }

    fn int(&mut self, n_bytes: usize) -> Option<()> {
        let n = self.number(n_bytes)?;
        self.stack.push(Value::Int(n as i64));
        Some(())
    }

    fn text(&mut self, n_bytes: usize) -> Option<()> {
        let n = self.number(n_bytes)? as usize;
        let text = String::from_utf8(self.take(n)?.to_vec()).ok()?;
        self.stack.push(Value::Text(text));
        Some(())
    }

    fn tuple(&mut self, n: usize) -> Option<()> {
        let items = self.stack.split_off(self.stack.len().checked_sub(n)?);
        self.wrap(items)
    }

    fn wrap(&mut self, items: Vec<Value>) -> Option<()> {
        check_levels(&items)?;
        self.stack.push(Value::Sequence(items));
        Some(())
    }

    fn extend(&mut self, items: Vec<Value>) -> Option<()> {
        check_levels(&items)?;
        let Some(Value::Sequence(list)) = self.stack.last_mut() else { return None };
        list.extend(items);
        Some(())
    }

    fn pop_mark(&mut self) -> Option<Vec<Value>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len())?;
        Some(self.stack.split_off(mark))
    }

    fn set(&mut self, items: Vec<Value>) -> Option<()> {
        check_levels(&items)?;
        let Some(Value::Dict(dict)) = self.stack.last_mut() else { return None };
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            dict.push((key, items.next()?));
        }
        Some(())
    }

    fn put(&mut self, n_bytes: usize) -> Option<()> {
        let at = self.number(n_bytes)?;
        self.keep(at)
    }

    fn keep(&mut self, at: u64) -> Option<()> {
        let value = copy(self.stack.last()?, &mut self.n_copies_left)?;
        self.memo.insert(at, value);
        Some(())
    }

    fn recall(&mut self, n_bytes: usize) -> Option<()> {
        let at = self.number(n_bytes)?;
        let value = copy(self.memo.get(&at)?, &mut self.n_copies_left)?;
        self.stack.push(value);
        Some(())
    }
}

fn check_levels(items: &[Value]) -> Option<()> {
    (!items.iter().any(|item| item.is_deeper_than(LEVELS_MAX - 1))).then_some(())
}

/// The value once more; None if that are more values than are left.
fn copy(value: &Value, n_left: &mut usize) -> Option<Value> {
    let n_values = match value {
        Value::Text(text) => text.len(),
        Value::Sequence(items) => items.len(),
        Value::Int(_) | Value::Dict(_) | Value::Other => 0,
    };
    *n_left = n_left.checked_sub(n_values + 1)?;
    let is_flat = |items: &[Value]| items.iter().all(|item| matches!(item, Value::Int(_)));
    Some(match value {
        // What is in itself again and again would grow without end.
        Value::Sequence(items) if !is_flat(items) => Value::Other,
        Value::Dict(_) => Value::Other,
        value => value.clone(),
    })
}

/// The `info` of a stack as Dask reads it: `{"chunks": chunks, "dtype": numpy.dtype(dtype), "axis": axis}`.
pub(super) fn stack_info(chunks: &[Vec<u64>], dtype: &str, axis: u64) -> Vec<u8> {
    // Protocol 2, which every Python 3 reads.
    let mut out = b"\x80\x02}(".to_vec();
    push_text(&mut out, "chunks");
    out.push(b'(');
    for lens in chunks {
        out.push(b'(');
        lens.iter().for_each(|&len| push_int(&mut out, len));
        out.push(b't');
    }
    out.push(b't');
    push_text(&mut out, "dtype");
    out.extend(b"cnumpy\ndtype\n");
    push_text(&mut out, dtype);
    out.extend(b"\x85R");
    push_text(&mut out, "axis");
    push_int(&mut out, axis);
    out.extend(b"u.");
    out
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn push_int(out: &mut Vec<u8>, n: u64) {
    // Nine bytes, so that the last one is no sign.
    out.extend([0x8A, 9]);
    out.extend(n.to_le_bytes());
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Dask 2026.8 with Python 3 writes for 300 by 7 elements of `<f4` in chunks of 70 along axis 0.
    const DASK: &[u8] = b"\x80\x04\x95h\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x06chunks\x94(KFKFKFKFK\x14t\x94K\x07\x85\
        \x94\x86\x94\x8c\x05dtype\x94\x8c\x05numpy\x94\x8c\x05dtype\x94\x93\x94\x8c\x02f4\x94\x89\x88\x87\x94R\x94(K\x03\
        \x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x8c\x04axis\x94K\x00u.";

    fn chunks(info: &Value) -> Vec<Vec<u64>> {
        let Some(Value::Sequence(axes)) = info.get("chunks") else { panic!("{info:?}") };
        axes.iter().map(|axis| axis.as_u64s().unwrap()).collect()
    }

    #[test]
    fn infos_of_dask_are_read() {
        let info = load(DASK).unwrap();
        assert_eq!(chunks(&info), [vec![70, 70, 70, 70, 20], vec![7]]);
        assert_eq!(info.get("axis").unwrap().as_u64(), Some(0));
        assert_eq!(info.get("dtype"), Some(&Value::Other));
    }

    #[test]
    fn infos_are_what_was_said() {
        let said = [vec![1, 300, 70_000, u64::from(u32::MAX) + 5], vec![]];
        let info = load(&stack_info(&said, "<f8", 1)).unwrap();
        assert_eq!(chunks(&info), said);
        assert_eq!(info.get("axis").unwrap().as_u64(), Some(1));
    }

    #[test]
    fn small_pickles_are_no_large_values() {
        // An empty tuple in a tuple in a tuple and so on.
        let nested = |n: usize| [b")".as_slice(), &b"\x85".repeat(n), b"."].concat();
        assert!(load(&nested(LEVELS_MAX - 1)).is_some());
        assert_eq!(load(&nested(LEVELS_MAX)), None);
        assert_eq!(load(&nested(1 << 20)), None);
        let in_lists = [&b"]".repeat(1 << 20)[..], &b"a".repeat((1 << 20) - 1), b"."].concat();
        assert_eq!(load(&in_lists), None);
        // A tuple of many numbers, kept once and recalled many times.
        let n = 1000;
        let recalled = |n_times: usize| {
            [b"(".as_slice(), &b"K\x01".repeat(n), b"tq\0", &b"h\0".repeat(n_times), b"."].concat()
        };
        assert!(load(&recalled(10)).is_some());
        assert_eq!(load(&recalled(10_000)), None);
    }

    #[test]
    fn damage_is_no_panic() {
        for n in 0..DASK.len() {
            assert_eq!(load(&DASK[..n]), None);
            for flip in [1, 0x10, 0x80, 0xFF] {
                let mut bytes = DASK.to_vec();
                bytes[n] ^= flip;
                load(&bytes);
            }
        }
    }
}
