//! Objects in stores, as calls that block.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as Key;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, PutOptions, Result as StoreResult,
};

use super::fault::Fault;
use super::io_thread::wait;
use super::readable::FoundFile;

/// Requests of one call that are on their way at once.
const PARALLEL: usize = 16;

/// All of an object.
pub(crate) const GET_ALL: GetRange = GetRange::Offset(0);

/// A store, under the URL that its root has.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) base: Arc<str>,
    /// How long a request may take, with all that is tried again in it.
    pub(super) limit: Duration,
    /// Whether another process finds the same under the same URL.
    pub(super) is_shared: bool,
}

impl Store {
    /// Waits no longer than the limit, and names what was done.
    pub(super) async fn asked<T>(
        &self,
        action: impl Fn() -> String,
        request: impl Future<Output = StoreResult<T>>,
    ) -> io::Result<T> {
        match tokio::time::timeout(self.limit, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Fault::of(action(), &error).into()),
            Err(_) => Err(Fault::timed_out(action(), self.limit).into()),
        }
    }
}

/// A key in a store, or where several keys begin.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(super) store: Store,
    pub(super) key: Key,
}

/// Some bytes of an object.
pub(super) struct Request {
    pub(super) object: Object,
    pub(super) version: Option<String>,
    pub(super) range: Range<u64>,
}

/// Gets all of these, several at once; the answers are in the order of the requests.
pub(super) fn fetch(requests: Vec<Request>) -> io::Result<Vec<io::Result<Bytes>>> {
    wait(async move {
        let answers = requests.into_iter().map(async |Request { object, version, range }| {
            if range.is_empty() {
                return Ok(Bytes::new());
            }
            let n = range.end - range.start;
            let bytes = object.get(GetRange::Bounded(range.clone()), version, n).await?;
            if bytes.len() as u64 == n {
                return Ok(bytes);
            }
            Err(Fault::short(reading(&GetRange::Bounded(range)), bytes.len() as u64, n).into())
        });
        let answers: Vec<_> = answers.collect();
        stream::iter(answers).buffered(PARALLEL).collect().await
    })
}

fn reading(range: &GetRange) -> String {
    match range {
        GetRange::Bounded(range) => format!("reading bytes {}..{}", range.start, range.end),
        GetRange::Offset(0) => "reading it".to_string(),
        GetRange::Offset(start) => format!("reading from byte {start}"),
        GetRange::Suffix(n) => format!("reading the last {n} bytes"),
    }
}

impl Object {
    /// How errors call it.
    pub(crate) fn url(&self) -> PathBuf {
        PathBuf::from(format!("{}/{}", self.store.base, self.key))
    }

    /// Whether another process finds the same under the same URL.
    pub(crate) fn is_shared(&self) -> bool {
        self.store.is_shared
    }

    /// What has this key and a name below it, which may have several parts.
    pub(crate) fn below(&self, name: &str) -> Object {
        self.with_key(&if self.key.is_root() {
            name.to_string()
        } else {
            format!("{}/{name}", self.key)
        })
    }

    /// The object of this store, or what is below it, whose URL this is.
    #[cfg(any(feature = "frame", feature = "image"))]
    pub(crate) fn up_to(&self, url: &std::path::Path) -> Object {
        // By components: two slashes may have become one.
        let below = url.strip_prefix(self.store.base.as_ref()).unwrap_or(std::path::Path::new(""));
        self.with_key(
            &below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"),
        )
    }

    /// Keys are as they are written; what no key can be finds nothing.
    fn with_key(&self, text: &str) -> Object {
        let key = Key::parse(text).unwrap_or_else(|_| Key::from(text));
        Object { store: self.store.clone(), key }
    }

    fn found(&self, meta: ObjectMeta) -> FoundFile {
        // A weak tag may stay the same while bytes change, and is no condition that servers take.
        let version = meta.e_tag.filter(|tag| !tag.starts_with("W/"));
        let object = Object { store: self.store.clone(), key: meta.location };
        let path = object.url();
        FoundFile {
            #[cfg(feature = "frame")]
            version: version.as_ref().map(|tag| format!("{} {tag}", path.display()).into()),
            path,
            bytes: meta.size,
            object: Some((object, version)),
        }
    }

