//! Numbers of bytes as people write them.

/// Powers of ten and of two that a unit may stand for, written without the final `b`.
///
/// There is no decimal exabyte, because `5eB` would read as a broken exponent as well.
const UNITS: [(&str, u64); 12] = [
    ("", 1),
    ("k", 1000),
    ("m", 1000_u64.pow(2)),
    ("g", 1000_u64.pow(3)),
    ("t", 1000_u64.pow(4)),
    ("p", 1000_u64.pow(5)),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
    ("pi", 1 << 50),
    ("ei", 1 << 60),
];

/// The bytes that a text such as `"16 MiB"`, `"1.5kB"` or `"1e6"` means.
///
/// Units are SI or binary, in any case, and the `B` may be left out. A fraction of a byte is cut
/// off. `None` if the text means no number, or one that is negative or does not fit.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let text = text.to_ascii_lowercase();
    if text.is_empty() {
        return None;
    }
    let (number, unit) = text.split_at(unit_start(&text));
    let unit = unit.strip_suffix('b').unwrap_or(unit);
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let number = if number.is_empty() { "1" } else { number };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    // 2^64 is the first float that is too large; the comparison also refuses NaN.
    (0.0..18_446_744_073_709_551_616.0).contains(&bytes).then_some(bytes as u64)
}

/// Where the letters at the end of a text start.
fn unit_start(text: &str) -> usize {
    text.rfind(|c: char| !c.is_ascii_alphabetic())
        .map_or(0, |last| last + text[last..].chars().next().map_or(0, char::len_utf8))
}

/// A number of bytes for people, in binary units with two decimals: `"1.50 MiB"`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    const NAMES: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut name = NAMES[0];
    for next in &NAMES[1..] {
        // What would be rounded to 1024.00 is written in the next unit.
        if amount < 1023.995 {
            break;
        }
        amount /= 1024.0;
        name = next;
    }
    format!("{amount:.2} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_si_or_binary() {
        for (text, bytes) in [
            ("16 MiB", 16 << 20),
            ("1.5kB", 1500),
            ("5", 5),
            ("1e3", 1000),
            ("MB", 1_000_000),
            ("1.9", 1),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn nonsense_is_none() {
        for text in ["", "5 foos", "-1 kB", "1..5kB", "nan", "inf", "20 EiB", "auto", "1.e", "é"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_print_in_binary_units() {
        assert_eq!(format_bytes(0), "0 B");
        assert_eq!(format_bytes(1023), "1023 B");
        assert_eq!(format_bytes(1536), "1.50 KiB");
        assert_eq!(format_bytes((1 << 20) - 1), "1.00 MiB");
        assert_eq!(format_bytes(u64::MAX), "16.00 EiB");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,12}") {
            let _ = parse_bytes(&text);
        }
    }
}
