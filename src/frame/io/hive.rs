//! Columns that are kept in the names of directories: `year=2020/city=a%20b/part.parquet`.
//!
//! The rules are Hive's: values are percent-encoded, null is `__HIVE_DEFAULT_PARTITION__`, and types are not
//! written down, so that they are inferred from the values of all files.

use std::fmt::Write;
use std::path::{Component, Path};

use polars_core::prelude::{AnyValue, DataType, NamedFrom, PlSmallStr, Scalar, Series};

const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The keys of one file with their values, outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys(Vec<(String, Option<String>)>);

impl Keys {
    /// The keys among the directories of a path; its last component is the file.
    pub(crate) fn of(path: &Path) -> Self {
        let directories = path.parent().unwrap_or(Path::new("")).components();
        let keys = directories.filter_map(|component| match component {
            Component::Normal(name) => {
                let (key, value) = name.to_str()?.split_once('=')?;
                let value = (value != NULL).then(|| decode(value));
                (!key.is_empty()).then(|| (decode(key), value))
            }
            _ => None,
        });
        Keys(keys.collect())
    }
}

/// A column for each key, with a value for each file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hive {
    columns: Vec<Series>,
}

impl Hive {
    /// The columns of files with these keys, which have to be the same in the same order. The error names
    /// a file by its number.
    pub(crate) fn new(files: &[Keys]) -> Result<Self, (usize, String)> {
        let names = |keys: &Keys| keys.0.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        let expected = files.first().map(names).unwrap_or_default();
        for (file, keys) in files.iter().enumerate() {
            let got = names(keys);
            if got != expected {
                let problem = format!("partition keys {got:?}, expected {expected:?} as before");
                return Err((file, problem));
            }
            if let Some(twice) = (1..got.len()).find(|&i| got[..i].contains(&got[i])) {
                return Err((file, format!("partition key {:?} twice", got[twice])));
            }
        }
        let column = |(key, name): (usize, &String)| {
            let values: Vec<_> = files.iter().map(|keys| keys.0[key].1.as_deref()).collect();
            infer(name, &values)
        };
        Ok(Hive { columns: expected.iter().enumerate().map(column).collect() })
    }

    /// The columns, whose rows are the files.
    pub(crate) fn columns(&self) -> &[Series] {
        &self.columns
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name() == name)
    }

    /// The value that a column has in all rows of a file.
    pub(crate) fn value(&self, name: &str, file: usize) -> Option<Scalar> {
        let column = self.columns.iter().find(|column| column.name() == name)?;
        let value = column.get(file).ok()?.into_static();
        Some(Scalar::new(column.dtype().clone(), value))
    }
}

/// Integers if all values are, else dates if all are, else strings.
fn infer(name: &str, values: &[Option<&str>]) -> Series {
    let strings = Series::new(name.into(), values);
    if values.iter().flatten().next().is_none() {
        return strings;
    }
    let integers: Option<Vec<Option<i64>>> =
        values.iter().map(|value| parsed(*value, integer)).collect();
    if let Some(integers) = integers {
        return Series::new(name.into(), integers);
    }
    let days: Option<Vec<Option<i32>>> = values.iter().map(|value| parsed(*value, date)).collect();
    if let Some(days) = days {
        let days = Series::new(name.into(), days);
        return days.cast(&DataType::Date).unwrap_or(strings);
    }
    strings
}

/// None if there is a value that does not parse.
fn parsed<T>(value: Option<&str>, parse: fn(&str) -> Option<T>) -> Option<Option<T>> {
    match value {
        Some(value) => parse(value).map(Some),
        None => Some(None),
    }
}

