//! The three ways to follow a mailbox, each against Dovecot.

use connector_sdk::Operation;
use connector_testkit::mail::Dovecot;

use super::support::{MODES, Reader, Record, dovecot, mails};

const USER: &str = "ada@example.test";

fn subjects(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.record["subject"].as_str().unwrap_or("?")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_is_read_whole_and_then_only_what_is_new_or_gone() {
    for mode in MODES {
        let dovecot = dovecot!(Dovecot::builder().capabilities(mode));
        let mut ada = dovecot.session(USER).await.unwrap();
        ada.append_all("INBOX", mails(1..=25, 2_000)).await.unwrap();
        let mut reader = Reader::of(&dovecot, USER);
        let first = reader.run("messages").await.unwrap();
        let wanted: Vec<String> = (1..=25).map(|number| format!("mail {number}")).collect();
        assert_eq!(subjects(&first), wanted, "{mode:?}");
        assert!(first.iter().all(|record| record.operation == Operation::Upsert), "{mode:?}");
        assert!(reader.plan("messages").await.unwrap().is_empty(), "{mode:?}: nothing has changed");

        ada.expunge("INBOX", "3,7:9").await.unwrap();
        ada.append_all("INBOX", mails(26..=27, 500)).await.unwrap();
        reader.restart();
        let second = reader.run("messages").await.unwrap();
        let (gone, came): (Vec<_>, Vec<_>) =
            second.into_iter().partition(|record| record.operation == Operation::Delete);
        assert_eq!(gone.iter().map(Record::uid).collect::<Vec<_>>(), [3, 7, 8, 9], "{mode:?}");
        assert_eq!(subjects(&came), ["mail 26", "mail 27"], "{mode:?}");

        // Flags are told by another stream.
        ada.store("INBOX", "1:5", "+FLAGS (\\Flagged)").await.unwrap();
        assert!(reader.run("messages").await.unwrap().is_empty(), "{mode:?}");
        let flags = ada.flags("INBOX").await.unwrap();
        assert!(flags.iter().all(|(_, flags)| !flags.contains("Seen")), "nothing was marked: {flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_80_messages_that_are_alike_or_have_no_id_are_as_many_as_there_are() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.create("Work").await.unwrap();
    let (nameless, named) =
        (b"\r\nthe same\r\n".as_slice(), b"Message-ID: <a@b>\r\n\r\nthe same\r\n".as_slice());
    for mailbox in ["INBOX", "Work"] {
        ada.append_all(mailbox, [nameless, nameless, named, named]).await.unwrap();
    }
    let mut reader = Reader::of(&dovecot, USER);
    let records = reader.run("messages").await.unwrap();
    let keys: std::collections::BTreeSet<(String, u64)> = records
        .iter()
        .map(|record| (record.record["mailbox"].as_str().unwrap().to_owned(), record.uid()))
        .collect();
    assert_eq!((records.len(), keys.len()), (8, 8));
    let without = records.iter().filter(|record| record.record["message_id"].is_null()).count();
    assert_eq!(without, 4, "an id that nobody has given is none");
}

/// Keeps files in memory.
#[derive(Debug, Default)]
struct Kept(std::sync::Mutex<Vec<bytes::Bytes>>);

#[async_trait::async_trait]
impl connector_sdk::contract::Files for Kept {
    async fn keep(&self, sha256: [u8; 32], bytes: bytes::Bytes) -> connector_sdk::Result<String> {
        self.0.lock().unwrap().push(bytes);
        Ok(format!("_files/{:02x}", sha256[0]))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_and_the_mail_as_it_came_are_kept_where_they_are_wanted() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    let mail = b"Subject: with a file\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
        Content-Type: text/csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n1,2\r\n--b--\r\n";
    ada.append("INBOX", mail).await.unwrap();
    let mut config = super::support::config(dovecot.address(), USER);
    config["attachments"] = serde_json::json!("files");
    config["raw"] = serde_json::json!(true);
    let kept = std::sync::Arc::new(Kept::default());
    let cx = super::support::context().with_files(kept.clone());
    let read = Reader::with(config.clone(), cx).run("messages").await.unwrap();
    let attachment = &read[0].record["attachments"][0];
    assert_eq!(kept.0.lock().unwrap().as_slice(), [&b"1,2"[..]]);
    assert_eq!(attachment["filename"], "a.csv");
    let path = format!("_files/{}", &attachment["sha256"].as_str().unwrap()[..2]);
    assert_eq!(attachment["file"], path.as_str());
    use base64::Engine as _;
    let raw =
        base64::engine::general_purpose::STANDARD.decode(read[0].record["raw"].as_str().unwrap()).unwrap();
    assert_eq!(raw, mail);
    // Nobody keeps them here.
    let error = Reader::new(config).run("messages").await.unwrap_err();
    assert!(
        error.class() == connector_sdk::Class::Config && error.message().contains("`attachments"),
        "{error}"
    );
}
