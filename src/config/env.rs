//! Settings from environment variables.

use std::sync::{Mutex, PoisonError};

use super::{Config, ExecutorKind};
use crate::bytes::parse_bytes;
use crate::cache::Cache;
use crate::error::{Call, Error, Result};

#[track_caller]
pub(super) fn from_env() -> Result<Config> {
    from_vars(Call::new("Config::current"), |name| {
        // What is not Unicode is no valid value of any variable, so let it be refused as one.
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    })
}

/// Settings from variables that `var` looks up. Empty ones count as not set.
fn from_vars(call: Call, var: impl Fn(&str) -> Option<String>) -> Result<Config> {
    let reader = Reader { call, var };
    let bytes = "a number of bytes of at least 1, such as \"2 GiB\"";
    let at_least_1 = |text: &str| text.parse::<usize>().ok().filter(|n| *n >= 1);
    let at_least_2 = |text: &str| text.parse::<usize>().ok().filter(|n| *n >= 2);
    let positive_bytes = |text: &str| parse_bytes(text).filter(|bytes| *bytes >= 1);
    let executors = "\"threaded\", \"serial\" or \"seeded:\" and a number";
    Ok(Config {
        memory_limit: reader.get("DASK_RS_MEMORY_LIMIT", bytes, positive_bytes)?,
        threads: reader.get("DASK_RS_THREADS", "a number of at least 1", at_least_1)?,
        chunk_bytes: reader.get("DASK_RS_CHUNK_SIZE", bytes, positive_bytes)?,
        split_every: reader.get("DASK_RS_SPLIT_EVERY", "a number of at least 2", at_least_2)?,
        optimize: reader.get("DASK_RS_OPTIMIZE", "true or false", parse_bool)?,
        executor: reader.get("DASK_RS_EXECUTOR", executors, parse_executor)?,
        spill_directory: reader
            .get("DASK_RS_SPILL_DIRECTORY", "a path", |text| Some(text.into()))?,
        spill_limit: reader.get("DASK_RS_SPILL_LIMIT", "a number of bytes", parse_bytes)?,
        spill_compression: reader.get("DASK_RS_SPILL_COMPRESSION", "true or false", parse_bool)?,
        cache: reader.get("DASK_RS_CACHE_LIMIT", "a number of bytes", parse_bytes)?.map(cache_of),
        progress: reader.get("DASK_RS_PROGRESS", "true or false", parse_bool)?,
        ..Config::default()
    })
}

/// The cache of this process for so many bytes.
fn cache_of(limit: u64) -> Cache {
    static CACHE: Mutex<Option<Cache>> = Mutex::new(None);
    let mut current = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    match &*current {
        Some(cache) if cache.limit() == limit => cache.clone(),
        _ => current.insert(Cache::new(limit)).clone(),
    }
}

struct Reader<F> {
    call: Call,
    var: F,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn get<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = (self.var)(name) else { return Ok(None) };
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::InvalidArgument {
                call: self.call,
                argument: name,
                got: format!("{text:?}"),
                expected,
            }),
        }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn parse_executor(text: &str) -> Option<ExecutorKind> {
    match text.to_ascii_lowercase().as_str() {
        "threaded" => Some(ExecutorKind::Threaded),
        "serial" => Some(ExecutorKind::Serial),
        text => text.strip_prefix("seeded:")?.parse().ok().map(ExecutorKind::Seeded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_pairs(pairs: &[(&str, &str)]) -> Result<Config> {
        from_vars(Call::new("test"), |name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_string())
        })
    }

    #[test]
    fn variables_become_settings() {
        let config = from_pairs(&[
            ("DASK_RS_MEMORY_LIMIT", "8 GiB"),
            ("DASK_RS_THREADS", " 3 "),
            ("DASK_RS_CHUNK_SIZE", ""),
            ("DASK_RS_EXECUTOR", "seeded:42"),
            ("DASK_RS_PROGRESS", "Yes"),
            ("DASK_RS_SPILL_DIRECTORY", "/scratch"),
            ("DASK_RS_SPILL_LIMIT", "0"),
            ("DASK_RS_SPILL_COMPRESSION", "on"),
            ("DASK_RS_CACHE_LIMIT", "1 MiB"),
        ]);
        let config = config.unwrap();
        assert_eq!((config.memory_limit(), config.threads()), (8 << 30, 3));
        assert_eq!(config.chunk_bytes(), 128 << 20);
        assert_eq!(config.executor(), ExecutorKind::Seeded(42));
        assert!(config.progress());
        assert_eq!(config.spill_directory(), std::path::Path::new("/scratch"));
        assert_eq!((config.spill_limit(), config.spill_compression()), (0, true));
        assert_eq!(config.cache().unwrap().limit(), 1 << 20);
    }

    #[test]
    fn a_malformed_variable_is_named() {
        let malformed = [
            ("DASK_RS_MEMORY_LIMIT", "much"),
            ("DASK_RS_MEMORY_LIMIT", "0"),
            ("DASK_RS_THREADS", "0"),
            ("DASK_RS_CHUNK_SIZE", "-1"),
            ("DASK_RS_SPLIT_EVERY", "1"),
            ("DASK_RS_OPTIMIZE", "maybe"),
            ("DASK_RS_EXECUTOR", "seeded:x"),
            ("DASK_RS_PROGRESS", "2"),
            ("DASK_RS_SPILL_LIMIT", "little"),
            ("DASK_RS_CACHE_LIMIT", "-1"),
        ];
        for (name, value) in malformed {
            let error = from_pairs(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }
}
