//! The workspace's answers beside the vendor's examples: every field of an example is in the answer, of the same type.

use std::path::PathBuf;

use connector_testkit::slack::{ChannelKind, FakeWorkspace};
use serde_json::{Value, json};

use super::{Client, builder, within};

/// A recorded example; none where the folder is not given.
fn fixture(name: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("CONNECTOR_FIXTURES") else {
        println!("skipped: CONNECTOR_FIXTURES does not name the fixtures");
        return None;
    };
    let path = PathBuf::from(folder).join("slack").join(format!("{name}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&text).expect("JSON"))
}

/// Fields that not every object of the kind has: those of pictures, of what is shared, of what is signed in for.
const SOMETIMES: &[&str] = &[
    "attachments",
    "channel_name",
    "deanimate_gif",
    "image_exif_rotation",
    "incoming_webhook",
    "original_h",
    "original_w",
    "pjpeg",
    "public",
    "reactions",
    "subtype",
    "unlinked",
    "username",
    "warning",
    "error",
    "needed",
    "provided",
    "user_email",
];

/// What the example has and the answer lacks, or has of another type. Of a list the first entries are compared.
fn lacks(example: &Value, answer: &Value, path: &str, found: &mut Vec<String>) {
    match (example, answer) {
        (Value::Object(example), Value::Object(answer)) => {
            for (name, value) in example {
                if SOMETIMES.contains(&name.as_str()) || name.starts_with("thumb_") {
                    continue;
                }
                match answer.get(name) {
                    Some(other) => lacks(value, other, &format!("{path}.{name}"), found),
                    None => found.push(format!("{path}.{name} is missing")),
                }
            }
        }
        (Value::Array(example), Value::Array(answer)) => {
            if let (Some(example), Some(answer)) = (example.first(), answer.first()) {
                lacks(example, answer, &format!("{path}[]"), found);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ if std::mem::discriminant(example) == std::mem::discriminant(answer) => {}
        _ => found.push(format!("{path}: {example} and {answer}")),
    }
}

fn agrees(name: &str, answer: &Value) {
    if let Some(example) = fixture(name) {
        let mut found = Vec::new();
        lacks(&example, answer, "", &mut found);
        assert!(found.is_empty(), "{name}: {found:#?} in {answer:#}");
    }
}

async fn workspace() -> (FakeWorkspace, Client) {
    let (builder, _) = builder();
    let ws = builder.messages(40).start().await.unwrap();
    let client = Client::new(&ws);
    (ws, client)
}

#[test]
fn what_is_read_has_the_shapes_of_the_examples() {
    within(async {
        let (ws, client) = workspace().await;
        let channel = &ws.channels(ChannelKind::Public)[0];
        agrees("spec_auth.test", &client.get("auth.test", &[]).await.body);
        let exchange = fixture("ruby_auth_test_success_exchange");
        if let Some(exchange) = exchange {
            let recorded = &exchange["http_interactions"][0]["response"];
            let body: Value = serde_json::from_str(recorded["body"]["string"].as_str().unwrap()).unwrap();
            let answer = client.get("auth.test", &[]).await;
            let mut found = Vec::new();
            lacks(&body, &answer.body, "", &mut found);
            assert!(found.is_empty(), "{found:?}");
            assert!(
                answer.headers.contains_key("x-oauth-scopes")
                    && answer.headers.contains_key("x-slack-req-id")
            );
        }
        let list = client.get("conversations.list", &[("limit", "2")]).await.body;
        agrees("spec_conversations.list", &list);
        agrees("pysdk_web_response_conversations_list", &list);
        agrees(
            "spec_conversations.members",
            &client.get("conversations.members", &[("channel", channel)]).await.body,
        );
        agrees(
            "spec_conversations.join",
            &client.form("conversations.join", &[("channel", channel)]).await.body,
        );
        let page = client.get("conversations.history", &[("channel", channel), ("limit", "2")]).await.body;
        agrees("ref_conversations.history_cursor_page", &page);
        let window = [("channel", channel.as_str()), ("limit", "1"), ("latest", "9999999999.000001")];
        agrees(
            "ref_conversations.history_time_window",
            &client.get("conversations.history", &window).await.body,
        );
        let user = ws.users_truth()[1]["id"].as_str().unwrap().to_owned();
        agrees("spec_users.info", &client.get("users.info", &[("user", &user)]).await.body);
        agrees("spec_files.list", &client.get("files.list", &[]).await.body);
        let file = ws.files_truth()[0]["id"].as_str().unwrap().to_owned();
        agrees("spec_files.info", &client.get("files.info", &[("file", &file)]).await.body);
        let shown = client.get("reactions.get", &[("file", &file)]).await.body;
        agrees("spec_reactions.get", &shown);
        agrees(
            "ref_apps.connections.open",
            &client.with(ws.app_token()).form("apps.connections.open", &[]).await.body,
        );
        ws.shutdown().await;
    });
}

#[test]
fn what_is_written_has_the_shapes_of_the_examples() {
    within(async {
        let (ws, client) = workspace().await;
        let channels = ws.channels(ChannelKind::Public);
        let channel = channels[0].as_str();
        let posted =
            client.json("chat.postMessage", &json!({ "channel": channel, "text": "a text" })).await.body;
        agrees("spec_chat.postMessage", &posted);
        let ts = posted["ts"].as_str().unwrap();
        let updated =
            client.form("chat.update", &[("channel", channel), ("ts", ts), ("text", "another")]).await;
        agrees("spec_chat.update", &updated.body);
        agrees(
            "spec_chat.delete",
            &client.form("chat.delete", &[("channel", channel), ("ts", ts)]).await.body,
        );
        let begun =
            client.form("files.getUploadURLExternal", &[("filename", "a.txt"), ("length", "3")]).await.body;
        agrees("ref_files.getUploadURLExternal", &begun);
        client.http.post(begun["upload_url"].as_str().unwrap()).body("abc").send().await.unwrap();
        let files = json!([{ "id": begun["file_id"], "title": "slack-test" }]);
        let done = client.json("files.completeUploadExternal", &json!({ "files": files })).await.body;
        agrees("ref_files.completeUploadExternal", &done);
        ws.shutdown().await;
    });
}

#[test]
fn sign_ins_and_refusals_have_the_shapes_of_the_examples() {
    within(async {
        let (ws, client) = workspace().await;
        let oauth = ws.oauth();
        let (id, secret) = (oauth.client_id.as_str(), oauth.client_secret.as_str());
        let url =
            format!("{}/oauth/v2/authorize?client_id={id}&redirect_uri=http://localhost/back", ws.url());
        let code = super::signing_in::code(&url).await;
        let access = [
            ("client_id", id),
            ("client_secret", secret),
            ("code", &code),
            ("redirect_uri", "http://localhost/back"),
        ];
        agrees("ref_oauth.v2.access_rotation", &client.form("oauth.v2.access", &access).await.body);
        let exchange = [("client_id", id), ("client_secret", secret)];
        let exchanged = client.form("oauth.v2.exchange", &exchange).await.body;
        assert_eq!(exchanged["expires_in"], 43_200);
        let client = client.with(ws.user_token());
        for (fixture_name, answer) in [
            ("ref_oauth.v2.access_error", client.form("oauth.v2.access", &[("client_id", "no")]).await),
            (
                "spec_conversations.history_error",
                client.get("conversations.history", &[("channel", "C1")]).await,
            ),
            (
                "spec_conversations.replies_error",
                client
                    .get(
                        "conversations.replies",
                        &[("channel", &ws.channels(ChannelKind::Public)[0]), ("ts", "1.1")],
                    )
                    .await,
            ),
            ("spec_users.list_error", client.get("users.list", &[("cursor", "bm90aGluZw==")]).await),
        ] {
            if let Some(example) = fixture(fixture_name) {
                assert_eq!(answer.body, example, "{fixture_name}");
                assert_eq!(answer.status, 200);
            }
        }
        if let Some(exchange) = fixture("ruby_auth_test_error_exchange") {
            let recorded = exchange["http_interactions"][0]["response"]["body"]["string"].as_str().unwrap();
            let body: Value = serde_json::from_str(recorded).unwrap();
            let answer = client.http.post(format!("{}/auth.test", client.base)).send().await.unwrap();
            assert_eq!(answer.json::<Value>().await.unwrap(), body);
        }
        ws.shutdown().await;
    });
}

#[test]
fn every_method_of_ours_has_the_tier_of_the_table() {
    let Some(table) = fixture("java_rate_limit_tiers") else { return };
    for (method, tier) in connector_testkit::slack::tiers() {
        let expected = match tier {
            Some(1) => "Tier1",
            Some(20) => "Tier2",
            Some(50) => "Tier3",
            Some(100) => "Tier4",
            _ => "SpecialTier",
        };
        let recorded = table[method].as_str().unwrap_or_else(|| panic!("{method} is not in the table"));
        assert!(recorded.starts_with(expected), "{method}: {recorded}, ours is {tier:?}");
    }
}