    /// The object with just this key.
    pub(crate) fn head(&self) -> io::Result<Option<FoundFile>> {
        if self.key.is_root() {
            return Ok(None);
        }
        let object = self.clone();
        wait(async move {
            let options = GetOptions::new().with_head(true);
            let head = object.store.inner.get_opts(&object.key, options);
            let found = object.store.asked(|| "looking for it".into(), head).await;
            absent_is_none(found.map(|result| object.found(result.meta)))
        })?
    }

    /// All objects below this key, in no order.
    pub(crate) fn list(&self) -> io::Result<Vec<FoundFile>> {
        let object = self.clone();
        wait(async move {
            let prefix = (!object.key.is_root()).then_some(&object.key);
            let listed = object.store.inner.list(prefix).map_ok(|meta| object.found(meta));
            object.store.asked(|| "listing what is below it".into(), listed.try_collect()).await
        })?
    }

    /// Whether there are bytes with this key, or anything below it.
    pub(crate) fn is_taken(&self) -> io::Result<bool> {
        // An object without bytes may stand for a directory in which there is nothing.
        Ok(self.head()?.is_some_and(|found| found.bytes > 0) || self.has_below()?)
    }

    /// Whether there is anything below this key.
    pub(super) fn has_below(&self) -> io::Result<bool> {
        let object = self.clone();
        wait(async move {
            let prefix = (!object.key.is_root()).then_some(&object.key);
            let is_below = |meta: &ObjectMeta| meta.location != object.key;
            let listed = object.store.inner.list(prefix);
            let mut listed = listed.try_filter(|meta| std::future::ready(is_below(meta)));
            let first = object.store.asked(|| "looking below it".into(), listed.try_next()).await;
            match first {
                // A plain web server can't tell.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
                first => Ok(first?.is_some()),
            }
        })?
    }

    /// Some ranges of an object that is there; an object of more than `bytes_max` bytes is an error.
    pub(crate) fn read(
        &self,
        ranges: &[GetRange],
        bytes_max: u64,
    ) -> io::Result<Option<Vec<Bytes>>> {
        let (object, ranges) = (self.clone(), ranges.to_vec());
        wait(async move {
            let answers = ranges.into_iter().map(|range| object.get(range, None, bytes_max));
            let answers: Vec<_> = answers.collect();
            absent_is_none(stream::iter(answers).buffered(PARALLEL).try_collect().await)
        })?
    }

    async fn get(
        &self,
        range: GetRange,
        version: Option<String>,
        bytes_max: u64,
    ) -> io::Result<Bytes> {
        let action = || reading(&range);
        let options =
            GetOptions::new().with_range(Some(range.clone()).filter(|range| *range != GET_ALL));
        let request = async {
            let options = options.with_if_match(version);
            let answer = self.store.inner.get_opts(&self.key, options).await?;
            let expected = answer.range.end.saturating_sub(answer.range.start);
            if expected > bytes_max {
                return Ok(Err(Fault::short(action(), expected, bytes_max)));
            }
            let bytes = answer.bytes().await?;
            let got = bytes.len() as u64;
            Ok(if got == expected { Ok(bytes) } else { Err(Fault::short(action(), got, expected)) })
        };
        Ok(self.store.asked(action, request).await??)
    }

    /// Writes an object, which appears whole or not at all.
    pub(crate) fn put(&self, bytes: Bytes) -> io::Result<()> {
        let object = self.clone();
        wait(async move {
            let action = || format!("writing {} bytes", bytes.len());
            let (store, options) = (&object.store.inner, PutOptions::default());
            let put = store.put_opts(&object.key, bytes.clone().into(), options);
            object.store.asked(action, put).await.map(drop)
        })?
    }

    /// Removes these objects. One that is not there any more is no error.
    pub(crate) fn delete(objects: impl IntoIterator<Item = Object>) -> io::Result<()> {
        let objects: Vec<Object> = objects.into_iter().collect();
        let Some(store) = objects.first().map(|object| object.store.clone()) else { return Ok(()) };
        wait(async move {
            let keys: Vec<_> = objects.into_iter().map(|object| Ok(object.key)).collect();
            let mut deleted = store.inner.delete_stream(stream::iter(keys).boxed());
            loop {
                let next =
                    store.asked(|| "removing what was there".into(), deleted.try_next()).await;
                if let Some(None) = absent_is_none(next)? {
                    return Ok(());
                }
            }
        })?
    }
}

impl FoundFile {
    /// The object, if it is none of this machine.
    pub(crate) fn object(&self) -> Option<&Object> {
        self.object.as_ref().map(|(object, _)| object)
    }
}

fn absent_is_none<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}
