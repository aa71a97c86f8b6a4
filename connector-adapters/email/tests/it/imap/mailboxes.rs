//! What happens to mailboxes while they are followed.

use connector_sdk::{Class, Operation};
use connector_testkit::{
    fault::{Line, TcpProxy, Way},
    mail::{Capabilities, Dovecot},
};
use serde_json::json;

use super::support::{MODES, Reader, Record, config, dovecot, mail, mails};

const USER: &str = "ada@example.test";

fn uids(records: &[Record], operation: Operation) -> Vec<u64> {
    records.iter().filter(|record| record.operation == operation).map(Record::uid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_78_a_mailbox_whose_uids_mean_others_is_announced_and_read_anew() {
    for mode in MODES {
        let dovecot = dovecot!(Dovecot::builder().capabilities(mode));
        let mut ada = dovecot.session(USER).await.unwrap();
        ada.append_all("INBOX", mails(1..=5, 500)).await.unwrap();
        let mut reader = Reader::of(&dovecot, USER);
        for stream in ["messages", "flags"] {
            let mut reader = Reader::of(&dovecot, USER);
            assert_eq!(reader.run(stream).await.unwrap().len(), 5);
        }
        assert_eq!(reader.run("messages").await.unwrap().len(), 5);
        dovecot.set_uid_validity(USER, "INBOX", 4_000_000_000).await.unwrap();
        reader.restart();
        let again = reader.run("messages").await.unwrap();
        assert_eq!(again[0].operation, Operation::Reset, "{mode:?}");
        assert_eq!(again.len(), 6, "{mode:?}: {again:#?}");
        assert!(again[1..].iter().all(|record| record.key["uid_validity"] == 4_000_000_000_u64), "{mode:?}");
        assert!(reader.plan("messages").await.unwrap().is_empty(), "{mode:?}: said once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_is_gone_is_said_once_and_the_others_are_read() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.create("Work").await.unwrap();
    for mailbox in ["INBOX", "Work"] {
        ada.append_all(mailbox, mails(1..=3, 500)).await.unwrap();
    }
    let mut reader = Reader::of(&dovecot, USER);
    assert_eq!(reader.run("messages").await.unwrap().len(), 6);
    ada.delete("Work").await.unwrap();
    ada.append("INBOX", &mail(9, 500)).await.unwrap();
    let after = reader.run("messages").await.unwrap();
    let of = |mailbox: &str| -> Vec<Operation> {
        after.iter().filter(|record| record.partition == mailbox).map(|record| record.operation).collect()
    };
    assert_eq!((of("INBOX"), of("Work")), (vec![Operation::Upsert], vec![Operation::Reset]));
    assert!(reader.plan("messages").await.unwrap().is_empty());
    // It comes again, as another one.
    ada.create("Work").await.unwrap();
    ada.append("Work", &mail(1, 500)).await.unwrap();
    assert_eq!(uids(&reader.run("messages").await.unwrap(), Operation::Upsert).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_goes_between_plan_and_read_is_skipped() {
    use connector_sdk::{Message, ReadRequest};
    use futures_util::StreamExt;
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.create("Work").await.unwrap();
    ada.append("Work", &mail(1, 500)).await.unwrap();
    let reader = Reader::of(&dovecot, USER);
    let selection = super::support::selection("messages");
    let plan = reader.connector.partitions(&reader.cx, &selection, &reader.state).await.unwrap();
    let work = plan.partitions.into_iter().find(|partition| partition.id.as_str() == "Work").unwrap();
    ada.delete("Work").await.unwrap();
    let request = ReadRequest::new(reader.cx.clone(), selection, work);
    let messages: Vec<_> = reader.connector.read(request).collect().await;
    assert!(
        matches!(&messages[..], [Ok(Message::Skip(error))] if error.class() == Class::Permanent),
        "{messages:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_in_any_script_and_in_broken_utf7_are_read() {
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    for raw in ["Entw&APw-rfe", "a&-b", "&ZeVnLIqe-/&U,BTFw-", "with \\\"quotes\\\""] {
        let raw = raw.replace("\\\"", "\"");
        ada.create(&raw).await.unwrap();
        ada.append(&raw, &mail(1, 500)).await.unwrap();
    }
    let mut reader = Reader::of(&dovecot, USER);
    let mut read: Vec<String> =
        reader.run("messages").await.unwrap().into_iter().map(|record| record.partition).collect();
    read.sort_unstable();
    assert_eq!(read, ["Entwürfe", "a&b", "with \"quotes\"", "日本語/台北"]);
    let listed = reader.run("mailboxes").await.unwrap();
    let inner = listed.iter().find(|record| record.key["name"] == "日本語/台北").unwrap();
    assert_eq!(inner.record["raw_name"], "&ZeVnLIqe-/&U,BTFw-");
    assert_eq!((inner.record["messages"].as_u64(), inner.record["delimiter"].as_str()), (Some(1), Some("/")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_in_the_middle_costs_no_message_and_none_comes_twice() {
    for mode in MODES {
        let dovecot = dovecot!(Dovecot::builder().capabilities(mode));
        let mut ada = dovecot.session(USER).await.unwrap();
        ada.append_all("INBOX", mails(1..=60, 20_000)).await.unwrap();
        let proxy = TcpProxy::start(dovecot.address()).await.unwrap();
        // Each of the first connections passes a third of it.
        proxy.on(1..=3, Line::Reset { way: Way::Down, after: 500_000 });
        let mut config = config(proxy.address(), USER);
        config["page_size"] = json!(7);
        let mut reader = Reader::new(config);
        let read = reader.run("messages").await.unwrap();
        assert_eq!(uids(&read, Operation::Upsert), (1..=60).collect::<Vec<u64>>(), "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uids_that_change_their_meaning_while_a_read_goes_on_are_noticed_when_it_connects_again() {
    use connector_sdk::{Message, ReadRequest};
    use futures_util::StreamExt;
    let dovecot = dovecot!(Dovecot::builder());
    let mut ada = dovecot.session(USER).await.unwrap();
    ada.append_all("INBOX", mails(1..=40, 20_000)).await.unwrap();
    let proxy = TcpProxy::start(dovecot.address()).await.unwrap();
    proxy.on(1..=1, Line::Reset { way: Way::Down, after: 400_000 });
    let mut config = config(proxy.address(), USER);
    config["page_size"] = json!(5);
    let reader = Reader::new(config);
    let selection = super::support::selection("messages");
    let plan = reader.connector.partitions(&reader.cx, &selection, &reader.state).await.unwrap();
    let inbox = plan.partitions.into_iter().next().unwrap();
    let mut messages = reader.connector.read(ReadRequest::new(reader.cx.clone(), selection, inbox));
    let mut after_reset = None;
    let mut validities = Vec::new();
    while let Some(message) = messages.next().await {
        let Message::Batch(batch) = message.unwrap() else { continue };
        for record in batch.iter() {
            if record.operation == Operation::Reset {
                after_reset = Some(Vec::new());
            } else if let Some(after) = &mut after_reset {
                let key: serde_json::Value = serde_json::from_slice(record.key.unwrap()).unwrap();
                after.push(key["uid"].as_u64().unwrap());
                validities.push(key["uid_validity"].as_u64().unwrap());
            }
        }
        if after_reset.is_none() {
            dovecot.set_uid_validity(USER, "INBOX", 4_000_000_000).await.unwrap();
        }
    }
    assert_eq!(after_reset.expect("it is said that all before is void"), (1..=40).collect::<Vec<u64>>());
    assert!(validities.iter().all(|validity| *validity == 4_000_000_000), "{validities:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_came_in_since_is_read() {
    let dovecot = dovecot!(Dovecot::builder().capabilities(Capabilities::Plain));
    let mut ada = dovecot.session(USER).await.unwrap();
    for (number, day) in ["10", "15", "20"].into_iter().enumerate() {
        let date = format!("() \"{day}-Nov-2026 12:00:00 +0000\"");
        ada.append_with("INBOX", &date, &mail(number, 500)).await.unwrap();
    }
    let reader = Reader::of(&dovecot, USER);
    let mut selection = super::support::selection("messages");
    selection = selection.with_since(Some("2026-11-15T12:00:00Z".parse().unwrap()));
    let plan = reader.connector.partitions(&reader.cx, &selection, &reader.state).await.unwrap();
    let inbox = plan.partitions.into_iter().next().unwrap();
    let request = connector_sdk::ReadRequest::new(reader.cx.clone(), selection, inbox);
    let messages: Vec<_> = futures_util::StreamExt::collect(reader.connector.read(request)).await;
    let count: usize = messages
        .iter()
        .filter_map(|message| match message {
            Ok(connector_sdk::Message::Batch(batch)) => Some(batch.len()),
            _ => None,
        })
        .sum();
    assert_eq!(count, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_come_once_and_then_as_they_change() {
    for mode in MODES {
        let dovecot = dovecot!(Dovecot::builder().capabilities(mode));
        let mut ada = dovecot.session(USER).await.unwrap();
        ada.append_all("INBOX", mails(1..=10, 500)).await.unwrap();
        let mut reader = Reader::of(&dovecot, USER);
        assert_eq!(reader.run("flags").await.unwrap().len(), 10, "{mode:?}");
        assert!(reader.run("flags").await.unwrap().is_empty(), "{mode:?}");
        ada.store("INBOX", "3,5", "+FLAGS (\\Flagged $Work)").await.unwrap();
        ada.expunge("INBOX", "7").await.unwrap();
        ada.append("INBOX", &mail(11, 500)).await.unwrap();
        let changed = reader.run("flags").await.unwrap();
        assert_eq!(uids(&changed, Operation::Delete), [7], "{mode:?}");
        assert_eq!(uids(&changed, Operation::Upsert), [3, 5, 11], "{mode:?}");
        let third = changed.iter().find(|record| record.uid() == 3).unwrap();
        assert_eq!(third.record["flags"], json!(["$Work", "\\Flagged"]), "{mode:?}");
        assert!(reader.run("flags").await.unwrap().is_empty(), "{mode:?}");
    }
}