fn integer(text: &str) -> Option<i64> {
    // `parse` takes a plus sign, which nobody writes for a number.
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// The days since 1970 of `YYYY-MM-DD`.
fn date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    let is_date = bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, byte)| match i {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_date {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468;
    i32::try_from(days).ok()
}

/// The directory name of a value, whose text is what this crate and others read back.
pub(crate) fn directory_name(key: &PlSmallStr, value: &AnyValue<'_>) -> String {
    let value = match (value, value.get_str()) {
        (AnyValue::Null, _) => NULL.to_owned(),
        // Also of a category, which polars shows in quotes.
        (_, Some(text)) => encode(text),
        (value, None) => encode(&value.to_string()),
    };
    format!("{}={value}", encode(key))
}

/// Hive's escapes, and everything that a file system or a reader of the name may take for something else.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() || "\"#%'*/:=?\\{}[]^ <>|".contains(char) {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                let _ = write!(encoded, "%{byte:02X}");
            }
        } else {
            encoded.push(char);
        }
    }
    // An empty string has to differ from nothing, and dots have a meaning when they are alone; neither
    // is alone here, because the key comes before.
    encoded
}

/// Resolves `%41`; what is no valid escape stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%').then(|| bytes.get(i + 1..i + 3)).flatten();
        let hex = |digit: u8| (digit as char).to_digit(16);
        match escaped.and_then(|digits| Some(hex(digits[0])? * 16 + hex(digits[1])?)) {
            Some(byte) => {
                decoded.push(byte as u8);
                i += 3;
            }
            None => {
                decoded.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hive(paths: &[&str]) -> Result<Hive, (usize, String)> {
        let keys: Vec<_> = paths.iter().map(|path| Keys::of(Path::new(path))).collect();
        Hive::new(&keys)
    }

    fn dtype(values: &[&str]) -> DataType {
        let paths: Vec<_> = values.iter().map(|value| format!("k={value}/f")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        hive(&paths).unwrap().columns()[0].dtype().clone()
    }

    #[test]
    fn types_are_inferred_over_all_files() {
        assert_eq!(dtype(&["1", "-2", NULL, "03"]), DataType::Int64);
        assert_eq!(dtype(&["1", "x"]), DataType::String);
        assert_eq!(dtype(&["2020-02-29", NULL]), DataType::Date);
        assert_eq!(dtype(&["2021-02-29"]), DataType::String);
        assert_eq!(dtype(&["1.5"]), DataType::String);
        assert_eq!(dtype(&[NULL]), DataType::String);
        assert_eq!(dtype(&["99999999999999999999"]), DataType::String);
    }

    #[test]
    fn values_belong_to_their_files() {
        let hive = hive(&["a=1/c=x%2Fy/f", "a=__HIVE_DEFAULT_PARTITION__/c=z/g"]).unwrap();
        assert_eq!(hive.value("a", 0).unwrap().value(), &AnyValue::Int64(1));
        assert!(hive.value("a", 1).unwrap().is_null());
        assert_eq!(hive.value("c", 0).unwrap().value().get_str(), Some("x/y"));
        assert!(hive.value("no", 0).is_none());
    }

    #[test]
    fn differing_keys_name_the_file() {
        assert_eq!(hive(&["a=1/f", "a=2/b=1/f"]).unwrap_err().0, 1);
        assert_eq!(hive(&["a=1/a=2/f"]).unwrap_err().0, 0);
    }

    #[test]
    fn dates_are_days_since_1970() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-03-01", 11_017),
            ("0001-01-01", -719_162),
        ] {
            assert_eq!(date(text), Some(days), "{text}");
        }
        assert_eq!(date("2020-13-01"), None);
        assert_eq!(date("2020-1-001"), None);
    }

    #[test]
    fn names_survive_escapes() {
        for text in ["", "a b", "50%", "ü/=é", "a%2Fb", ".."] {
            let name = directory_name(&"k=k".into(), &AnyValue::String(text));
            let keys = Keys::of(&Path::new(&name).join("f"));
            assert_eq!(keys.0, [("k=k".to_string(), Some(text.to_string()))], "{name}");
        }
        assert_eq!(decode("%zz%4"), "%zz%4");
    }
}
