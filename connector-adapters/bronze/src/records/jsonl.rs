//! The lines of a JSONL file.

use std::{path::PathBuf, sync::Arc};

use connector_sdk::Result;
use memchr::memchr;

use super::unreadable;
use crate::{disk::Disk, fault};

/// So much is read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Reads a file line by line.
pub(super) struct FileLines {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Where the next chunk begins.
    offset: u64,
    /// What was read and not handed out, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    line: u64,
    ended: bool,
}

impl FileLines {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, offset: 0, buffer: Vec::new(), at: 0, line: 0, ended: false }
    }

    fn next_line(&mut self) -> Result<Option<String>> {
        let mut searched = 0;
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            if let Some(length) =
                memchr(b'\n', rest.get(searched..).unwrap_or_default()).map(|at| at + searched)
            {
                let line = rest.get(..length).unwrap_or_default().to_vec();
                self.at += length + 1;
                return self.text(line).map(Some);
            }
            if self.ended {
                let line = rest.to_vec();
                self.at = self.buffer.len();
                return if line.is_empty() { Ok(None) } else { self.last_line(line).map(Some) };
            }
            searched = rest.len();
            self.read_chunk()?;
        }
    }

    fn read_chunk(&mut self) -> Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let chunk = self
            .disk
            .read(&self.path, self.offset, CHUNK_BYTES)
            .map_err(|error| fault::disk("read bronze", &self.path, error))?;
        self.ended = chunk.is_empty();
        self.offset += chunk.len() as u64;
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }

    fn text(&mut self, line: Vec<u8>) -> Result<String> {
        self.line += 1;
        String::from_utf8(line).map_err(|_| unreadable(&self.path, format!("line {} is no UTF-8", self.line)))
    }

    /// A line without a line break is whole, in somebody else's file, or torn.
    fn last_line(&mut self, line: Vec<u8>) -> Result<String> {
        let text = self.text(line)?;
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(unreadable(&self.path, format!("line {} is cut off", self.line))),
        }
    }
}

impl Iterator for FileLines {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        self.next_line().transpose()
    }
}
