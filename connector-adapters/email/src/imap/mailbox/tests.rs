use super::*;
use crate::imap::{config::ImapConfig, wire::Response};

fn settings(more: &str) -> Settings {
    let auth = r#""auth": {"password": {"username": "u", "password": "p"}}"#;
    let config: ImapConfig =
        serde_json::from_str(&format!(r#"{{"host": "imap.gmail.com", {auth}{more}}}"#)).unwrap();
    config.check(&connector_sdk::Network::default()).unwrap()
}

fn found(lines: &[&str]) -> Vec<Mailbox> {
    let mut found = Found::default();
    for line in lines {
        found.take(&Response::from(line.as_bytes())).unwrap();
    }
    found.into_mailboxes()
}

fn names(mailboxes: &[Mailbox], settings: &Settings) -> Vec<String> {
    selected(mailboxes, settings).into_iter().map(|at| mailboxes[at].name.clone()).collect()
}

#[test]
fn mailboxes_are_what_list_and_status_say_and_inbox_is_inbox() {
    let mailboxes = found(&[
        "* LIST (\\HasNoChildren) \"/\" inbox\r\n",
        "* STATUS \"InBox\" (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 7 UNSEEN 1 HIGHESTMODSEQ 0 SIZE 9)\r\n",
        "* LIST (\\Noselect) NIL {3}\r\na&b\r\n",
        "* LIST (\\Sent) \"/\" \"Entw&APw-rfe\"\r\n",
        "* LIST broken\r\n",
    ]);
    let shown: Vec<&str> = mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
    assert_eq!(shown, ["Entwürfe", "INBOX", "a&b"]);
    let status = mailboxes[1].status.unwrap();
    assert_eq!((status.messages, status.uid_next, status.modseq), (Some(5), Some(6), None));
    assert!(!mailboxes[2].can_be_opened() && mailboxes[2].delimiter.is_none() && mailboxes[2].raw == b"a&b");
}

#[test]
fn two_names_that_look_alike_are_two_mailboxes() {
    let mailboxes = found(&[
        "* LIST () \"/\" \"&APw-\"\r\n",
        "* LIST () \"/\" \"&APw\"\r\n",
        "* LIST () \"/\" {2}\r\n\u{fc}\r\n",
    ]);
    let shown: Vec<&str> = mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
    assert_eq!(shown, ["&APw", "\\xc3\\xbc", "ü"]);
}

#[test]
fn with_gmail_a_mail_is_read_once_and_not_for_each_label() {
    let mailboxes = found(&[
        "* LIST () \"/\" INBOX\r\n",
        "* LIST (\\HasChildren \\Noselect) \"/\" [Gmail]\r\n",
        "* LIST (\\All) \"/\" \"[Gmail]/All Mail\"\r\n",
        "* LIST (\\Junk) \"/\" \"[Gmail]/Spam\"\r\n",
        "* LIST () \"/\" Work\r\n",
    ]);
    assert_eq!(names(&mailboxes, &settings("")), ["[Gmail]/All Mail", "[Gmail]/Spam"]);
    assert_eq!(names(&mailboxes, &settings(r#", "mailboxes": ["W*"]"#)), ["Work"]);
    assert_eq!(names(&mailboxes[..1], &settings("")), ["INBOX"], "where All Mail is not shown");
    assert_eq!(names(&mailboxes, &settings(r#", "profile": "generic", "after": {"move": "Work"}"#)).len(), 3);
}
