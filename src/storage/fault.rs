//! What object stores answer, in words that name the request and a remedy.

use std::io;
use std::time::Duration;

use object_store::Error as StoreError;

const CREDENTIALS: &str = "set credentials in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_SERVICE_ACCOUNT, \
     AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY) or with StoreOptions, or read a public bucket with \
     StoreOptions::anonymous()";

/// A request that an object store did not fulfil. It travels as an [`io::Error`], and [`Error::Io`](crate::Error::Io) has its URL.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{action}: {problem}; {remedy}")]
pub(super) struct Fault {
    kind: io::ErrorKind,
    action: String,
    problem: String,
    remedy: &'static str,
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        io::Error::new(fault.kind, fault)
    }
}

impl Fault {
    pub(super) fn new(
        kind: io::ErrorKind,
        action: impl Into<String>,
        problem: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        Fault { kind, action: action.into(), problem: problem.into(), remedy }
    }

    /// There is nothing under the key.
    pub(super) fn missing(action: impl Into<String>) -> Self {
        let remedy = "check the bucket and the key, which differ in upper and lower case";
        Fault::new(io::ErrorKind::NotFound, action, "there is no such object", remedy)
    }

    /// Nothing came in time.
    pub(super) fn timed_out(action: impl Into<String>, limit: Duration) -> Self {
        let problem = format!("no answer in {limit:?}");
        let remedy =
            "check the network and the endpoint, or allow more with StoreOptions::timeout()";
        Fault::new(io::ErrorKind::TimedOut, action, problem, remedy)
    }

    /// Another number of bytes than there should be.
    pub(super) fn short(action: impl Into<String>, got: u64, expected: u64) -> Self {
        let problem = format!("{got} bytes came, expected {expected}");
        let remedy = "something between here and the store cuts answers; compute again";
        Fault::new(io::ErrorKind::Other, action, problem, remedy)
    }

    /// What the store says.
    pub(super) fn of(action: impl Into<String>, error: &StoreError) -> Self {
        let all = chain(error);
        let lower = all.to_ascii_lowercase();
        let (kind, remedy) = match error {
            StoreError::NotFound { .. } => return Fault::missing(action),
            StoreError::AlreadyExists { .. } => (
                io::ErrorKind::AlreadyExists,
                "write somewhere else, or remove what is there first",
            ),
            StoreError::Precondition { .. } | StoreError::NotModified { .. } => {
                (io::ErrorKind::Other, "it changed since it was found: open it again")
            }
            StoreError::Unauthenticated { .. } => (io::ErrorKind::PermissionDenied, CREDENTIALS),
            StoreError::PermissionDenied { .. } => {
                let remedy = "ask for the right to do that, or use other credentials (environment, StoreOptions)";
                (io::ErrorKind::PermissionDenied, remedy)
            }
            // Without any, the service of the machine that hands out credentials is asked, and is not there.
            _ if ["credential", "169.254.169.254", "metadata/instance", "/latest/api/token"]
                .iter()
                .any(|word| lower.contains(word)) =>
            {
                (io::ErrorKind::PermissionDenied, CREDENTIALS)
            }
            StoreError::NotSupported { .. } | StoreError::NotImplemented { .. } => {
                let remedy = "plain web servers only give out single objects, with ranges: use a store that can, or local files";
                (io::ErrorKind::Unsupported, remedy)
            }
            _ if lower.contains("partial") => {
                let remedy =
                    "this server does not give out ranges of files: copy the file to this machine";
                (io::ErrorKind::Unsupported, remedy)
            }
            _ if lower.contains("timed out") || lower.contains("timeout") => {
                (io::ErrorKind::TimedOut, "check the network and the endpoint")
            }
            _ => (io::ErrorKind::Other, "check the network, the endpoint and the region"),
        };
        Fault::new(kind, action, all, remedy)
    }
}

/// What an error and those below it say, without what one only says again.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
