//! Servers that do what real ones will not: each is bounded in time and memory, and says what is wrong.

use std::time::Duration;

use connector_sdk::{Class, Context, Network, resilience::Resilience};
use connector_testkit::{
    clock::FastClock,
    mail::{PASSWORD, Script, ScriptedServer},
};
use serde_json::{Value, json};

use super::support::{Reader, config};

pub(super) const USER: &str = "ada@example.test";
/// What a server can do that tells nothing of changes.
pub(super) const PLAIN: &str = "* CAPABILITY IMAP4rev1";

/// Signed in with LOGIN, at a server that can do this.
pub(super) fn let_in(capability: &str) -> Script {
    Script::new()
        .say("* OK hello")
        .hear_tagged("CAPABILITY")
        .say(capability)
        .say("{tag} OK done")
        .hear_tagged("LOGIN")
        .say("{tag} OK come in")
        .hear_tagged("CAPABILITY")
        .say(capability)
        .say("{tag} OK done")
}

/// INBOX with so many messages.
pub(super) fn inbox(script: Script, messages: u32) -> Script {
    script
        .hear_tagged("LIST")
        .say("* LIST (\\HasNoChildren) \"/\" INBOX")
        .say("{tag} OK done")
        .hear_tagged("STATUS")
        .say(&format!("* STATUS INBOX (MESSAGES {messages} UIDNEXT {} UIDVALIDITY 7 UNSEEN 0)", messages + 1))
        .say("{tag} OK done")
}

pub(super) fn examined(script: Script, messages: u32) -> Script {
    script
        .hear_tagged("EXAMINE")
        .say(&format!("* {messages} EXISTS"))
        .say("* OK [UIDVALIDITY 7] valid")
        .say(&format!("* OK [UIDNEXT {}] next", messages + 1))
        .say("{tag} OK [READ-ONLY] done")
}

/// A context in which waits are short and nothing is tried again.
fn impatient() -> Context {
    let mut resilience = Resilience::default();
    resilience.max_attempts = 1;
    resilience.idle_timeout = Duration::from_secs(30);
    Context::builder("acme", "mail")
        .network(Network::loopback())
        .resilience(resilience)
        .clock(FastClock::shared())
        .seed(7)
        .build()
}

pub(super) async fn reader(scripts: impl IntoIterator<Item = Script>) -> (ScriptedServer, Reader) {
    let server = ScriptedServer::start(scripts).await.unwrap();
    let reader = Reader::with(config(server.address(), USER), impatient());
    (server, reader)
}

fn message(uid: u32, body: &str) -> String {
    format!("* 1 FETCH (UID {uid} BODY[] {{{}}}\r\n{body})\r\n", body.len())
}

pub(super) fn metadata(uid: u32, size: usize) -> String {
    format!(
        "* 1 FETCH (FLAGS () UID {uid} INTERNALDATE \"20-Nov-2026 09:41:01 +0000\" RFC822.SIZE {size})\r\n"
    )
}

