//! What the vendor itself has written down of its answers is read.

use std::path::PathBuf;

use connector_testkit::fault::Fault;
use serde_json::{Value, json};

use super::host::{Host, config, small, start, within};

/// The folder of recorded answers; none where it is not there, and it says so.
#[expect(clippy::print_stderr, reason = "a test that had nothing to read says so")]
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("CONNECTOR_FIXTURES").map(|folder| PathBuf::from(folder).join("slack"));
    if folder.is_none() {
        eprintln!("CONNECTOR_FIXTURES is not set: recorded answers are not read");
    }
    folder
}

/// Reads a stream whose answers are this file, as they stand there.
async fn read(stream: &str, method: &str, file: &str, records: &str, change: impl Fn(&mut Value)) {
    let Some(folder) = folder() else { return };
    let mut body: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
    change(&mut body);
    let ws = start(small().channels(1).messages(1)).await;
    let mut host = Host::new(&config(&ws), stream).await;
    ws.faults()
        .on(format!("/{method}").as_str())
        .always()
        .then(Fault::status(200).with_body(body.to_string()));
    host.run().await.clean();
    let expected: Vec<&Value> = body[records].as_array().unwrap().iter().collect();
    assert_eq!(host.bronze.len(), expected.len(), "{file}");
    assert!(!expected.is_empty());
    for row in &host.bronze {
        // A member is an id, and a row of it names the channel too.
        let record = if stream == "members" { &row.record["user"] } else { &row.record };
        assert!(expected.contains(&record), "{file}: {}", row.text);
    }
    let mut keys: Vec<String> = host.bronze.iter().map(|row| row.key.to_string()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), expected.len(), "{file}: each once");
}

#[test]
fn the_vendors_examples_of_lists_are_read() {
    within(async {
        let last = |body: &mut Value| body["response_metadata"] = json!({ "next_cursor": "" });
        read("channels", "conversations.list", "spec_conversations.list.json", "channels", last).await;
        read(
            "channels",
            "conversations.list",
            "pysdk_web_response_conversations_list.json",
            "channels",
            last,
        )
        .await;
        read("members", "conversations.members", "spec_conversations.members.json", "members", last).await;
        let one_page = |body: &mut Value| body["paging"]["pages"] = json!(1);
        read("files", "files.list", "spec_files.list.json", "files", one_page).await;
    });
}

#[test]
fn the_vendors_examples_of_messages_are_read() {
    within(async {
        let last = |body: &mut Value| {
            body["has_more"] = json!(false);
            body["response_metadata"] = json!({ "next_cursor": "" });
        };
        for file in
            ["ref_conversations.history_cursor_page.json", "ref_conversations.history_time_window.json"]
        {
            read("messages", "conversations.history", file, "messages", last).await;
        }
    });
}
