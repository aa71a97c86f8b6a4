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
