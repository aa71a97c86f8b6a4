//! What is done with mail once it is durable, and waiting for more of it.

use std::time::Duration;

use connector_sdk::{Acknowledged, State, clock::timeout};
use connector_testkit::mail::{Capabilities, Dovecot};
use serde_json::{Value, json};

use super::support::{Reader, config, dovecot, mail, mails};

const USER: &str = "ada@example.test";

async fn acknowledge(reader: &Reader, previous: Option<State>) -> connector_sdk::Result<()> {
    let (id, known) = reader.state.partitions.iter().find(|(id, _)| id.as_str() == "INBOX").unwrap();
    let done = Acknowledged {
        stream: "messages".into(),
        partition: id.clone(),
        previous,
        state: known.state.clone().unwrap(),
    };
    reader.connector.acknowledge(&reader.cx, &done).await
}

fn with(dovecot: &Dovecot, after: Value) -> Reader {
    let mut config = config(dovecot.address(), USER);
    config["after"] = after;
    config["mailboxes"] = json!(["INBOX"]);
    Reader::new(config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_marked_only_when_it_is_durable_and_twice_is_once() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.append_all("INBOX", mails(1..=3, 500)).await.unwrap();
    let mut reader = with(&dovecot, json!({ "mark_seen": true }));
    reader.run("messages").await.unwrap();
    let seen = async |ada: &mut connector_testkit::mail::Session| {
        ada.flags("INBOX").await.unwrap().iter().filter(|(_, flags)| flags.contains("\\Seen")).count()
    };
    assert_eq!(seen(&mut ada).await, 0, "reading marks nothing");
    let before = reader.state.partitions["INBOX"].state.clone();
    acknowledge(&reader, None).await.unwrap();
    acknowledge(&reader, None).await.unwrap();
    assert_eq!(seen(&mut ada).await, 3);
    // Only what is new since.
    ada.append("INBOX", &mail(4, 500)).await.unwrap();
    ada.store("INBOX", "1", "-FLAGS (\\Seen)").await.unwrap();
    assert_eq!(reader.run("messages").await.unwrap().len(), 1);
    acknowledge(&reader, before).await.unwrap();
    let flags = ada.flags("INBOX").await.unwrap();
    let unseen: Vec<u32> =
        flags.iter().filter(|(_, flags)| !flags.contains("\\Seen")).map(|(uid, _)| *uid).collect();
    assert_eq!(unseen, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_that_we_move_or_delete_ourselves_is_not_said_to_be_gone() {
    for after in [json!({ "move": "Gelesen ü" }), json!({ "delete": true })] {
        let dovecot = dovecot!(Dovecot::builder());
        let mut ada = dovecot.session(USER).await.unwrap();
        ada.create("Gelesen &APw-").await.unwrap();
        ada.append_all("INBOX", mails(1..=3, 500)).await.unwrap();
        let mut reader = with(&dovecot, after.clone());
        assert_eq!(reader.run("messages").await.unwrap().len(), 3);
        acknowledge(&reader, None).await.unwrap();
        assert_eq!(ada.messages("INBOX").await.unwrap().len(), 0, "{after}");
        let moved = if after.get("move").is_some() { 3 } else { 0 };
        assert_eq!(ada.messages("Gelesen &APw-").await.unwrap().len(), moved, "{after}");
        ada.append("INBOX", &mail(4, 500)).await.unwrap();
        let more = reader.run("messages").await.unwrap();
        assert_eq!(more.iter().map(|record| record.uid()).collect::<Vec<_>>(), [4], "{after}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_would_take_away_more_is_not_asked_to() {
    let dovecot = dovecot!(Dovecot::builder().capabilities(Capabilities::Plain));
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.append("INBOX", &mail(1, 500)).await.unwrap();
    let mut reader = with(&dovecot, json!({ "delete": true }));
    reader.run("messages").await.unwrap();
    let error = acknowledge(&reader, None).await.unwrap_err();
    assert!(error.class() == connector_sdk::Class::Config && error.message().contains("UIDPLUS"), "{error}");
    assert_eq!(ada.messages("INBOX").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_mail_is_heard_of_and_that_a_server_is_still_there_is_no_news() {
    let dovecot = dovecot!(Dovecot::builder().idle(Duration::from_secs(1)));
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.append("INBOX", &mail(1, 500)).await.unwrap();
    let mut reader = Reader::of(&dovecot, USER);
    reader.run("messages").await.unwrap();
    let clock = connector_sdk::SystemClock::new();
    let mut waiting = Box::pin(reader.connector.changed(&reader.cx));
    assert!(timeout(&clock, Duration::from_millis(2_500), &mut waiting).await.is_err(), "it is still there");
    ada.append("INBOX", &mail(2, 500)).await.unwrap();
    timeout(&clock, Duration::from_secs(20), waiting).await.expect("it is heard of").unwrap();
    assert_eq!(reader.run("messages").await.unwrap().len(), 1);
}
