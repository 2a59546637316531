//! Kernels and values as data: what goes from one process to another.
//!
//! A kernel is a registered name and parameters, a value a registered name and bytes. Who makes kernels
//! gives a table of [`Codecs`]; the [`Registry`] of a build has all of them, so that nothing here knows what
//! blocks hold. Parameters are in the format of postcard: compact, exact for floats, and only readable
//! by the build that wrote them, which is why processes compare [`Registry::fingerprint`] before they talk.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Block, Kernel};
use crate::error::{Call, Error, Result};
use crate::memory::BufferPool;

/// Kernels inside of kernels, at most: far more than fusion makes, and few enough for any stack.
const DEPTH_MAX: u32 = 256;

/// A kernel as data: a registered name and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KernelSpec {
    pub(crate) name: Cow<'static, str>,
    parameters: Vec<u8>,
}

impl KernelSpec {
    /// The spec of a kernel that [`Codecs`] know as `name`.
    pub(crate) fn new(name: &'static str, parameters: &impl Serialize) -> Self {
        KernelSpec { name: name.into(), parameters: encoded(parameters) }
    }

    /// The parameters, of the type that [`new`](Self::new) was given.
    pub(crate) fn parameters<'a, P: Deserialize<'a>>(&'a self) -> Result<P> {
        let broken = |error: postcard::Error| undecodable(&self.name, &error.to_string());
        let (parameters, rest) = postcard::take_from_bytes(&self.parameters).map_err(broken)?;
        match rest {
            [] => Ok(parameters),
            _ => Err(undecodable(&self.name, "bytes are left over")),
        }
    }
}

/// Why a kernel stays in its process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unsendable {
    /// The operation that holds what can't be sent, where it is known.
    pub(crate) call: Option<Call>,
    pub(crate) holds: String,
}

impl Unsendable {
    /// The error for a layer called `name`.
    pub(crate) fn of_layer(self, name: &str) -> Error {
        let op = self.call.map_or(name, |call| call.op).to_string();
        Error::CannotSend { op, call: self.call, holds: self.holds }
    }
}

/// Makes a kernel from its spec.
pub(crate) type DecodeKernel = fn(&KernelSpec, &Decoder<'_>) -> Result<Arc<dyn Kernel>>;

/// Makes a value from its bytes, which may lie anywhere in memory.
pub(crate) type DecodeValue = fn(&[u8], &Arc<BufferPool>) -> Result<Block>;

/// How the kernels and values of one part of the crate are decoded, by name.
#[derive(Debug)]
pub(crate) struct Codecs {
    pub(crate) kernels: &'static [(&'static str, DecodeKernel)],
    pub(crate) values: &'static [(&'static str, DecodeValue)],
}

/// All kernels and values that a build knows.
#[derive(Debug)]
pub(crate) struct Registry(pub(crate) &'static [&'static Codecs]);

impl Registry {
    /// The kernel that `spec` describes.
    pub(crate) fn kernel(&self, spec: &KernelSpec) -> Result<Arc<dyn Kernel>> {
        Decoder { registry: self, depth: 0 }.kernel(spec)
    }

    /// The value that was encoded as `name`.
    pub(crate) fn value(&self, name: &str, bytes: &[u8], pool: &Arc<BufferPool>) -> Result<Block> {
        let known = self.0.iter().flat_map(|codecs| codecs.values).find(|(of, _)| *of == name);
        let (_, decode) = known.ok_or_else(|| undecodable(name, "no such value is registered"))?;
        decode(bytes, pool)
    }

    /// The names of all kernels and values.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let kernels = self.0.iter().flat_map(|codecs| codecs.kernels).map(|(name, _)| *name);
        kernels.chain(self.0.iter().flat_map(|codecs| codecs.values).map(|(name, _)| *name))
    }

    /// What two builds have in common if they read each other's parameters.
    pub(crate) fn fingerprint(&self) -> String {
        let names: Vec<&str> = self.names().collect();
        format!("{} ({})", env!("CARGO_PKG_VERSION"), names.join(" "))
    }
}

/// The registry, on the way into kernels that hold kernels.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    registry: &'a Registry,
    depth: u32,
}

impl Decoder<'_> {
    pub(crate) fn kernel(&self, spec: &KernelSpec) -> Result<Arc<dyn Kernel>> {
        let mut kernels = self.registry.0.iter().flat_map(|codecs| codecs.kernels);
        let known = kernels.find(|(name, _)| *name == spec.name);
        let (_, decode) =
            known.ok_or_else(|| undecodable(&spec.name, "no such kernel is registered"))?;
        if self.depth >= DEPTH_MAX {
            return Err(undecodable(&spec.name, "kernels are nested too deep"));
        }
        decode(spec, &Decoder { registry: self.registry, depth: self.depth + 1 })
    }
}

/// Plain data as bytes.
pub(crate) fn encoded(data: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(data).expect("plain data of known lengths has a form in bytes")
}

pub(crate) fn undecodable(what: &str, problem: &str) -> Error {
    Error::BrokenMessage { what: what.to_string(), problem: problem.to_string() }
}
