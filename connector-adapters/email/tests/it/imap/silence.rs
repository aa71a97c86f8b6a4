//! Servers that do not say what they should: their silence is no answer.

use connector_sdk::Class;
use connector_testkit::mail::{Script, ScriptedServer};
use serde_json::json;

use super::{
    hostile::{PLAIN, USER, examined, inbox, let_in, metadata, reader},
    support::{Reader, config},
};

#[tokio::test]
async fn a_message_is_gone_only_when_the_server_says_so() {
    for answer in ["{tag} NO not now", "{tag} BAD what?", "{tag} OK done", "* SEARCH x y\r\n{tag} OK done"] {
        let script = examined(inbox(let_in(PLAIN), 1), 1)
            .hear_tagged("UID SEARCH UID 1:1")
            .say("* SEARCH 1")
            .say("{tag} OK done")
            .hear_tagged("UID FETCH 1 (UID FLAGS")
            .say_bytes(metadata(1, 20))
            .say("{tag} OK done")
            .hear_tagged("UID FETCH 1 (UID BODY.PEEK[])")
            .say("{tag} OK done")
            .hear_tagged("UID SEARCH UID 1")
            .say(answer)
            .hear_tagged("UID FETCH 1 ")
            .say("{tag} OK done");
        let (_server, mut reader) = reader([script]).await;
        let error = reader.run("messages").await.unwrap_err();
        assert_eq!(error.class(), Class::Transient, "{answer}: {error}");
        assert!(reader.state.partitions.is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_how_much_there_is_deletes_nothing() {
    let script = inbox(let_in(PLAIN), 3)
        .hear_tagged("EXAMINE")
        .say("* OK [UIDVALIDITY 7] valid")
        .say("* OK [UIDNEXT 4] next")
        .say("{tag} OK done");
    let (_server, mut reader) = reader([script]).await;
    let error = reader.run("messages").await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
    let unanswered = examined(inbox(let_in(PLAIN), 3), 3).hear_tagged("UID SEARCH").say("{tag} OK done");
    let (_server, mut reader) = self::reader([unanswered]).await;
    let error = reader.run("messages").await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
}

#[tokio::test]
async fn flags_that_a_lost_connection_took_along_are_told_again() {
    let load = examined(inbox(let_in(PLAIN), 1), 1)
        .hear_tagged("UID SEARCH UID 1:1")
        .say("* SEARCH 1")
        .say("{tag} OK done")
        .hear_tagged("UID FETCH 1 (UID FLAGS)")
        .say("* 1 FETCH (UID 1 FLAGS ())")
        .say("{tag} OK done");
    let changed = |script: Script| {
        examined(script, 1).hear_tagged("UID FETCH 1 (UID FLAGS)").say("* 1 FETCH (UID 1 FLAGS (\\Flagged))")
    };
    let lost = changed(inbox(let_in(PLAIN), 1));
    let again = changed(let_in(PLAIN)).say("{tag} OK done");
    let server = ScriptedServer::start([load, lost, again]).await.unwrap();
    let mut reader = Reader::new(config(server.address(), USER));
    assert_eq!(reader.run("flags").await.unwrap().len(), 1);
    reader.restart();
    let told = reader.run("flags").await.unwrap();
    assert_eq!(server.wrong(), Vec::<String>::new());
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].record["flags"], json!(["\\Flagged"]));
}

#[tokio::test]
async fn a_server_full_of_braces_costs_no_more_than_its_bytes() {
    let braces = format!("* XYZZY {}", "{1 ".repeat(300_000));
    let script = let_in(PLAIN)
        .hear_tagged("LIST")
        .say(&format!("* LIST {}", "{1 ".repeat(300_000)))
        .say(&braces)
        .say("* LIST () \"/\" INBOX")
        .say("{tag} OK done")
        .hear_tagged("STATUS")
        .say("* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7 UNSEEN 0)")
        .say("{tag} OK done");
    let (_server, mut reader) = reader([script]).await;
    assert_eq!(reader.run("mailboxes").await.unwrap().len(), 1);
}