#[tokio::test]
async fn a_server_that_echoes_the_password_is_not_quoted() {
    let script = Script::new()
        .say("* OK hello")
        .hear_tagged("CAPABILITY")
        .say(PLAIN)
        .say("{tag} OK done")
        .hear_tagged("LOGIN")
        .say(&format!("{{tag}} NO [AUTHENTICATIONFAILED] no such user: LOGIN ada \"{PASSWORD}\""));
    let (_server, reader) = reader([script]).await;
    let error = reader.connector.authenticate(&reader.cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert!(!format!("{error:?}").contains(&format!("\"{PASSWORD}\"")), "{error:?}");
    assert!(error.to_string().contains("no such user"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_shown_to_the_server_once_and_not_again_by_each_partition() {
    let refuse = || {
        Script::new()
            .say("* OK hello")
            .hear_tagged("CAPABILITY")
            .say(PLAIN)
            .say("{tag} OK done")
            .hear_tagged("LOGIN")
            .say("{tag} NO [AUTHENTICATIONFAILED] no")
    };
    let (server, reader) = reader([refuse(), refuse(), refuse()]).await;
    for _ in 0..3 {
        assert_eq!(reader.connector.authenticate(&reader.cx).await.unwrap_err().class(), Class::Auth);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn case_81_nothing_is_taken_that_came_in_the_clear_before_tls_began() {
    let script = Script::new()
        .say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello")
        .hear_tagged("STARTTLS")
        .say_bytes("{tag} OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
    let server = ScriptedServer::start([script]).await.unwrap();
    let mut config = config(server.address(), USER);
    config["tls"] = json!("starttls");
    let reader = Reader::with(config, impatient());
    let error = reader.connector.authenticate(&reader.cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Permanent, "{error}");
    assert!(error.message().contains("before TLS began"), "{error}");
}

#[tokio::test]
async fn a_server_without_starttls_or_that_lets_us_in_before_it_gets_no_credential() {
    for (greeting, says) in [
        ("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello", "STARTTLS"),
        ("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] come in", "before TLS"),
    ] {
        let server = ScriptedServer::start([Script::new().say(greeting).stall()]).await.unwrap();
        let mut config = config(server.address(), USER);
        config["tls"] = json!("starttls");
        let reader = Reader::with(config, impatient());
        let error = reader.connector.authenticate(&reader.cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Config, "{error}");
        assert!(error.message().contains(says), "{error}");
        assert!(server.heard().iter().all(String::is_empty), "{:?}", server.heard());
    }
}

#[tokio::test]
async fn what_is_no_mail_server_and_one_that_says_nothing_are_told_apart() {
    let http = Script::new().say("HTTP/1.1 400 Bad Request").stall();
    let (_server, first) = reader([http]).await;
    let error = first.connector.authenticate(&first.cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error}");
    let (_server, second) = reader([Script::new().stall()]).await;
    let error = second.connector.authenticate(&second.cx).await.unwrap_err();
    assert_eq!((error.class(), error.message()), (Class::Transient, "the server is silent"));
}

#[tokio::test]
async fn a_line_and_a_literal_without_end_are_refused_in_bounded_memory() {
    for (flood, times) in
        [("x".repeat(1 << 16), 1_000), ("* 1 FETCH (FLAGS ".to_owned() + &"a ".repeat(1 << 15), 1_000)]
    {
        let script = let_in(PLAIN).hear_tagged("LIST").flood(flood, times);
        let (_server, mut reader) = reader([script]).await;
        let error = reader.run("messages").await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{error}");
        assert!(error.message().contains("too large"), "{error}");
    }
    let script = let_in(PLAIN).hear_tagged("LIST").say("* LIST () \"/\" {4000000000}").stall();
    let (_server, mut reader) = reader([script]).await;
    let error = reader.run("messages").await.unwrap_err();
    assert!(error.message().contains("4000000000"), "{error}");
}

#[tokio::test]
async fn lists_in_lists_and_responses_that_nobody_knows_do_not_end_a_session() {
    let script = let_in(PLAIN)
        .hear_tagged("LIST")
        .say(&format!("* LIST {} \"/\" x", "(".repeat(5_000)))
        .say("* LIST () \"/\"")
        .say("* XYZZY (a b \"c\")")
        .say("nonsense")
        .say("* OK Still here")
        .say("A999 OK who is that?")
        .say("* 5 EXISTS")
        .say("* LIST (\\HasNoChildren) \"/\" INBOX")
        .say("{tag} OK done")
        .hear_tagged("STATUS")
        .say("* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7 UNSEEN 0)")
        .say("{tag} OK done");
    let (_server, mut reader) = reader([script]).await;
    let names: Vec<Value> =
        reader.run("mailboxes").await.unwrap().into_iter().map(|record| record.key["name"].clone()).collect();
    assert_eq!(names, [json!("INBOX")]);
}

#[tokio::test]
async fn one_answer_that_cannot_be_read_costs_neither_the_session_nor_another_message() {
    let bad = "* 1 FETCH (UID 2 BODY[] (broken\r\n";
    let script = examined(inbox(let_in(PLAIN), 3), 3)
        .hear_tagged("UID SEARCH UID 1:3")
        .say("* SEARCH 1 2 3")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1:3 (UID FLAGS")
        .say_bytes([metadata(1, 20), metadata(2, 20), metadata(3, 20)].concat())
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1:3 (UID BODY.PEEK[])")
        .say_bytes(
            [message(1, "Subject: a\r\n\r\n"), bad.to_owned(), message(3, "Subject: c\r\n\r\n")].concat(),
        )
        .say("{tag} OK done")
        .hear_tagged("UID SEARCH UID 2")
        .say("* SEARCH 2")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 2 ")
        .say_bytes(bad)
        .say("{tag} OK done");
    let (server, mut reader) = reader([script]).await;
    let records = reader.run("messages").await.unwrap();
    assert_eq!(server.wrong(), Vec::<String>::new());
    let subjects: Vec<&Value> = records.iter().map(|record| &record.record["subject"]).collect();
    assert_eq!(records.iter().map(|record| record.uid()).collect::<Vec<_>>(), [1, 3, 2]);
    assert_eq!(subjects, [&json!("a"), &json!("c"), &Value::Null]);
    let defects = records[2].record["defects"].as_array().unwrap();
    assert!(!defects.is_empty(), "what could not be had is said");
}

#[tokio::test]
async fn a_message_that_goes_between_its_metadata_and_its_body_is_no_error() {
    let script = examined(inbox(let_in(PLAIN), 2), 2)
        .hear_tagged("UID SEARCH")
        .say("* SEARCH 1 2")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1:2 (UID FLAGS")
        .say_bytes([metadata(1, 20), metadata(2, 20)].concat())
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1:2 (UID BODY.PEEK[])")
        .say("* 1 EXPUNGE")
        .say_bytes(message(2, "Subject: b\r\n\r\n"))
        .say("{tag} OK done")
        .hear_tagged("UID SEARCH UID 1")
        .say("* SEARCH")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 ")
        .say("{tag} OK done");
    let (server, mut reader) = reader([script]).await;
    let records = reader.run("messages").await.unwrap();
    assert_eq!(server.wrong(), Vec::<String>::new());
    assert_eq!(records.iter().map(|record| record.uid()).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_size_that_is_not_true_does_not_fill_the_memory() {
    let body = "x".repeat(200_000);
    let whole = examined(inbox(let_in(PLAIN), 1), 1)
        .hear_tagged("UID SEARCH")
        .say("* SEARCH 1")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID FLAGS")
        .say_bytes(metadata(1, 20))
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID BODY.PEEK[])")
        .say_bytes(message(1, &body))
        .say("{tag} OK done");
    let part = "Subject: long\r\n\r\n".to_owned() + &body[..10_241 - 17];
    let cut = examined(let_in(PLAIN), 1)
        .hear_tagged("UID SEARCH")
        .say("* SEARCH 1")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID FLAGS")
        .say_bytes(metadata(1, 20))
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID BODY.PEEK[]<0.10241>)")
        .say_bytes(message(1, &part).replace("BODY[]", "BODY[]<0>"))
        .say("{tag} OK done");
    let server = ScriptedServer::start([whole, cut]).await.unwrap();
    let mut config = config(server.address(), USER);
    config["max_message"] = json!("10KiB");
    let mut reader = Reader::with(config, impatient());
    let records = reader.run("messages").await.unwrap();
    assert_eq!(server.wrong(), Vec::<String>::new());
    assert_eq!(records[0].record["subject"], "long");
    assert!(
        records[0].record["defects"].to_string().contains("message_cut"),
        "{}",
        records[0].record["defects"]
    );
}

#[tokio::test]
async fn a_silent_server_in_the_middle_of_a_message_is_not_waited_for_for_ever() {
    let script = examined(inbox(let_in(PLAIN), 1), 1)
        .hear_tagged("UID SEARCH")
        .say("* SEARCH 1")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID FLAGS")
        .say_bytes(metadata(1, 5_000))
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID BODY.PEEK[])")
        .say_bytes("* 1 FETCH (UID 1 BODY[] {5000}\r\nSubject: ")
        .stall();
    let (_server, mut reader) = reader([script]).await;
    let error = reader.run("messages").await.unwrap_err();
    assert_eq!((error.class(), error.message()), (Class::Transient, "the server is silent"));
    assert!(reader.state.partitions.is_empty(), "no state covers what has not come");
}

#[tokio::test]
async fn half_a_thousand_million_vanished_messages_cost_nothing() {
    const QRESYNC: &str = "* CAPABILITY IMAP4rev1 ENABLE QRESYNC CONDSTORE ESEARCH";
    let enabled =
        |script: Script| script.hear_tagged("ENABLE QRESYNC").say("* ENABLED QRESYNC").say("{tag} OK done");
    let listed = |script: Script, messages: u32, next: u32, modseq: u32| {
        script
            .hear_tagged("LIST")
            .say("* LIST () \"/\" INBOX")
            .say("{tag} OK done")
            .hear_tagged("STATUS")
            .say(&format!(
                "* STATUS INBOX (MESSAGES {messages} UIDNEXT {next} UIDVALIDITY 7 UNSEEN 0 HIGHESTMODSEQ {modseq})"
            ))
            .say("{tag} OK done")
    };
    let first = listed(enabled(let_in(QRESYNC)), 1, 2, 5)
        .hear_tagged("EXAMINE")
        .say("* 1 EXISTS")
        .say("* OK [UIDVALIDITY 7] valid")
        .say("* OK [UIDNEXT 2] next")
        .say("* OK [HIGHESTMODSEQ 5] highest")
        .say("{tag} OK done")
        .hear_tagged("UID SEARCH RETURN (ALL) UID 1:1")
        .say("* ESEARCH (TAG \"x\") UID ALL 1")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID FLAGS")
        .say_bytes(metadata(1, 20))
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID BODY")
        .say_bytes(message(1, "Subject: a\r\n\r\n"))
        .say("{tag} OK done");
    let second = listed(enabled(let_in(QRESYNC)), 0, 2, 9)
        .hear_tagged("EXAMINE \"INBOX\" (QRESYNC (7 5 1))")
        .say("* 0 EXISTS")
        .say("* OK [UIDVALIDITY 7] valid")
        .say("* OK [UIDNEXT 2] next")
        .say("* OK [HIGHESTMODSEQ 9] highest")
        .say("* VANISHED (EARLIER) 1:500000000")
        .say("{tag} OK done");
    let (server, mut reader) = reader([first, second]).await;
    assert_eq!(reader.run("messages").await.unwrap().len(), 1);
    reader.restart();
    let gone = reader.run("messages").await.unwrap();
    assert_eq!(server.wrong(), Vec::<String>::new());
    assert_eq!(
        gone.iter().map(|record| (record.operation, record.uid())).collect::<Vec<_>>(),
        [(connector_sdk::Operation::Delete, 1)]
    );
}

#[tokio::test]
async fn who_is_asked_to_slow_down_says_when_it_goes_on() {
    let script = let_in(PLAIN)
        .hear_tagged("LIST")
        .say("{tag} NO [OVERQUOTA] Account exceeded command or bandwidth limits");
    let server = ScriptedServer::start([script]).await.unwrap();
    let mut resilience = Resilience::default();
    resilience.deadline = Duration::from_secs(10);
    let cx = Context::builder("acme", "mail").network(Network::loopback()).resilience(resilience).build();
    let mut reader = Reader::with(config(server.address(), USER), cx);
    let error = reader.run("messages").await.unwrap_err();
    assert_eq!(error.class(), Class::RateLimited);
    assert!(error.resume_at().is_some(), "{error:?}");
}

/// RFC 9051, 6.4.8: `5:*` is the last message, whatever its UID is.
#[tokio::test]
async fn case_79_the_last_message_is_not_taken_for_a_new_one_and_a_number_in_a_row_not_for_a_uid() {
    let opened = |script: Script, messages: u32| {
        script
            .hear_tagged("EXAMINE")
            .say(&format!("* {messages} EXISTS"))
            .say("* OK [UIDVALIDITY 7] valid")
            .say("{tag} OK done")
    };
    let listed = |script: Script| {
        script
            .hear_tagged("LIST")
            .say("* LIST () \"/\" INBOX")
            .say("{tag} OK done")
            .hear_tagged("STATUS")
            .say("{tag} NO not today")
    };
    let first = opened(listed(let_in(PLAIN)), 1)
        .hear_tagged("UID SEARCH UID 1:*")
        .say("* SEARCH 4")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 4 (UID FLAGS")
        .say("* 9 FETCH (FLAGS (\\Seen))")
        .say("* 3 FETCH (UID 3 FLAGS () RFC822.SIZE 1)")
        .say_bytes(metadata(4, 20))
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 4 (UID BODY")
        .say_bytes(message(9, "Subject: another\r\n\r\n"))
        .say("* 4 FETCH (FLAGS (\\Seen) BODY[] {3}\r\nabc)")
        .say_bytes(message(4, "Subject: a\r\n\r\n"))
        .say_bytes(message(4, "Subject: again\r\n\r\n"))
        .say("{tag} OK done");
    let second = opened(listed(let_in(PLAIN)), 1)
        .hear_tagged("UID SEARCH UID 1:4")
        .say("* SEARCH 4")
        .say("{tag} OK done")
        .hear_tagged("UID SEARCH UID 5:*")
        .say("* SEARCH 4")
        .say("{tag} OK done");
    let (server, mut reader) = reader([first, second]).await;
    let read = reader.run("messages").await.unwrap();
    assert_eq!(read.iter().map(|record| record.uid()).collect::<Vec<_>>(), [4]);
    assert_eq!(read[0].record["subject"], "a");
    reader.restart();
    assert_eq!(reader.run("messages").await.unwrap(), []);
    assert_eq!(server.wrong(), Vec::<String>::new());
}

#[tokio::test]
async fn a_search_that_is_not_answered_is_not_taken_for_an_empty_mailbox() {
    const ESEARCH: &str = "* CAPABILITY IMAP4rev1 ESEARCH";
    let script =
        examined(inbox(let_in(ESEARCH), 3), 3).hear_tagged("UID SEARCH RETURN (ALL)").say("{tag} OK done");
    let (_server, mut reader) = reader([script]).await;
    let error = reader.run("messages").await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
    assert!(reader.state.partitions.is_empty());
}
