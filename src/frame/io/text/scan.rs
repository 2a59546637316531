//! Where records end, which in CSV is not at every new line: a quoted field may have some.

use memchr::{memchr, memchr2, memrchr};

/// What a CSV reader gives a meaning beside new lines. All of it is ASCII.
///
/// A quote begins a quoted field only at the start of a field; anywhere else it is text. That is what the
/// decoder does, and what a mere count of quotes gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Quoting {
    pub(in super::super) delimiter: u8,
    pub(in super::super) quote: u8,
    /// Takes the meaning of the next byte in a quoted field, where a doubled quote is one anyway.
    pub(in super::super) escape: Option<u8>,
    /// Begins lines that are no records.
    pub(in super::super) comment: Option<u8>,
}

/// Goes over a file, or over a piece of one from the start of a line on.
#[derive(Clone, Debug)]
pub(in super::super) struct Scanner {
    quoting: Option<Quoting>,
    state: State,
    /// The byte before, outside of quotes.
    previous: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain,
    Comment,
    Quoted,
    /// After an escape in quotes.
    Escaped,
    /// After a quote in quotes, which ends them unless there is another.
    Quote,
}

/// Where in the bytes just seen the first and the last record ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Ends {
    pub(in super::super) first: Option<usize>,
    pub(in super::super) last: Option<usize>,
}

impl Scanner {
    /// At the start of a line, which may be inside of quotes. Without `quoting` every new line ends a record.
    pub(in super::super) fn new(quoting: Option<Quoting>, is_inside: bool) -> Self {
        let state = if is_inside { State::Quoted } else { State::Plain };
        Scanner { quoting, state, previous: b'\n' }
    }

    /// Whether what comes next is still in a quoted field.
    pub(in super::super) fn is_inside(&self) -> bool {
        matches!(self.state, State::Quoted | State::Escaped)
    }

    /// Whether what comes next is in a field without quotes, or begins one.
    pub(in super::super) fn is_plain(&self) -> bool {
        self.state == State::Plain
    }

    /// Goes on over `bytes`.
    pub(in super::super) fn run(&mut self, bytes: &[u8]) -> Ends {
        let mut ends = Ends::default();
        let Some(quoting) = self.quoting else {
            ends.add_lines(bytes, 0);
            return ends;
        };
        let mut i = 0;
        while let Some(rest) = bytes.get(i..).filter(|rest| !rest.is_empty()) {
            i += match self.state {
                State::Plain => self.plain(quoting, rest, i, &mut ends),
                State::Comment => match memchr(b'\n', rest) {
                    Some(n) => {
                        ends.add(i + n + 1);
                        self.enter(State::Plain);
                        n + 1
                    }
                    None => rest.len(),
                },
                State::Quoted => match find(quoting.quote, quoting.escape, rest) {
                    Some(n) => {
                        self.state =
                            if rest[n] == quoting.quote { State::Quote } else { State::Escaped };
                        n + 1
                    }
                    None => rest.len(),
                },
                State::Escaped => {
                    self.state = State::Quoted;
                    1
                }
                State::Quote if rest[0] == quoting.quote => {
                    self.state = State::Quoted;
                    1
                }
                State::Quote => {
                    self.state = State::Plain;
                    self.previous = quoting.quote;
                    0
                }
            };
        }
        ends
    }

    /// Up to the next quote or comment; returns how many bytes that is.
    fn plain(&mut self, quoting: Quoting, rest: &[u8], at: usize, ends: &mut Ends) -> usize {
        let Some(n) = find(quoting.quote, quoting.comment, rest) else {
            ends.add_lines(rest, at);
            self.previous = rest[rest.len() - 1];
            return rest.len();
        };
        ends.add_lines(&rest[..n], at);
        let before = if n == 0 { self.previous } else { rest[n - 1] };
        let is_line_start = matches!(before, b'\n' | b'\r');
        if quoting.comment == Some(rest[n]) && is_line_start {
            self.state = State::Comment;
        } else if rest[n] == quoting.quote && (is_line_start || before == quoting.delimiter) {
            self.state = State::Quoted;
        }
        self.previous = rest[n];
        n + 1
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.previous = b'\n';
    }
}

impl Ends {
    fn add(&mut self, end: usize) {
        self.first = self.first.or(Some(end));
        self.last = Some(end);
    }

    fn add_lines(&mut self, bytes: &[u8], at: usize) {
        if let Some(last) = memrchr(b'\n', bytes) {
            if self.first.is_none() {
                self.first = memchr(b'\n', bytes).map(|first| at + first + 1);
            }
            self.last = Some(at + last + 1);
        }
    }
}

fn find(a: u8, b: Option<u8>, bytes: &[u8]) -> Option<usize> {
    match b {
        Some(b) => memchr2(a, b, bytes),
        None => memchr(a, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: Quoting = Quoting { delimiter: b',', quote: b'"', escape: None, comment: None };

    /// The ends of all records, found byte by byte and thus over every way to cut the text.
    fn ends(quoting: Quoting, text: &str) -> Vec<usize> {
        let mut scanner = Scanner::new(Some(quoting), false);
        let mut ends = Vec::new();
        for (i, byte) in text.bytes().enumerate() {
            ends.extend(scanner.run(&[byte]).last.map(|end| i + end));
        }
        let whole = Scanner::new(Some(quoting), false).run(text.as_bytes());
        assert_eq!((whole.first, whole.last), (ends.first().copied(), ends.last().copied()));
        ends
    }

    #[test]
    fn quoted_new_lines_end_nothing() {
        assert_eq!(ends(CSV, "a,b\n\"x\ny\",\"\"\"\n\"\n1,2\n"), [4, 16, 20]);
        assert_eq!(ends(CSV, "\"a\"\r\n\"\n\"\r\n"), [5, 10]);
    }

    #[test]
    fn quotes_within_fields_are_text() {
        assert_eq!(ends(CSV, "5\" pipe,x\n\"a\"b\"\nc,\"\n\"\n"), [10, 16, 22]);
    }

    #[test]
    fn escapes_and_comments() {
        let quoting = Quoting { escape: Some(b'\\'), comment: Some(b'#'), ..CSV };
        assert_eq!(ends(quoting, "\"a\\\"\nb\"\n#,\"\n1\n"), [8, 12, 14]);
        assert_eq!(ends(quoting, "a#,\"#\n\"\n"), [8]);
    }
}
