//! Frames written part by part, which appear together as a directory of files or as one file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polars_core::prelude::{DataFrame, Schema, SchemaRef};

use super::IfExists;
use crate::error::{Blame, Call, Error, Result};
use crate::storage::{NewDir, NewFile};

/// Parts in a hidden directory beside the target. Several threads may write them, in any order.
#[derive(Debug)]
pub(super) struct PartDir {
    pub(super) call: Call,
    format: &'static str,
    extension: &'static str,
    target: PathBuf,
    dir: NewDir,
    schema: SchemaRef,
    is_overwriting: bool,
    parts: Mutex<BTreeSet<usize>>,
}

impl PartDir {
    /// # Errors
    /// [`Error::Io`] if something is there and must not be; [`Error::InvalidArgument`] for [`IfExists::Append`].
    pub(super) fn create(
        call: Call,
        (format, extension): (&'static str, &'static str),
        target: &Path,
        schema: &SchemaRef,
        if_exists: IfExists,
        is_single_file: bool,
    ) -> Result<Self> {
        let blame = Blame { call, path: target, format };
        let is_overwriting = match if_exists {
            IfExists::Overwrite => true,
            IfExists::Error if !NewDir::is_taken(call, target)? => false,
            IfExists::Error => return Err(blame.io(io::ErrorKind::AlreadyExists.into())),
            IfExists::Append => {
                let (argument, got) = ("if_exists", "Append".to_string());
                let expected = "Error or Overwrite; append to Parquet";
                return Err(Error::InvalidArgument { call, argument, got, expected });
            }
        };
        let dir = if is_single_file {
            NewDir::pieces_of(call, target)?
        } else {
            NewDir::create(call, target)?
        };
        let (target, schema) = (target.to_path_buf(), Arc::clone(schema));
        let parts = Mutex::default();
        Ok(PartDir { call, format, extension, target, dir, schema, is_overwriting, parts })
    }

    pub(super) fn blame(&self) -> Blame<'_> {
        Blame { call: self.call, path: &self.target, format: self.format }
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Writes a part, each once.
    pub(super) fn write(
        &self,
        part: usize,
        frame: &DataFrame,
        encode: impl FnOnce(&mut NewFile) -> Result<()>,
    ) -> Result<()> {
        if frame.schema() != &self.schema {
            return Err(Error::SchemaMismatch {
                call: self.call,
                got: format!("{:?}", frame.schema()),
                expected: format!("{:?}", self.schema),
                remedy: "all parts need the same columns",
            });
        }
        if !self.lock().insert(part) {
            let problem = format!("part {part} is written twice");
            return Err(Error::Internal { place: "PartDir::write".to_string(), problem });
        }
        self.dir.write(&self.name(part), encode)
    }

    /// Makes the parts appear as a directory.
    pub(super) fn finish(self) -> Result<()> {
        self.dir.finish(self.is_overwriting)
    }

    /// Makes the parts appear as one file, one after the other behind `head`.
    pub(super) fn finish_as_one(self, head: &[u8]) -> Result<()> {
        NewFile::alone(self.call, &self.target, |whole| {
            whole.write_all(head)?;
            for &part in self.lock().iter() {
                let local = self.dir.local().expect("pieces of a file are on this machine");
                io::copy(&mut File::open(local.join(self.name(part)))?, whole)?;
            }
            Ok(())
        })
    }

    fn name(&self, part: usize) -> PathBuf {
        PathBuf::from(format!("part.{part:05}.{}", self.extension))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        // What is inside is whole after each statement.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
