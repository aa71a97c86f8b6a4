//! The real process over a live mailbox, killed with SIGKILL again and again while people write, and take away: each
//! message stands in Bronze once, whole, and each that went away is said to be gone once (rule D-02).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::{Clock as _, SystemClock};
use connector_testkit::mail::{Capabilities, Dovecot, PASSWORD, Session};

use crate::crash::{envelopes, finish, start, until};

const MAILBOXES: [&str; 3] = ["INBOX", "Lists", "Work"];
const USER: &str = "anna@example.test";

/// Which message, by mailbox and UID, and what it is.
type Truth = BTreeMap<(String, u32), Vec<u8>>;

fn template(folder: &Path, dovecot: &Dovecot) -> PathBuf {
    let path = folder.join("mail.yaml");
    let text = format!(
        "connector: email/imap\n\
         tenant: acme\n\
         name: crm\n\
         config:\n  host: localhost\n  port: {}\n  page_size: 10\n  raw: true\n  \
         auth: {{ password: {{ username: {USER}, password: {PASSWORD} }} }}\n\
         streams: [ {{ name: messages, mode: incremental }} ]\n\
         bronze: {{ path: ./bronze, format: jsonl, commit: {{ bytes: 16KiB, interval: 10ms }} }}\n\
         registry: sqlite://./registry.db\n\
         network: {{ allow: [127.0.0.0/8, \"::1/128\"], ca_file: {} }}\n",
        dovecot.tls_address().port(),
        dovecot.authority_file().display(),
    );
    fs::write(&path, text).unwrap();
    path
}

/// Numbers that come in the same order each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// Somebody writes so many mails to each mailbox; what they are is added.
async fn write(session: &mut Session, truth: &mut Truth, random: &mut Random, count: usize) {
    for mailbox in MAILBOXES {
        for _ in 0..count {
            let number = truth.len();
            let mut mail = format!(
                "Message-ID: <{number}@example.test>\r\nSubject: mail {number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            )
            .into_bytes();
            mail.extend(b"Gr\xc3\xbc\xc3\x9fe, and \xff what is no text\r\n".repeat(1 + random.below(60)));
            let uid = session.append(mailbox, &mail).await.unwrap();
            truth.insert((mailbox.to_owned(), uid), mail);
        }
    }
}

/// How much stands in Bronze by now: files with rows.
fn files(bronze: &Path) -> usize {
    let Ok(days) = fs::read_dir(bronze.join("acme/crm/messages")) else { return 0 };
    let days = days.filter_map(|day| fs::read_dir(day.ok()?.path()).ok());
    days.map(|files| {
        files
            .filter(|file| {
                file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|is| is == "jsonl"))
            })
            .count()
    })
    .sum()
}

/// What Bronze says must be what happened: `all` that ever was, and `gone` of it.
fn assert_equals(bronze: &Path, all: &Truth, gone: &BTreeSet<(String, u32)>) {
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let (mut found, mut deleted) = (BTreeMap::new(), BTreeSet::new());
    let mut envelopes = envelopes(bronze, "messages");
    // Files come in no order.
    envelopes.sort_by_key(|envelope| envelope["sequence"].as_u64());
    for envelope in envelopes {
        let partition = envelope["partition"].as_str().unwrap().to_owned();
        numbers.entry(partition).or_default().push(envelope["sequence"].as_u64().unwrap());
        let key = &envelope["key"];
        let key = (
            key["mailbox"].as_str().unwrap().to_owned(),
            u32::try_from(key["uid"].as_u64().unwrap()).unwrap(),
        );
        if envelope["operation"] == "delete" {
            assert!(found.contains_key(&key), "{key:?} is gone before it was there");
            assert!(deleted.insert(key.clone()), "{key:?} is gone twice");
            continue;
        }
        let raw = STANDARD.decode(envelope["record"]["raw"].as_str().unwrap()).unwrap();
        assert!(found.insert(key.clone(), raw).is_none(), "{key:?} stands twice");
    }
    for (partition, mut numbers) in numbers {
        numbers.sort_unstable();
        let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, expected, "the numbers of {partition} have a gap or a repeat");
    }
    for (key, raw) in &found {
        assert!(all[key] == *raw, "{key:?} is not what was written");
    }
    for key in all.keys() {
        // One that went away before anybody read it leaves no trace.
        assert!(found.contains_key(key) || gone.contains(key), "{key:?} is lost");
        assert_eq!(
            deleted.contains(key),
            gone.contains(key) && found.contains_key(key),
            "{key:?}: gone or not?"
        );
    }
}

async fn sweep(capabilities: Capabilities, kills: usize, seed: u64) {
    let Some(dovecot) = Dovecot::builder().capabilities(capabilities).start().await.unwrap() else { return };
    let (folder, mut random) = (tempfile::tempdir().unwrap(), Random(seed));
    let (template, bronze) = (template(folder.path(), &dovecot), folder.path().join("bronze"));
    let (mut all, mut gone) = (Truth::new(), BTreeSet::new());
    let mut session = dovecot.session(USER).await.unwrap();
    for mailbox in ["Lists", "Work"] {
        session.create(mailbox).await.unwrap();
    }
    write(&mut session, &mut all, &mut random, 150).await;
    let mut killed = 0;
    for _ in 0..kills * 4 {
        let mut child = start(&template);
        let wanted = files(&bronze) + random.below(8);
        // Somebody writes, and takes away, while it reads.
        write(&mut session, &mut all, &mut random, 3).await;
        for _ in 0..2 {
            let there: Vec<_> = all.keys().filter(|key| !gone.contains(*key)).cloned().collect();
            let (mailbox, uid) = there[random.below(there.len())].clone();
            session.expunge(&mailbox, &uid.to_string()).await.unwrap();
            gone.insert((mailbox, uid));
        }
        let is_alive = until(&mut child, || files(&bronze) >= wanted).await;
        SystemClock::new().sleep(Duration::from_micros(random.below(20_000) as u64)).await;
        child.kill().unwrap();
        let was_killed = child.wait().unwrap().signal() == Some(9);
        killed += usize::from(is_alive && was_killed);
        if killed == kills {
            break;
        }
        if !was_killed {
            // It had read everything: there is more to read then.
            write(&mut session, &mut all, &mut random, 40).await;
        }
    }
    assert_eq!(killed, kills, "it ended by itself too often");
    let report = finish(&template).await;
    assert_eq!(report["status"], "succeeded", "{report}");
    assert_equals(&bronze, &all, &gone);
    let again = finish(&template).await;
    assert_eq!(again["totals"]["records"], 0, "nothing has changed since: {again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d_02_killed_over_a_live_mailbox_each_message_stands_once() {
    sweep(Capabilities::Qresync, 20, 0x2545_F491_4F6C_DD1D).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d_02_the_same_with_a_server_that_tells_of_no_changes() {
    sweep(Capabilities::Plain, 10, 0x9E37_79B9_7F4A_7C15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn d_02_over_a_live_mailbox_five_hundred_times() {
    for seed in 1..=20_u64 {
        sweep(Capabilities::Qresync, 25, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)).await;
    }
}
