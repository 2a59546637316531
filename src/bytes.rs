//! Numbers of bytes as people write them.

/// The bytes that `text` names, such as `"2 GiB"`, `"1.5e3kB"`, `"100"` or `"MiB"`.
///
/// Units are decimal (`kB`, `M`) or binary (`KiB`, `Mi`) in any case; a fraction of a byte is cut
/// off. `None` if it is not a number of bytes.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let n_letters = text.bytes().rev().take_while(u8::is_ascii_alphabetic).count();
    let (number, unit) = text.split_at(text.len() - n_letters);
    let number = match number {
        "" if unit.is_empty() => return None,
        "" => 1.0,
        number => number.parse::<f64>().ok()?,
    };
    let bytes = number * unit_bytes(unit)?;
    (bytes >= 0.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
}

fn unit_bytes(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (prefix, base) = match unit.strip_suffix('i') {
        Some(prefix) if !prefix.is_empty() => (prefix, 1024_f64),
        _ => (unit, 1000_f64),
    };
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == prefix)?;
    Some(base.powi(power as i32))
}

/// `bytes` in the binary unit that keeps the number short, such as `"1.50 GiB"`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    for (power, unit) in [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        let size = (1_u64 << power) as f64;
        if bytes as f64 >= size * 0.9 {
            return format!("{:.2} {unit}", bytes as f64 / size);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_decimal_or_binary_in_any_case() {
        let cases = [("2 GiB", 2 << 30), ("1.5kb", 1500), ("7e0MB", 7_000_000), ("Mi", 1 << 20)];
        for (text, bytes) in cases {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", " ", "5 foos", "1.2.3", "--5", "-5", "KKiB", "5eMB", "i", "ib", "1e300"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn formatted_bytes_are_short() {
        let cases = [(0, "0 B"), (900, "900 B"), (1 << 10, "1.00 KiB"), (3 << 29, "1.50 GiB")];
        for (bytes, text) in cases {
            assert_eq!(format_bytes(bytes), text);
        }
        assert_eq!(format_bytes(u64::MAX), "16384.00 PiB");
    }

    /// Dask's answers, where they are at hand.
    #[test]
    fn golden() {
        let Ok(lines) = std::fs::read_to_string("/work/shared/golden/parse_bytes.jsonl") else {
            return;
        };
        for line in lines.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = case["text"].as_str().unwrap();
            assert_eq!(parse_bytes(text), case["bytes"].as_u64(), "{line}");
        }
    }
}
