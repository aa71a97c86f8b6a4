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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_read_whole_is_never_taken_away() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.append_all("INBOX", [mail(1, 500), mail(2, 30_000), mail(3, 500)]).await.unwrap();
    let mut config = config(dovecot.address(), USER);
    (config["after"], config["max_message"]) = (json!({ "delete": true }), json!("10KiB"));
    let mut reader = Reader::new(config);
    assert_eq!(reader.run("messages").await.unwrap().len(), 3);
    acknowledge(&reader, None).await.unwrap();
    let left: Vec<u32> = ada.messages("INBOX").await.unwrap().into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(left, [2], "its end is nowhere else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acting_does_not_wait_for_those_who_read() {
    use connector_sdk::{Message, ReadRequest};
    use futures_util::StreamExt;
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.append_all("INBOX", mails(1..=20, 500)).await.unwrap();
    let mut config = config(dovecot.address(), USER);
    config["after"] = json!({ "mark_seen": true });
    (config["connections"], config["page_size"]) = (json!(1), json!(5));
    let one = super::support::connect(&config, &super::support::context()).err().unwrap();
    assert!(one.message().contains("`connections`"), "{one}");
    config["connections"] = json!(2);
    let reader = Reader::new(config);
    let selection = super::support::selection("messages");
    let plan = reader.connector.partitions(&reader.cx, &selection, &reader.state).await.unwrap();
    let inbox = plan.partitions.into_iter().next().unwrap();
    let mut read = reader.connector.read(ReadRequest::new(reader.cx.clone(), selection, inbox));
    let state = loop {
        if let Message::State(state) = read.next().await.unwrap().unwrap() {
            break state;
        }
    };
    let done = Acknowledged { stream: "messages".into(), partition: "INBOX".into(), previous: None, state };
    let acted = reader.connector.acknowledge(&reader.cx, &done);
    let clock = connector_sdk::SystemClock::new();
    timeout(&clock, Duration::from_secs(20), acted).await.expect("it does not wait for the read").unwrap();
    drop(read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_before_anybody_asked_for_it_is_left_alone_and_nothing_is_marked_again() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.append_all("INBOX", mails(1..=3, 500)).await.unwrap();
    let mut without = Reader::of(&dovecot, USER);
    without.run("messages").await.unwrap();
    let mut reader = with(&dovecot, json!({ "delete": true }));
    reader.state = without.state.clone();
    // As a host does when it opens a stream.
    acknowledge(&reader, None).await.unwrap();
    ada.append("INBOX", &mail(4, 500)).await.unwrap();
    assert_eq!(reader.run("messages").await.unwrap().len(), 1);
    acknowledge(&reader, None).await.unwrap();
    assert_eq!(ada.messages("INBOX").await.unwrap().len(), 3, "the backlog stays");

    let mut marks = with(&dovecot, json!({ "mark_seen": true }));
    ada.append("INBOX", &mail(5, 500)).await.unwrap();
    marks.state = reader.state.clone();
    marks.run("messages").await.unwrap();
    acknowledge(&marks, None).await.unwrap();
    ada.store("INBOX", "5", "-FLAGS (\\Seen)").await.unwrap();
    acknowledge(&marks, None).await.unwrap();
    marks.restart();
    acknowledge(&marks, None).await.unwrap();
    let flags = ada.flags("INBOX").await.unwrap();
    assert!(flags.iter().all(|(_, flags)| !flags.contains("\\Seen")), "{flags:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_copy_of_what_we_took_away_is_not_declared_void() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.append_all("INBOX", mails(1..=2, 500)).await.unwrap();
    let mut reader = with(&dovecot, json!({ "delete": true }));
    reader.run("messages").await.unwrap();
    acknowledge(&reader, None).await.unwrap();
    ada.append("INBOX", &mail(3, 500)).await.unwrap();
    dovecot.set_uid_validity(USER, "INBOX", 4_000_000_000).await.unwrap();
    reader.restart();
    let after = reader.run("messages").await.unwrap();
    assert_eq!(
        after.iter().map(|record| record.operation).collect::<Vec<_>>(),
        [connector_sdk::Operation::Upsert]
    );
    let selection = super::support::selection("messages").with_mode(connector_sdk::SyncMode::Full);
    let plan = reader.connector.partitions(&reader.cx, &selection, &reader.state).await.unwrap();
    let inbox = plan.partitions.into_iter().next().unwrap();
    let request = connector_sdk::ReadRequest::new(reader.cx.clone(), selection, inbox);
    let first = futures_util::StreamExt::next(&mut reader.connector.read(request)).await.unwrap();
    assert_eq!(first.unwrap_err().class(), connector_sdk::Class::Config);
}
