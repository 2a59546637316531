//! Functions of texts: `col("s").str()`.

use polars_core::error::polars_ensure;
use polars_core::prelude::{Column, DataType, IntoColumn, PolarsResult, StringChunked};
use polars_ops::prelude::{BinaryNameSpaceImpl, StringNameSpaceImpl};

use super::window::boolean;
use super::{broadcast, column, height};
use crate::frame::expr::function::functions;
use crate::frame::expr::{Expr, Function, IntoExprs, Literal, lit, null};

functions! {
    LEN_BYTES = "str.len_bytes" => |c| text(c, |s| Ok(s.str_len_bytes()));
    LEN_CHARS = "str.len_chars" => |c| text(c, |s| Ok(s.str_len_chars()));
    TO_LOWERCASE = "str.to_lowercase" => |c| text(c, |s| Ok(s.to_lowercase()));
    TO_UPPERCASE = "str.to_uppercase" => |c| text(c, |s| Ok(s.to_uppercase()));
    CONTAINS = "str.contains" => |c| texts(c, |s, pattern| s.contains_chunked(pattern, false, true));
    CONTAINS_LITERAL = "str.contains_literal" => |c| texts(c, |s, part| s.contains_chunked(part, true, true));
    STARTS_WITH = "str.starts_with" =>
        |c| texts(c, |s, part| s.as_binary().starts_with_chunked(&part.as_binary()));
    ENDS_WITH = "str.ends_with" =>
        |c| texts(c, |s, part| s.as_binary().ends_with_chunked(&part.as_binary()));
    FIND = "str.find" => |c| texts(c, |s, pattern| s.find_chunked(pattern, false, true));
    FIND_LITERAL = "str.find_literal" => |c| texts(c, |s, part| s.find_chunked(part, true, true));
    COUNT_MATCHES = "str.count_matches" => count_matches;
    EXTRACT = "str.extract" => extract;
    EXTRACT_ALL = "str.extract_all" => extract_all;
    REPLACE = "str.replace" => |c| replace(c, false);
    REPLACE_ALL = "str.replace_all" => |c| replace(c, true);
    STRIP_CHARS = "str.strip_chars" => |c| text(c, |s| s.strip_chars(&c[1]));
    STRIP_CHARS_START = "str.strip_chars_start" => |c| text(c, |s| s.strip_chars_start(&c[1]));
    STRIP_CHARS_END = "str.strip_chars_end" => |c| text(c, |s| s.strip_chars_end(&c[1]));
    STRIP_PREFIX = "str.strip_prefix" => |c| texts(c, |s, part| Ok(s.strip_prefix(part)));
    STRIP_SUFFIX = "str.strip_suffix" => |c| texts(c, |s, part| Ok(s.strip_suffix(part)));
    SLICE = "str.slice" => |c| text(c, |s| s.str_slice(&c[1], &c[2]));
    HEAD = "str.head" => |c| text(c, |s| s.str_head(&c[1]));
    TAIL = "str.tail" => |c| text(c, |s| s.str_tail(&c[1]));
    PAD_START = "str.pad_start" => |c| pad(c, |s, n, fill| s.pad_start(n, fill));
    PAD_END = "str.pad_end" => |c| pad(c, |s, n, fill| s.pad_end(n, fill));
    ZFILL = "str.zfill" => |c| pad(c, |s, n, _| s.zfill(n));
    TO_TITLECASE = "str.to_titlecase" => |c| text(c, |s| Ok(s.apply_into_string_amortized(titlecase)));
    ESCAPE_REGEX = "str.escape_regex" => |c| text(c, |s| Ok(s.str_escape_regex()));
    CONCAT = "concat_str", of_many() => concat;
}

/// Inputs have the same length or length 1, which kernels of polars do not all check.
pub(super) fn check_lengths(inputs: &[Column]) -> PolarsResult<()> {
    let height = height(inputs);
    for input in inputs {
        polars_ensure!(
            input.len() == 1 || input.len() == height,
            ShapeMismatch: "got {} values for {height} rows", input.len()
        );
    }
    Ok(())
}

fn text<C: IntoColumn>(
    inputs: &[Column],
    function: impl Fn(&StringChunked) -> PolarsResult<C>,
) -> PolarsResult<Column> {
    check_lengths(inputs)?;
    column(function(inputs[0].str()?))
}

