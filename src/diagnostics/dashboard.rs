//! A page in the browser that shows what runs, while it runs.
//!
//! Read-only. It stands on the loopback interface unless a token is given, and then everything asks for the token.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

use super::delta::{Cursor, delta};
use super::json::Text;
use super::page;
use super::profile::{Profile, Shared};
use crate::error::{Call, Error, Result};
use crate::observe::{Watch, now_ns, watch_all};

/// The port of [`Dashboard::start`], as Dask's.
const PORT: u16 = 8787;
const TOKEN_CHARS_MIN: usize = 16;

/// What the browser is told along with everything: run nothing and load nothing from elsewhere, keep nothing, and pass no
/// address on, which may hold a token.
const HEADERS: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

/// A page in the browser that shows what this process computes from now on, until this is dropped.
///
/// It has the task stream, the progress of each operation, memory against the limit, the runs and their graphs, as
/// a [`Profile`]'s report. A thread of its own serves it; tasks go on as they do with a profile.
///
/// # Security
/// Nothing can be changed through it. On a loopback address every user of this machine can read it, but no web page
/// that you visit can: requests under foreign host names are refused. On other addresses it asks for a token. Nothing is encrypted.
///
/// # Example
/// ```
/// use dask_rs::{diagnostics::Dashboard, prelude::*};
/// let dashboard = Dashboard::bind("127.0.0.1:0")?;
/// println!("{}", dashboard.url());
/// array::ones::<f64>([1000, 1000], [100, 100]).sum(..).compute()?;
/// assert_eq!(dashboard.profile().runs().len(), 1);
/// # Ok::<(), Error>(())
/// ```
pub struct Dashboard {
    address: SocketAddr,
    url: String,
    profile: Profile,
    watch: Option<Watch>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Dashboard {
    /// A page at port 8787 of this machine, or at any free one if that is taken.
    ///
    /// # Errors
    /// [`Error::Io`] if no port can be had.
    #[track_caller]
    pub fn start() -> Result<Self> {
        let call = Call::new("Dashboard::start");
        let addresses = [PORT, 0].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        Dashboard::serve(call, &addresses[..], None)
    }

    /// A page at a loopback address. With port 0 the system chooses one; see [`url`](Self::url).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if other machines can reach the address, which takes a
    /// [token](Self::bind_with_token); [`Error::Io`] if it can't be had.
    #[track_caller]
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self> {
        Dashboard::serve(Call::new("Dashboard::bind"), address, None)
    }

    /// A page at any address, for those who know `token`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a token of less than 16 letters, digits and `-._~`; [`Error::Io`] if the address can't be
    /// had.
    #[track_caller]
    pub fn bind_with_token(address: impl ToSocketAddrs, token: impl Into<String>) -> Result<Self> {
        let (call, token) = (Call::new("Dashboard::bind_with_token"), token.into());
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        if token.len() < TOKEN_CHARS_MIN || !token.chars().all(is_allowed) {
            return Err(Error::InvalidArgument {
                call,
                argument: "token",
                got: format!("{} characters", token.chars().count()),
                expected: "at least 16 letters, digits and -._~",
            });
        }
        Dashboard::serve(call, address, Some(token))
    }

    /// Where the page is, with its token if it has one.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as data.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    fn serve(call: Call, address: impl ToSocketAddrs, token: Option<String>) -> Result<Self> {
        let failed = |error| Error::io(call, Path::new("the address of the dashboard"))(error);
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if token.is_none() && !address.ip().is_loopback() {
            return Err(Error::InvalidArgument {
                call,
                argument: "address",
                got: address.to_string(),
                expected: "a loopback address, or a token with bind_with_token()",
            });
        }
        let url = match &token {
            Some(token) => format!("http://{address}/?token={token}"),
            None => format!("http://{address}/"),
        };
        let profile = Profile::new();
        let program = format!("{}-{}", std::process::id(), now_ns());
        let site = Site { shared: profile.shared(), token, program };
        let (stop, stopped) = oneshot::channel();
        let thread = start_server(listener, Arc::new(site), stopped).map_err(failed)?;
        let watch = Some(watch_all(profile.observer()));
        Ok(Dashboard { address, url, profile, watch, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.watch = None;
        // Whoever stopped to listen has ended already.
        self.stop.take().map(|stop| stop.send(()));
        // A panic of the server harms nobody else.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Serves on a thread until something is received. Connections end with it.
fn start_server(
    listener: TcpListener,
    site: Arc<Site>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let listener = {
        let _in_runtime = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let work = move || {
        let server = axum::serve(listener, router(site));
        runtime.spawn(async move { server.await });
        // An error is that of a dashboard that was dropped.
        let _ = runtime.block_on(stopped);
    };
    #[expect(clippy::disallowed_methods, reason = "it waits for sockets and computes nothing")]
    Builder::new().name("dask-rs-dashboard".into()).spawn(work)
}

struct Site {
    shared: Arc<Shared>,
    token: Option<String>,
    /// Differs from program to program, so that a page sees that what it has is of another one.
    program: String,
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route("/data", get(show_data))
        .layer(from_fn_with_state(Arc::clone(&site), guard))
        .with_state(site)
}

async fn show_page() -> Response {
    ([("content-type", "text/html; charset=utf-8")], page::live()).into_response()
}

/// What the page that asks does not know yet, and the cursor with which it asks next.
async fn show_data(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let Some(mut cursor) = Cursor::parse(parameter(&uri, "cursor").unwrap_or("")) else {
        return (StatusCode::BAD_REQUEST, "cursor: not one of ours").into_response();
    };
    site.shared.pull();
    let mut book = site.shared.book();
    let part = delta(&mut book, &mut cursor, false);
    let more = cursor.is_behind(&book);
    drop(book);
    let (program, cursor) = (Text(&site.program).to_string(), cursor.to_string());
    let json = format!(
        "{{\"program\":{program},\"cursor\":\"{cursor}\",\"more\":{more},\"part\":{part}}}"
    );
    ([("content-type", "application/json")], json).into_response()
}

/// Lets in who may read, and tells the browser to be careful.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = match &site.token {
        Some(token) if !has_token(token, request.uri(), request.headers()) => {
            (StatusCode::UNAUTHORIZED, "the token is missing or wrong").into_response()
        }
        // A web page elsewhere can have its own name point to this machine, and then ask as if it were from here.
        None if !names_this_machine(request.headers()) => {
            (StatusCode::FORBIDDEN, "use localhost or the loopback address").into_response()
        }
        _ => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a constant without control characters"));
    }
    response
}

fn has_token(token: &str, uri: &Uri, headers: &HeaderMap) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let header = header.and_then(|value| value.strip_prefix("Bearer "));
    parameter(uri, "token").into_iter().chain(header).any(|given| is_same(given, token))
}

/// Takes the same time wherever the texts differ.
fn is_same(given: &str, token: &str) -> bool {
    let differs = given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && differs == 0
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A parameter of the query that needs no decoding.
fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
}
