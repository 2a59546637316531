//! Which store a URL means, with which settings.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{Error as StoreError, ObjectStore, RetryConfig};

use super::location::{Location, split_url};
use super::object::{Object, Store};
use crate::error::{Call, Error, Result};

/// How a store is asked. What is not set here comes from the environment, under the names that the tools of each
/// store read (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
///
/// # Example
/// ```
/// use dask_rs::cloud::{self, StoreOptions};
/// let minio = StoreOptions::new()
///     .with("endpoint", "http://localhost:9000")
///     .with("allow_http", "true")
///     .with("access_key_id", "minio")
///     .with("secret_access_key", "secret")
///     .retries(3);
/// cloud::register("s3://measurements", minio)?;
/// // Paths such as s3://measurements/2024/*.parquet are read from there now.
/// # cloud::unregister("s3://measurements");
/// # Ok::<(), dask_rs::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct StoreOptions {
    settings: Vec<(String, String)>,
    retries: usize,
    timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        let (settings, timeout) = (Vec::new(), Duration::from_secs(180));
        StoreOptions { settings, retries: 3, timeout }
    }
}

/// Without the values, which may be secrets.
impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.settings.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("StoreOptions")
            .field("settings", &names)
            .field("retries", &self.retries)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl StoreOptions {
    /// The defaults: the environment, three retries, and 180 seconds for a request with them.
    pub fn new() -> Self {
        StoreOptions::default()
    }

    /// Sets one setting by the name that `object_store` gives it: `region`, `endpoint`, `access_key_id`,
    /// `secret_access_key`, `session_token`, `allow_http`, `proxy_url` and so on.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into().to_ascii_lowercase(), value.into()));
        self
    }

    /// Signs nothing: for buckets that anybody may read.
    pub fn anonymous(self) -> Self {
        self.with("skip_signature", "true")
    }

    /// How often a request that the server could not fulfil is tried again, later each time.
    pub fn retries(mut self, n: usize) -> Self {
        self.retries = n;
        self
    }

    /// How long a request may take, with all that is tried again in it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn retry(&self) -> RetryConfig {
        let (max_retries, retry_timeout) = (self.retries, self.timeout);
        RetryConfig { max_retries, retry_timeout, ..RetryConfig::default() }
    }
}

/// Asks stores whose URLs begin with `prefix`, such as `s3://bucket`, with these options from now on. What is open already
/// stays as it is. Of several prefixes that fit, the longest counts.
///
/// # Errors
/// [`Error::InvalidArgument`] if the prefix is no URL.
#[track_caller]
pub fn register(prefix: &str, options: StoreOptions) -> Result<()> {
    insert(Call::new("register"), prefix, Entry::Options(options))
}

/// Lets URLs that begin with `prefix` mean objects in a store of yours; the rest of a URL is the key. Workers of a cluster
/// don't have it.
///
/// # Errors
/// [`Error::InvalidArgument`] if the prefix is no URL.
///
/// # Example
/// ```
/// # #[cfg(feature = "frame")] {
/// use std::sync::Arc;
/// use dask_rs::cloud::{self, StoreOptions, object_store::memory::InMemory};
/// use dask_rs::frame::{DataFrame, polars_core::df};
///
/// cloud::register_store("test://data", Arc::new(InMemory::new()), &StoreOptions::new())?;
/// let x = df!["a" => [1, 2, 3]].unwrap();
/// DataFrame::from_polars(&x, 2).to_parquet("test://data/x")?;
/// assert!(DataFrame::read_parquet("test://data/x/*.parquet").compute()?.equals(&x));
/// # cloud::unregister("test://data");
/// # }
/// # Ok::<(), dask_rs::Error>(())
/// ```
#[track_caller]
pub fn register_store(
    prefix: &str,
    store: Arc<dyn ObjectStore>,
    options: &StoreOptions,
) -> Result<()> {
    let base = Arc::from(prefix.trim_end_matches('/'));
    let store = Store { inner: store, base, limit: options.timeout, is_shared: false };
    insert(Call::new("register_store"), prefix, Entry::Store(store))
}

/// Forgets what was registered for this prefix, and says whether anything was.
pub fn unregister(prefix: &str) -> bool {
    let mut registry = registry();
    registry.built.clear();
    registry.entries.remove(prefix.trim_end_matches('/')).is_some()
}

#[derive(Debug)]
enum Entry {
    Options(StoreOptions),
    Store(Store),
}

#[derive(Debug, Default)]
struct Registry {
    /// What users said, by prefix without a slash at its end.
    entries: HashMap<String, Entry>,
    /// Stores by scheme and host, and by the prefix whose options they have. They keep connections.
    built: HashMap<(String, String), Store>,
}

fn registry() -> MutexGuard<'static, Registry> {
    static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);
    // What is inside is whole after each statement.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn insert(call: Call, prefix: &str, entry: Entry) -> Result<()> {
    if split_url(Path::new(prefix)).is_none() {
        let (argument, got) = ("prefix", format!("{prefix:?}"));
        return Err(Error::InvalidArgument {
            call,
            argument,
            got,
            expected: "a URL such as s3://bucket",
        });
    }
    let mut registry = registry();
    registry.built.clear();
    registry.entries.insert(prefix.trim_end_matches('/').to_string(), entry);
    Ok(())
}