pub(super) fn texts<C: IntoColumn>(
    inputs: &[Column],
    function: impl Fn(&StringChunked, &StringChunked) -> PolarsResult<C>,
) -> PolarsResult<Column> {
    check_lengths(inputs)?;
    let other = as_text(&inputs[1])?;
    column(function(inputs[0].str()?, other.str()?))
}

/// A missing pattern is a missing text.
fn as_text(pattern: &Column) -> PolarsResult<Column> {
    if pattern.dtype().is_null() { pattern.cast(&DataType::String) } else { Ok(pattern.clone()) }
}

/// Inputs are the texts, the pattern, and whether it is a text and not a regular expression.
fn count_matches(inputs: &[Column]) -> PolarsResult<Column> {
    check_lengths(inputs)?;
    let (texts, pattern, literal) = (inputs[0].str()?, as_text(&inputs[1])?, boolean(&inputs[2])?);
    let pattern = pattern.str()?;
    if pattern.len() != 1 {
        let texts = broadcast(&inputs[0], pattern.len());
        return column(texts.str()?.count_matches_many(pattern, literal));
    }
    match pattern.get(0) {
        Some(pattern) => column(texts.count_matches(pattern, literal)),
        None => Ok(Column::full_null(texts.name().clone(), texts.len(), &DataType::UInt32)),
    }
}

/// Inputs are the texts, the pattern, and the number of the group.
fn extract(inputs: &[Column]) -> PolarsResult<Column> {
    check_lengths(inputs)?;
    let group = usize::try_from(super::window::offset(&inputs[2])?).unwrap_or(0);
    column(inputs[0].str()?.extract(as_text(&inputs[1])?.str()?, group))
}

fn extract_all(inputs: &[Column]) -> PolarsResult<Column> {
    check_lengths(inputs)?;
    let (texts, pattern) = (inputs[0].str()?, as_text(&inputs[1])?);
    let pattern = pattern.str()?;
    if pattern.len() != 1 {
        let texts = broadcast(&inputs[0], pattern.len());
        return column(texts.str()?.extract_all_many(pattern));
    }
    match pattern.get(0) {
        Some(pattern) => column(texts.extract_all(pattern)),
        None => {
            let dtype = DataType::List(Box::new(DataType::String));
            Ok(Column::full_null(texts.name().clone(), texts.len(), &dtype))
        }
    }
}

/// Inputs are the texts, the pattern, what comes in its place, and whether the pattern is a text.
fn replace(inputs: &[Column], all: bool) -> PolarsResult<Column> {
    let (texts, literal) = (inputs[0].str()?, boolean(&inputs[3])?);
    let (pattern, value) = (inputs[1].str()?, inputs[2].str()?);
    polars_ensure!(
        pattern.len() == 1 && value.len() == 1,
        InvalidOperation: "what is replaced and what comes in its place must be one text for all rows"
    );
    let (Some(pattern), Some(value)) = (pattern.get(0), value.get(0)) else {
        polars_core::error::polars_bail!(InvalidOperation: "null can't be replaced in texts");
    };
    column(match (all, literal) {
        (true, true) => texts.replace_literal_all(pattern, value),
        (true, false) => texts.replace_all(pattern, value),
        (false, true) => texts.replace_literal(pattern, value, 1),
        (false, false) => texts.replace(pattern, value),
    })
}

/// Adds `text` with the first letter of each run of letters in upper case, and the others in lower case.
fn titlecase(text: &str, title: &mut String) {
    let mut is_first = true;
    for c in text.to_lowercase().chars() {
        if is_first {
            // Of a letter that becomes two, the second one is no first letter.
            let mut upper = c.to_uppercase();
            title.extend(upper.next());
            title.extend(upper.flat_map(char::to_lowercase));
        } else {
            title.push(c);
        }
        is_first = !c.is_alphabetic();
    }
}

/// Inputs are the texts, the length, and the character.
fn pad(
    inputs: &[Column],
    function: impl Fn(&StringChunked, &polars_core::prelude::UInt64Chunked, char) -> StringChunked,
) -> PolarsResult<Column> {
    check_lengths(inputs)?;
    let length = inputs[1].strict_cast(&DataType::UInt64)?;
    let fill = inputs[2].str()?.get(0).and_then(|text| text.chars().next()).unwrap_or(' ');
    Ok(function(inputs[0].str()?, length.u64()?, fill).into_column())
}

