//! The record of a message: what the server knows of it, and what is in it.

use std::sync::Arc;

use bytes::Bytes;
use connector_sdk::{
    Context, Error, Operation, Result, Timestamp,
    contract::Files,
    record::{BatchBuilder, RecordView},
};

use crate::{
    imap::config::{Attachments, Settings},
    mime,
};

/// What the server knows of a message.
#[derive(Debug, Default)]
pub(super) struct Meta {
    pub(super) uid: u32,
    /// In bytes, as the server says, which need not be so; `u64::MAX` where nobody knows.
    pub(super) size: u64,
    pub(super) date: Option<Timestamp>,
    pub(super) modseq: Option<u64>,
    pub(super) flags: Vec<String>,
    /// Gmail's: message, conversation, labels.
    pub(super) gmail: Option<(u64, u64, Vec<String>)>,
}

/// Writes records of one mailbox.
pub(super) struct Composer {
    /// The mailbox as JSON.
    mailbox: String,
    operation: Operation,
    /// Where attachments are kept; none: only what they are is told.
    files: Option<Arc<dyn Files>>,
    has_raw: bool,
    record: Vec<u8>,
    key: Vec<u8>,
}

impl Composer {
    /// # Errors
    /// Config when attachments are to be kept and the sink keeps none.
    pub(super) fn new(mailbox: &str, operation: Operation, settings: &Settings, cx: &Context) -> Result<Self> {
        let files = match settings.attachments {
            Attachments::Metadata => None,
            Attachments::Files => Some(cx.files().cloned().ok_or_else(|| {
                Error::config("read", "`attachments: files` needs a place for files, which this sink does not have")
            })?),
        };
        Ok(Self {
            mailbox: serde_json::Value::from(mailbox).to_string(),
            operation,
            files,
            has_raw: settings.raw,
            record: Vec::new(),
            key: Vec::new(),
        })
    }

    /// The key of a message.
    pub(super) fn key(&mut self, validity: u32, uid: u32) -> &[u8] {
        self.key.clear();
        let key = format!("{{\"mailbox\":{},\"uid_validity\":{validity},\"uid\":{uid}}}", self.mailbox);
        self.key.extend_from_slice(key.as_bytes());
        &self.key
    }

    /// Adds the record of a message. `whole` is its size where only the beginning was fetched.
    ///
    /// # Errors
    /// As keeping its attachments fails.
    pub(super) async fn push(
        &mut self,
        batch: &mut BatchBuilder,
        validity: u32,
        meta: &Meta,
        body: &[u8],
        whole: Option<u64>,
    ) -> Result<()> {
        self.head(validity, meta);
        let files = {
            let name = |sha256: &str| sha256.to_owned();
            let options = mime::Options {
                raw: self.has_raw,
                size: whole,
                file: self.files.as_ref().map(|_| &name as &dyn Fn(&str) -> String),
                ..mime::Options::default()
            };
            mime::parse(body, &options, &mut self.record).files
        };
        self.record.push(b'}');
        if let Some(keeper) = self.files.clone() {
            self.keep(&*keeper, files).await?;
        }
        self.key(validity, meta.uid);
        batch.push(RecordView {
            operation: self.operation,
            record: Some(&self.record),
            key: Some(&self.key),
            cursor: Some(meta.uid.to_string().as_bytes()),
            source_timestamp: meta.date.map(Timestamp::as_millis),
        });
        Ok(())
    }

    /// Keeps the files before the record that names them, and gives them the names that they have there.
    async fn keep(&mut self, keeper: &dyn Files, files: Vec<mime::StoredFile>) -> Result<()> {
        for file in files {
            let Some(hash) = hash(&file.sha256) else {
                return Err(Error::bug("read", "a hash is not written as one"));
            };
            let path = keeper.keep(hash, Bytes::from(file.bytes)).await?;
            // Quotes inside of a text are escaped, so that this stands nowhere but where a file is named.
            let from = format!("\"file\":\"{}\"", file.sha256);
            let to = format!("\"file\":{}", serde_json::Value::from(path));
            if from != to {
                self.record = replaced(&self.record, from.as_bytes(), to.as_bytes());
            }
        }
        Ok(())
    }

    /// What the server knows, up to where the contents begin.
    fn head(&mut self, validity: u32, meta: &Meta) {
        use std::io::Write as _;
        self.record.clear();
        let modseq = meta.modseq.map_or("null".to_owned(), |modseq| modseq.to_string());
        let size = if meta.size == u64::MAX { "null".to_owned() } else { meta.size.to_string() };
        let date = meta.date.map_or("null".to_owned(), |date| format!("\"{date}\""));
        // Writing into memory does not fail.
        let _ = write!(
            self.record,
            "{{\"mailbox\":{},\"uid_validity\":{validity},\"uid\":{},\"modseq\":{modseq},\"flags\":{},\
             \"internal_date\":{date},\"size\":{},",
            self.mailbox,
            meta.uid,
            serde_json::Value::from(meta.flags.as_slice()),
            size,
        );
        if let Some((message, thread, labels)) = &meta.gmail {
            let labels = serde_json::Value::from(labels.as_slice());
            let _ = write!(
                self.record,
                "\"gm_msgid\":\"{message}\",\"gm_thrid\":\"{thread}\",\"gm_labels\":{labels},"
            );
        }
    }
}

fn hash(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + to.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(to);
        rest = rest.get(at + from.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}