/// The place that a URL names.
pub(super) fn locate(call: Call, path: &Path, scheme: &str, rest: &str) -> Result<Location> {
    let url = path.to_str().unwrap_or_default();
    let invalid = |expected| {
        let (argument, got) = ("path", without_secrets(url));
        Error::InvalidArgument { call, argument, got, expected }
    };
    let mut registry = registry();
    let fits = |prefix: &str| {
        url.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let registered = registry.entries.iter().filter(|(prefix, _)| fits(prefix));
    let registered = registered.max_by_key(|(prefix, _)| prefix.len());
    if let Some((prefix, Entry::Store(store))) = registered {
        let key = key(&url[prefix.len()..]).ok_or_else(|| invalid(KEYS))?;
        return Ok(Location::Object(Object { store: store.clone(), key }));
    }
    if scheme == "file" {
        let rest = rest.strip_prefix("localhost").unwrap_or(rest);
        let key = Key::from_url_path(rest).ok().filter(|_| rest.starts_with('/'));
        let key = key.ok_or_else(|| invalid("file:///path, with the whole path"))?;
        let root = if cfg!(windows) { "" } else { "/" };
        return Ok(Location::Local(PathBuf::from(format!("{root}{key}"))));
    }
    let (host, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let key = match scheme {
        "http" | "https" if rest.contains('?') => return Err(invalid(NO_QUERY)),
        "http" | "https" if host.contains('@') => {
            return Err(invalid("a URL without a name and a password: use StoreOptions"));
        }
        _ if is_signed(rest) => return Err(invalid(NO_QUERY)),
        "http" | "https" => Key::from_url_path(rest).ok(),
        _ => key(rest),
    };
    let key = key.ok_or_else(|| invalid(KEYS))?;
    let (prefix, options) = match registered {
        Some((prefix, Entry::Options(options))) => (prefix.clone(), options.clone()),
        _ => (String::new(), StoreOptions::default()),
    };
    let base = format!("{scheme}://{host}");
    let built_as = (base.clone(), prefix);
    if let Some(store) = registry.built.get(&built_as) {
        return Ok(Location::Object(Object { store: store.clone(), key }));
    }
    let store = build(call, path, scheme, &base, &options)?;
    if scheme == "memory" {
        // Its content must not go when others register something.
        registry.entries.insert(base, Entry::Store(store.clone()));
    } else {
        registry.built.insert(built_as, store.clone());
    }
    Ok(Location::Object(Object { store, key }))
}

const KEYS: &str = "a key of parts between single slashes, none of them . or ..";

const NO_QUERY: &str =
    "a URL without a query: register_store() takes stores that sign in other ways";

/// Whether there is a query that lets whoever has it in. A question mark alone is a wildcard.
fn is_signed(rest: &str) -> bool {
    const SECRETS: [&str; 4] = ["sig=", "signature=", "x-amz-", "x-goog-"];
    let query = rest.split_once('?').map(|(_, query)| query.to_ascii_lowercase());
    let is_secret = |pair: &str| SECRETS.iter().any(|name| pair.starts_with(name));
    query.is_some_and(|query| query.split('&').any(is_secret))
}

/// A URL as messages may show it: they are logged where those who must not sign in read them.
fn without_secrets(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_string() };
    let (host, key) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // `container@account` is no secret, `name:password@host` is.
    match host.rsplit_once('@') {
        Some((user, host)) if user.contains(':') || scheme.starts_with("http") => {
            format!("{scheme}://{host}{key}")
        }
        _ => url.to_string(),
    }
}

/// A key as it is written, without any escapes: what stores and their tools show.
fn key(text: &str) -> Option<Key> {
    Key::parse(text.trim_matches('/')).ok()
}

fn build(
    call: Call,
    path: &Path,
    scheme: &str,
    base: &str,
    options: &StoreOptions,
) -> Result<Store> {
    macro_rules! configured {
        ($builder:expr) => {{
            let mut builder = $builder.with_url(base).with_retry(options.retry());
            for (name, value) in &options.settings {
                let name = name.parse().map_err(|_| unknown_setting(call, scheme, name))?;
                builder = builder.with_config(name, value);
            }
            let built = builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>);
            built.map_err(|error| refused(call, path, &error))?
        }};
    }
    let inner = match scheme {
        "memory" => Arc::new(InMemory::new()),
        "s3" | "s3a" => configured!(AmazonS3Builder::from_env()),
        "gs" => configured!(GoogleCloudStorageBuilder::from_env()),
        "az" | "azure" | "adl" | "abfs" | "abfss" => configured!(MicrosoftAzureBuilder::from_env()),
        "http" | "https" => {
            let plain = object_store::ClientConfigKey::AllowHttp;
            let is_plain = scheme == "http";
            configured!(HttpBuilder::new().with_config(plain, is_plain.to_string()))
        }
        _ => {
            let (path, feature) = (path.to_path_buf(), format!("{scheme}://"));
            let remedy = "use s3, gs, az, http, https, memory or file, or give a store with register_store()";
            return Err(Error::UnsupportedFile { call, path, feature, remedy });
        }
    };
    // Options of this process, and its memory, are not those of others.
    let is_shared = scheme != "memory" && *options == StoreOptions::default();
    Ok(Store { inner, base: Arc::from(base), limit: options.timeout, is_shared })
}

fn unknown_setting(call: Call, scheme: &str, name: &str) -> Error {
    let got = format!("the setting {name:?} for {scheme}://");
    let expected = "a setting that object_store knows, such as region, endpoint or access_key_id";
    Error::InvalidArgument { call, argument: "options", got, expected }
}

fn refused(call: Call, path: &Path, error: &StoreError) -> Error {
    let fault = super::fault::Fault::of("opening the store", error);
    Error::io(call, path)(fault.into())
}