/// The last two inputs are the separator, and whether nulls are left out.
fn concat(inputs: &[Column]) -> PolarsResult<Column> {
    check_lengths(inputs)?;
    let (separator, ignore_nulls) = (inputs[inputs.len() - 2].clone(), &inputs[inputs.len() - 1]);
    let texts = inputs[..inputs.len() - 2].iter().map(|input| input.cast(&DataType::String));
    let texts = texts.collect::<PolarsResult<Vec<_>>>()?;
    let texts = texts.iter().map(Column::str).collect::<PolarsResult<Vec<_>>>()?;
    let separator = separator.str()?.get(0).unwrap_or("");
    column(polars_ops::chunked_array::hor_str_concat(&texts, separator, boolean(ignore_nulls)?))
}

/// The values of several columns as one text, with `separator` between them.
///
/// A null makes the result null, or is left out if `ignore_nulls`.
///
/// ```
/// use dask_rs::frame::concat_str;
/// let name = concat_str(["first", "last"], " ", true).alias("name");
/// ```
pub fn concat_str(exprs: impl IntoExprs, separator: &str, ignore_nulls: bool) -> Expr {
    let mut inputs = exprs.into_exprs();
    inputs.extend([lit(separator), lit(ignore_nulls)]);
    Expr::call(&CONCAT, inputs)
}

/// The functions of texts, see [`Expr::str`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens until one of the methods is called"]
pub struct StringNameSpace(pub(super) Expr);

impl Expr {
    /// Functions of texts. Patterns are regular expressions of the `regex` crate unless the method says *literal*; a
    /// pattern can be a text or an expression.
    ///
    /// ```
    /// use dask_rs::frame::col;
    /// let promo = col("p_type").str().starts_with("PROMO");
    /// let country = col("phone").str().slice(0, Some(2));
    /// let number = col("id").str().extract(r"#(\d+)", 1);
    /// ```
    pub fn str(&self) -> StringNameSpace {
        StringNameSpace(self.clone())
    }
}

impl StringNameSpace {
    pub(super) fn with(
        &self,
        function: &'static Function,
        more: impl IntoIterator<Item = Expr>,
    ) -> Expr {
        Expr::call(function, std::iter::once(self.0.clone()).chain(more).collect())
    }

    /// The length in bytes.
    pub fn len_bytes(&self) -> Expr {
        self.with(&LEN_BYTES, [])
    }

    /// The length in characters, that is Unicode scalar values.
    pub fn len_chars(&self) -> Expr {
        self.with(&LEN_CHARS, [])
    }

    /// In lower case.
    pub fn to_lowercase(&self) -> Expr {
        self.with(&TO_LOWERCASE, [])
    }

    /// In upper case.
    pub fn to_uppercase(&self) -> Expr {
        self.with(&TO_UPPERCASE, [])
    }

    /// The first letter of each run of letters in upper case, the others in lower case.
    pub fn to_titlecase(&self) -> Expr {
        self.with(&TO_TITLECASE, [])
    }

    /// With a backslash before all that means something else in a pattern.
    pub fn escape_regex(&self) -> Expr {
        self.with(&ESCAPE_REGEX, [])
    }

    /// Whether the pattern is found.
    pub fn contains(&self, pattern: impl Literal) -> Expr {
        self.with(&CONTAINS, [pattern.lit()])
    }

    /// Whether the text `part` is found.
    pub fn contains_literal(&self, part: impl Literal) -> Expr {
        self.with(&CONTAINS_LITERAL, [part.lit()])
    }

