//! Files: the list with its old paging, and the three steps of an upload (B3, B7; `spec_files.*.json`,
//! `ref_files.*.json`).

use std::collections::HashMap;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::{Map, Value, json};

use crate::random::Random;

use super::chat::{author, say, writable};
use super::gate::Call;
use super::reply::{self, Outcome, Refusal, ok};
use super::seed;
use super::workspace::{Data, Workspace};

/// Seconds until the kind of an uploaded file is known: `mimetype` and `filetype` are empty at first (B7). How long is
/// not recorded.
const UNKNOWN_FOR: i64 = 5;
/// Files of one page of files.list, without `count`, and at most.
const COUNT: usize = 100;
const MAX_COUNT: usize = 1000;

/// An upload that was begun.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) length: usize,
    /// What arrived at the upload host.
    pub(super) content: Option<Bytes>,
    pub(super) done: bool,
}

/// Uploads by the last part of their address.
pub(super) type Uploads = HashMap<String, Upload>;

/// A file object.
pub(super) fn file(
    id: &str,
    name: &str,
    size: usize,
    (user, channels): (&str, &[String]),
    created: i64,
) -> Value {
    let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
    let link = format!("https://files.example.invalid/{id}/{name}");
    json!({
        "id": id, "created": created, "timestamp": created, "name": name, "title": name, "mimetype": mime(kind),
        "filetype": kind, "pretty_type": kind.to_uppercase(), "user": user, "editable": false, "size": size,
        "mode": "hosted", "is_external": false, "external_type": "", "is_public": true, "public_url_shared": false,
        "display_as_bot": false, "username": "", "url_private": link, "url_private_download": link,
        "permalink": link, "permalink_public": link, "comments_count": 0, "is_starred": false, "shares": {},
        "channels": channels, "groups": [], "ims": [], "has_rich_preview": false,
    })
}

fn mime(kind: &str) -> &'static str {
    match kind {
        "gif" => "image/gif",
        "png" => "image/png",
        "txt" => "text/plain",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// Files of the seed, newest first.
pub(super) fn seeded(
    random: &mut Random,
    count: usize,
    newest: i64,
    users: &[String],
    channels: &[String],
) -> Vec<Value> {
    let mut files: Vec<Value> = (0..count)
        .map(|index| {
            let kind = ["gif", "png", "txt", "pdf"][index % 4];
            let channel: Vec<String> =
                channels.get(index % channels.len().max(1)).cloned().into_iter().collect();
            let user = users.get(index % users.len().max(1)).map_or("USLACKBOT", String::as_str);
            let age = i64::try_from(index).unwrap_or_default() * 3600;
            file(
                &seed::id(random, 'F'),
                &format!("file{index}.{kind}"),
                1000 + index,
                (user, &channel),
                newest / 1000 - age,
            )
        })
        .collect();
    files.sort_by_key(|file| std::cmp::Reverse(file["created"].as_i64()));
    files
}

/// It as it is shown now.
fn shown(file: &Value, now: i64) -> Value {
    let mut file = file.clone();
    let fresh = file.as_object_mut().is_some_and(|fields| fields.remove("uploaded").is_some());
    if fresh && file["created"].as_i64().unwrap_or_default() + UNKNOWN_FOR > now / 1000 {
        for field in ["mimetype", "filetype", "pretty_type"] {
            file[field] = json!("");
        }
    }
    file
}

/// files.list: pages by number. A page past the last one is empty.
pub(super) fn list(call: &Call<'_>) -> Outcome {
    let data = call.workspace.data();
    let invalid = "invalid_arguments";
    let count = call.arguments.number("count", invalid)?.unwrap_or(COUNT).clamp(1, MAX_COUNT);
    let page = call.arguments.number("page", invalid)?.unwrap_or(1).max(1);
    let seconds = |name| call.arguments.ts(name, invalid).map(|ts| ts.map(|ts| ts.0 / 1_000_000));
    let (from, to) = (seconds("ts_from")?, seconds("ts_to")?);
    let text = |name| call.arguments.text(name);
    let files: Vec<Value> = data
        .files
        .iter()
        .filter(|file| {
            let created = file["created"].as_u64().unwrap_or_default();
            let in_channel = |channel: &str| {
                file["channels"].as_array().is_some_and(|all| all.iter().any(|id| id == channel))
            };
            from.is_none_or(|from| created >= from)
                && to.is_none_or(|to| created <= to)
                && text("user").is_none_or(|user| file["user"] == *user)
                && text("channel").is_none_or(in_channel)
        })
        .map(|file| shown(file, call.now))
        .collect();
    let total = files.len();
    let rows: Vec<Value> = files.into_iter().skip((page - 1) * count).take(count).collect();
    ok(json!({
        "files": rows,
        "paging": { "count": count, "total": total, "page": page, "pages": total.div_ceil(count) },
    }))
}

pub(super) fn info(call: &Call<'_>) -> Outcome {
    let data = call.workspace.data();
    let id = call.arguments.text("file").ok_or_else(|| Refusal::new("file_not_found"))?;
    let file =
        data.files.iter().find(|file| file["id"] == *id).ok_or_else(|| Refusal::new("file_not_found"))?;
    ok(json!({ "file": shown(file, call.now), "comments": [], "response_metadata": { "next_cursor": "" } }))
}

/// The first step: an address for so many bytes.
pub(super) fn begin(call: &Call<'_>) -> Outcome {
    let name = call.arguments.required("filename")?;
    // "Typically only occurs when the length provided is 0."
    let length = call.arguments.number("length", "invalid_arguments")?.filter(|length| *length > 0);
    let length = length.ok_or_else(|| Refusal::missing("length"))?;
    let mut data = call.workspace.data();
    let file = seed::id(&mut data.random, 'F');
    let address = seed::id(&mut data.random, 'X');
    let upload = Upload { file: file.clone(), name: name.to_owned(), length, content: None, done: false };
    let url = format!("{}/upload/v1/{address}", call.workspace.front());
    data.uploads.insert(address, upload);
    ok(json!({ "upload_url": url, "file_id": file }))
}

/// The second step, at the upload host: bytes as they are, or in a form. Again they may come again.
pub(super) fn receive(workspace: &Workspace, head: &Parts, address: &str, body: &Bytes) -> Response {
    let plain = |status, text: String| reply::text(status, "text/plain; charset=utf-8", text);
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let content = match kind.split_once("boundary=") {
        Some((_, boundary)) if kind.starts_with("multipart/") => part(body, boundary.trim_matches('"')),
        _ => Some(body.clone()),
    };
    let mut data = workspace.data();
    let Some(upload) = data.uploads.get_mut(address).filter(|upload| !upload.done) else {
        return plain(StatusCode::NOT_FOUND, "Not Found".to_owned());
    };
    match content {
        Some(content) if content.len() == upload.length => {
            let answer = format!("OK - {}", content.len());
            upload.content = Some(content);
            plain(StatusCode::OK, answer)
        }
        // What the host answers to another number of bytes is not recorded.
        _ => plain(StatusCode::BAD_REQUEST, "Bad Request".to_owned()),
    }
}

/// The content of a form's first part.
fn part(body: &Bytes, boundary: &str) -> Option<Bytes> {
    let find = |from: usize, what: &[u8]| {
        body.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| from + at)
    };
    let start = find(0, b"\r\n\r\n")? + 4;
    let end = find(start, format!("\r\n--{boundary}").as_bytes())?;
    Some(body.slice(start..end))
}

