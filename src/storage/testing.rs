//! Stores for tests: in memory, counting what is asked, and failing at the k-th request.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};

use super::{StoreOptions, register_store};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server says no.
    Fails,
    /// A byte is missing at the end.
    IsShort,
    /// Nobody ever answers.
    Hangs,
}

/// A store in memory under a URL of its own, whose k-th request from now on may go wrong.
#[derive(Debug)]
pub(crate) struct TestStore {
    pub(crate) inner: InMemory,
    trouble: Mutex<Option<(usize, Trouble)>>,
    n_requests: AtomicUsize,
    gets: Mutex<Vec<Range<u64>>>,
}

impl TestStore {
    /// A new one, and its URL without a slash at the end. Requests may take 50 milliseconds.
    pub(crate) fn register(name: &str) -> (Arc<Self>, String) {
        let store = Arc::new(TestStore {
            inner: InMemory::new(),
            trouble: Mutex::new(None),
            n_requests: AtomicUsize::new(0),
            gets: Mutex::default(),
        });
        let url = format!("test://{name}");
        let options = StoreOptions::new().timeout(Duration::from_millis(50));
        register_store(&url, Arc::clone(&store) as _, &options).unwrap();
        (store, url)
    }

    /// The k-th request from now on, counted from 0, goes wrong.
    pub(crate) fn set_trouble(&self, trouble: Option<(usize, Trouble)>) {
        self.n_requests.store(0, Ordering::SeqCst);
        *self.trouble.lock().unwrap() = trouble;
    }

    /// How many requests there were since then.
    pub(crate) fn n_requests(&self) -> usize {
        self.n_requests.load(Ordering::SeqCst)
    }

    /// The ranges that were read since the last call.
    pub(crate) fn take_gets(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.gets.lock().unwrap())
    }

    /// The keys that there are.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listed = self.inner.list(None).map(|meta| meta.unwrap().location.to_string());
        let mut keys = super::io_thread::wait(listed.collect::<Vec<_>>()).unwrap();
        keys.sort();
        keys
    }

    /// The object of a key.
    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        let at_once = "memory is there at once";
        let found = self.inner.get(&Key::from(key)).now_or_never().expect(at_once).unwrap();
        found.bytes().now_or_never().expect(at_once).unwrap().to_vec()
    }

    /// Puts an object in the place of another.
    pub(crate) fn replace(&self, key: &str, bytes: Vec<u8>) {
        let put = self.inner.put(&Key::from(key), bytes.into()).now_or_never();
        put.expect("memory is there at once").unwrap();
    }

    async fn trouble(&self) -> Result<bool> {
        let k = self.n_requests.fetch_add(1, Ordering::SeqCst);
        let trouble = *self.trouble.lock().unwrap();
        match trouble {
            Some((at, trouble)) if at == k => match trouble {
                Trouble::Fails => Err(Error::Generic { store: "test", source: "trouble".into() }),
                Trouble::IsShort => Ok(true),
                Trouble::Hangs => std::future::pending().await,
            },
            _ => Ok(false),
        }
    }
}

impl fmt::Display for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

#[async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(
        &self,
        key: &Key,
        data: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.trouble().await?;
        self.inner.put_opts(key, data, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Key,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.trouble().await?;
        let inner = self.inner.put_multipart_opts(key, options).await?;
        let trouble = *self.trouble.lock().unwrap();
        let k = self.n_requests.fetch_add(1, Ordering::SeqCst);
        let fails = trouble.is_some_and(|(at, _)| at == k);
        Ok(Box::new(TestUpload { inner, fails }))
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        let is_short = self.trouble().await?;
        let is_head = options.head;
        let mut answer = self.inner.get_opts(key, options).await?;
        if !is_head {
            self.gets.lock().unwrap().push(answer.range.clone());
        }
        if is_short && !is_head {
            let (meta, range) = (answer.meta.clone(), answer.range.clone());
            let (attributes, extensions) = (answer.attributes.clone(), answer.extensions.clone());
            let bytes = answer.bytes().await?;
            let bytes = bytes.slice(..bytes.len().saturating_sub(1));
            let payload = GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed());
            answer = GetResult { payload, meta, range, attributes, extensions };
        }
        Ok(answer)
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Key>>,
    ) -> BoxStream<'static, Result<Key>> {
        self.inner.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        let k = self.n_requests.fetch_add(1, Ordering::SeqCst);
        match *self.trouble.lock().unwrap() {
            Some((at, Trouble::Fails)) if at == k => {
                let error = Error::Generic { store: "test", source: "trouble".into() };
                stream::iter([Err(error)]).boxed()
            }
            Some((at, Trouble::Hangs)) if at == k => stream::pending().boxed(),
            _ => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Parts of an object, of which one may go wrong.
#[derive(Debug)]
struct TestUpload {
    inner: Box<dyn MultipartUpload>,
    fails: bool,
}

#[async_trait]
impl MultipartUpload for TestUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if self.fails {
            let error = Error::Generic { store: "test", source: "trouble".into() };
            return Box::pin(async { Err(error) });
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
