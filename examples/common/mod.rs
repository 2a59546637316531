//! What the examples and the memory tests share: options, and the peak memory of this process.
#![allow(dead_code, reason = "each program uses a part")]
#![allow(unreachable_pub, reason = "the module is compiled into several programs")]

use std::error::Error;
use std::fmt;
use std::fs;

/// What `main` of an example returns: an error that is shown as its message.
pub struct Failure(Box<dyn Error>);

/// `main` prints its error with `Debug`, so this is the message that people should see.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.into())
    }
}

/// The words after the program's name: values of `--options`, and the rest.
pub struct Options {
    words: Vec<String>,
}

impl Options {
    pub fn from_args() -> Self {
        Options { words: std::env::args().skip(1).collect() }
    }

    /// Takes `--name value`, if it is there.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let Some(at) = self.words.iter().position(|word| word == name) else { return Ok(None) };
        if at + 1 >= self.words.len() {
            return Err(format!("{name} needs a value").into());
        }
        let value = self.words.remove(at + 1);
        self.words.remove(at);
        Ok(Some(value))
    }

    /// Takes `--name`, if it is there.
    pub fn take_flag(&mut self, name: &str) -> bool {
        let at = self.words.iter().position(|word| word == name);
        at.map(|at| self.words.remove(at)).is_some()
    }

    /// Takes `--name value` as a number of bytes such as `256 MiB`.
    pub fn take_bytes(&mut self, name: &str, default: u64) -> Result<u64, Failure> {
        let Some(text) = self.take(name)? else { return Ok(default) };
        let bytes = parse_bytes(&text).ok_or_else(|| format!("{name} {text}: no number of bytes"));
        Ok(bytes?)
    }

    /// Takes `--name value` as a number that is greater than zero.
    pub fn take_factor(&mut self, name: &str, default: f64) -> Result<f64, Failure> {
        let Some(text) = self.take(name)? else { return Ok(default) };
        match text.parse() {
            Ok(factor) if factor > 0.0 => Ok(factor),
            _ => Err(format!("{name} {text}: expected a number greater than 0").into()),
        }
    }

    /// Takes the word that is left, if there is one, and refuses more.
    pub fn finish(mut self, usage: &str) -> Result<Option<String>, Failure> {
        let rest = self.words.pop();
        match (&rest, self.words.first()) {
            (Some(word), _) if word.starts_with('-') => Err(format!("{word}?\n{usage}").into()),
            (_, Some(word)) => Err(format!("{word}?\n{usage}").into()),
            _ => Ok(rest),
        }
    }
}

/// A number of bytes, with or without a binary unit.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace());
    let units = ["", "KiB", "MiB", "GiB", "TiB"];
    let unit = units.iter().position(|unit| text[digits.len()..].trim() == *unit)?;
    let number = digits.trim().parse::<f64>().ok().filter(|number| *number >= 0.0)?;
    Some((number * 1024_f64.powi(unit as i32)) as u64)
}

/// `bytes` for people.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Bytes a second for people.
pub fn rate(bytes: u64, seconds: f64) -> String {
    format!("{:.2} GB/s", bytes as f64 / 1e9 / seconds)
}

/// How much more memory than at its start the process has used.
pub struct PeakMemory {
    baseline: u64,
}

impl PeakMemory {
    /// Starts with what the process has now, and forgets earlier peaks where Linux allows that.
    pub fn start() -> Self {
        let peak = PeakMemory { baseline: status_bytes("VmRSS").unwrap_or(0) };
        peak.forget();
        peak
    }

    /// Forgets the peak so far; the baseline stays.
    pub fn forget(&self) {
        // Where it is forbidden, the next peaks include the earlier ones, which is still a bound.
        let _ = fs::write("/proc/self/clear_refs", "5");
    }

    /// The largest number of resident bytes since the last [`forget`](Self::forget), without the baseline;
    /// `None` where the system does not tell.
    pub fn bytes(&self) -> Option<u64> {
        Some(status_bytes("VmHWM")?.saturating_sub(self.baseline))
    }
}

/// A line of `/proc/self/status`.
fn status_bytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}
