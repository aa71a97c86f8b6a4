//! The record of a message: what the server knows of it, and what is in it.

use std::sync::Arc;

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
    pub(super) fn new(
        mailbox: &str,
        operation: Operation,
        settings: &Settings,
        cx: &Context,
    ) -> Result<Self> {
        let files = match settings.attachments {
            Attachments::Metadata => None,
            Attachments::Files => Some(cx.files().cloned().ok_or_else(|| {
                Error::config(
                    "read",
                    "`attachments: files` needs a place for files, which this sink does not have",
                )
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
        let options = mime::Options {
            raw: self.has_raw,
            size: whole,
            files: self.files.is_some(),
            ..mime::Options::default()
        };
        let parsed = mime::parse(body, &options, &mut self.record);
        self.record.push(b'}');
        if let Some(keeper) = &self.files {
            // Before the record that names them.
            let mut paths = Vec::with_capacity(parsed.files.len());
            for file in &parsed.files {
                paths.push(keeper.keep(file.sha256, file.bytes.clone()).await?);
            }
            parsed.name_files(&mut self.record, &paths);
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
