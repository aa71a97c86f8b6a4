//! Uploading a file: where to, the bytes, and that it is complete.
//!
//! The bytes go to another host, which fails in ways of its own and is asked again: sent twice to the same place they are
//! the same file. That it is complete is said once; when nobody knows whether that was heard, the file itself tells: one
//! that is not complete is not there, and one that is complete names the channel it was shared in.

use base64::{Engine, engine::general_purpose::STANDARD};
use connector_sdk::{
    Class, Context, Error, Result,
    http::{HttpClient, Request},
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    Actor,
    input::{Upload, Uploaded},
};
use crate::{
    fault,
    hosts::VENDOR_HOSTS,
    method::{COMPLETE_UPLOAD, FILE, UPLOAD_URL},
};

const OPERATION: &str = "upload";
const BYTES: &str = "application/octet-stream";

/// The way to the host that takes files. It gets no token: its URL is the right to use it.
#[derive(Debug)]
pub(crate) struct UploadHost(HttpClient);

impl UploadHost {
    /// The vendor's hosts, and the one that the configuration names.
    ///
    /// # Errors
    /// Config when the network settings do not make sense.
    pub(crate) fn new(base_url: &Url, cx: &Context) -> Result<Self> {
        let client = HttpClient::builder(cx).base_url(base_url.clone()).allow_hosts(&VENDOR_HOSTS);
        Ok(Self(client.build()?))
    }

    async fn send(&self, cx: &Context, url: Url, bytes: &bytes::Bytes) -> Result<()> {
        self.0.send(cx, Request::post(OPERATION, url, BYTES, bytes.clone()).idempotent()).await.map(drop)
    }
}

#[derive(Deserialize)]
struct Place {
    upload_url: String,
    file_id: String,
}

impl Actor {
    pub(super) async fn upload(&self, cx: &Context, input: Upload) -> Result<Uploaded> {
        let bytes = STANDARD.decode(input.content_base64.trim()).map_err(|_| {
            Error::config(OPERATION, "`content_base64` is no base64").with_context("field", "content_base64")
        })?;
        let bytes = bytes::Bytes::from(bytes);
        // In bytes, whatever they mean.
        let length = bytes.len().to_string();
        let arguments = [("filename", &*input.filename), ("length", &*length)];
        let place: Place = self.api.ask(cx, &UPLOAD_URL, &arguments).await?;
        let url: Url = place.upload_url.parse().map_err(|_| {
            Error::new(Class::Schema, OPERATION, "the vendor names no valid URL to upload to")
        })?;
        self.upload.send(cx, url, &bytes).await?;
        self.complete(cx, &input, &place.file_id).await?;
        Ok(Uploaded { id: place.file_id, channel: input.channel })
    }

    async fn complete(&self, cx: &Context, input: &Upload, file: &str) -> Result<()> {
        let title = input.title.as_deref().unwrap_or(&input.filename);
        let mut body = json!({ "files": [{ "id": file, "title": title }], "channel_id": input.channel });
        for (name, value) in [("initial_comment", &input.initial_comment), ("thread_ts", &input.thread_ts)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        let error = match self.api.post(cx, &COMPLETE_UPLOAD, &body).await {
            Ok(_) => return Ok(()),
            Err(error) if error.class() == Class::Ambiguous => error,
            Err(error) => return Err(error),
        };
        match self.api.get(cx, &FILE, &[("file", file)]).await {
            Ok(answer) if is_shared(&answer.body, &input.channel) => Ok(()),
            // It was not heard: saying it now is the first time.
            Err(gone) if fault::has_code(&gone, "file_not_found") => {
                self.api.post(cx, &COMPLETE_UPLOAD, &body).await.map(drop)
            }
            _ => Err(error.with_context("file", file)),
        }
    }
}

/// Whether the file's description names the channel, in one of the places where the vendor writes it
/// (<https://docs.slack.dev/reference/objects/file-object/>).
fn is_shared(answer: &[u8], channel: &str) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return false };
    let Some(file) = answer.get("file") else { return false };
    let listed = ["channels", "groups", "ims"].into_iter().filter_map(|place| file.get(place)?.as_array());
    let shares = file.get("shares").and_then(Value::as_object);
    listed.flatten().any(|id| id == channel)
        || shares.into_iter().flat_map(|shares| shares.values()).any(|kind| kind.get(channel).is_some())
}