/// The third step: files that have arrived are shared, once. A file that did not arrive is `file_not_found`.
pub(super) fn complete(call: &Call<'_>) -> Outcome {
    let mut data = call.workspace.data();
    let data = &mut *data;
    let named =
        call.arguments.json("files", "invalid_arguments")?.ok_or_else(|| Refusal::missing("files"))?;
    let named =
        named.as_array().filter(|all| !all.is_empty()).ok_or_else(|| Refusal::new("invalid_arguments"))?;
    let channels: Vec<String> = call
        .arguments
        .text("channel_id")
        .or_else(|| call.arguments.text("channels"))
        .map(|ids| ids.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    for id in &channels {
        let channel = data.channel(id).map_err(|_| Refusal::new("invalid_channel"))?;
        writable(call, channel).map_err(|_| Refusal::new("posting_to_channel_denied"))?;
    }
    let thread = call.arguments.ts("thread_ts", "invalid_arguments")?;
    let mut files = Vec::new();
    for name in named {
        let id = name["id"].as_str().unwrap_or_default();
        let upload = data
            .uploads
            .values()
            .find(|upload| upload.file == id && upload.content.is_some() && !upload.done);
        let upload = upload.ok_or_else(|| Refusal::new("file_not_found"))?;
        let mut file = file(id, &upload.name, upload.length, (&call.user(data), &channels), call.now / 1000);
        file["uploaded"] = json!(true);
        if let Some(title) = name["title"].as_str() {
            file["title"] = json!(title);
        }
        files.push(file);
    }
    let answered: Vec<Value> = files.iter().map(|file| shown(file, call.now)).collect();
    for file in files {
        for upload in data.uploads.values_mut().filter(|upload| file["id"] == *upload.file) {
            upload.done = true;
        }
        data.files.insert(0, file);
    }
    for id in &channels {
        let mut fields = Map::new();
        author(call, data, &mut fields);
        fields.insert("text".to_owned(), json!(call.arguments.text("initial_comment").unwrap_or_default()));
        fields.insert("files".to_owned(), json!(answered));
        fields.insert("upload".to_owned(), json!(true));
        say(call, data, id, fields, thread)?;
    }
    ok(json!({ "files": answered }))
}

impl Data {
    /// What was uploaded as this file.
    pub(super) fn uploaded(&self, file: &str) -> Option<Bytes> {
        self.uploads.values().find(|upload| upload.file == file)?.content.clone()
    }
}