    /// Whether one of the texts `parts` is found.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let frame = DataFrame::from_polars(&df!["s" => ["a.b", "ab", "c"]]?, 2);
    /// let out = frame.filter(col("s").str().contains_any([".", "c"])).compute()?;
    /// assert!(out.equals(&df!["s" => ["a.b", "c"]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn contains_any<T: AsRef<str>>(&self, parts: impl IntoIterator<Item = T>) -> Expr {
        let parts = parts.into_iter().map(|part| regex::escape(part.as_ref()));
        let pattern = parts.collect::<Vec<_>>().join("|");
        // No character is in this class.
        self.contains(if pattern.is_empty() { "[a&&b]" } else { &pattern })
    }

    /// Whether the text begins with `prefix`.
    pub fn starts_with(&self, prefix: impl Literal) -> Expr {
        self.with(&STARTS_WITH, [prefix.lit()])
    }

    /// Whether the text ends with `suffix`.
    pub fn ends_with(&self, suffix: impl Literal) -> Expr {
        self.with(&ENDS_WITH, [suffix.lit()])
    }

    /// The byte at which the pattern is found first, or null.
    pub fn find(&self, pattern: impl Literal) -> Expr {
        self.with(&FIND, [pattern.lit()])
    }

    /// The byte at which the text `part` is found first, or null.
    pub fn find_literal(&self, part: impl Literal) -> Expr {
        self.with(&FIND_LITERAL, [part.lit()])
    }

    /// How often the pattern is found; it is a text if `literal`.
    pub fn count_matches(&self, pattern: impl Literal, literal: bool) -> Expr {
        self.with(&COUNT_MATCHES, [pattern.lit(), lit(literal)])
    }

    /// What a group of the pattern matches first, or null; group 0 is the whole pattern.
    pub fn extract(&self, pattern: impl Literal, group: u32) -> Expr {
        self.with(&EXTRACT, [pattern.lit(), lit(group)])
    }

    /// All that the pattern matches, as a list.
    pub fn extract_all(&self, pattern: impl Literal) -> Expr {
        self.with(&EXTRACT_ALL, [pattern.lit()])
    }

    /// `value` in place of the first match. The pattern is a text if `literal`; otherwise `value` may name groups, as `$1`.
    pub fn replace(&self, pattern: impl Literal, value: impl Literal, literal: bool) -> Expr {
        self.with(&REPLACE, [pattern.lit(), value.lit(), lit(literal)])
    }

    /// `value` in place of each match, see [`replace`](Self::replace).
    pub fn replace_all(&self, pattern: impl Literal, value: impl Literal, literal: bool) -> Expr {
        self.with(&REPLACE_ALL, [pattern.lit(), value.lit(), lit(literal)])
    }

    /// Without these characters at both ends; [`null`] stands for white space.
    pub fn strip_chars(&self, characters: impl Literal) -> Expr {
        self.with(&STRIP_CHARS, [characters.lit()])
    }

    /// Without these characters at the start, see [`strip_chars`](Self::strip_chars).
    pub fn strip_chars_start(&self, characters: impl Literal) -> Expr {
        self.with(&STRIP_CHARS_START, [characters.lit()])
    }

    /// Without these characters at the end, see [`strip_chars`](Self::strip_chars).
    pub fn strip_chars_end(&self, characters: impl Literal) -> Expr {
        self.with(&STRIP_CHARS_END, [characters.lit()])
    }

    /// Without `prefix`, if the text begins with it.
    pub fn strip_prefix(&self, prefix: impl Literal) -> Expr {
        self.with(&STRIP_PREFIX, [prefix.lit()])
    }

    /// Without `suffix`, if the text ends with it.
    pub fn strip_suffix(&self, suffix: impl Literal) -> Expr {
        self.with(&STRIP_SUFFIX, [suffix.lit()])
    }

    /// The characters from `offset` on, counted from the end if it is negative: `length` of them, or all.
    pub fn slice(&self, offset: i64, length: Option<u64>) -> Expr {
        self.with(&SLICE, [lit(offset), length.map_or_else(null, lit)])
    }

    /// The first `n` characters, or all but the last `-n`.
    pub fn head(&self, n: i64) -> Expr {
        self.with(&HEAD, [lit(n)])
    }

    /// The last `n` characters, or all but the first `-n`.
    pub fn tail(&self, n: i64) -> Expr {
        self.with(&TAIL, [lit(n)])
    }

    /// `fill` before the text until it has `length` characters.
    pub fn pad_start(&self, length: u64, fill: char) -> Expr {
        self.with(&PAD_START, [lit(length), lit(fill.to_string())])
    }

    /// `fill` behind the text until it has `length` characters.
    pub fn pad_end(&self, length: u64, fill: char) -> Expr {
        self.with(&PAD_END, [lit(length), lit(fill.to_string())])
    }

    /// All texts, or those of a group, as one with `separator` between them; an aggregate. Nulls are left out.
    ///
    /// ```
    /// use dask_rs::frame::{DataFrame, col, polars_core::df};
    /// let rows = df!["k" => [1, 2, 1], "s" => ["a", "b", "c"]]?;
    /// let texts = DataFrame::from_polars(&rows, 3).group_by(["k"]).agg([col("s").str().join("-")]);
    /// assert!(texts.compute()?.equals(&df!["k" => [1, 2], "s" => ["a-c", "b"]]?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self, separator: &str) -> Expr {
        self.0.implode().list().join(separator)
    }

    /// Zeros before the text, but behind its sign, until it has `length` bytes.
    pub fn zfill(&self, length: u64) -> Expr {
        self.with(&ZFILL, [lit(length), lit("0")])
    }
}
