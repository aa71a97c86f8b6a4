//! A mail server with two mailboxes, for the suite.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use connector_sdk::Factory;
use connector_testkit::{
    conformance::{Fixture, Other, Row, World},
    fault::{Faults, Matcher},
    mail::{Capabilities, Dovecot},
};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex as AsyncMutex;

use super::door::Door;
use crate::imap::support::mail;

const USER: &str = "ada@example.test";
const PASSWORD: &str = "canary-7f3a9c";
const MAILBOXES: [&str; 2] = ["INBOX", "Work"];

pub(crate) struct Post {
    server: Dovecot,
    door: Door,
    session: AsyncMutex<connector_testkit::mail::Session>,
    page: usize,
    validity: BTreeMap<&'static str, u64>,
    /// What is in each mailbox: the numbers of the mails by UID.
    truth: Mutex<BTreeMap<(&'static str, u32), usize>>,
    next: AtomicUsize,
}

impl Post {
    pub(crate) async fn start(world: World, mode: Capabilities) -> Self {
        let server =
            Dovecot::builder().capabilities(mode).user(USER, PASSWORD).start().await.expect("a Dovecot");
        let server = server.expect("these tests need Dovecot");
        let mut session = server.session_with(USER, PASSWORD).await.expect("a session");
        session.create(MAILBOXES[1]).await.expect("a mailbox");
        let mut truth = BTreeMap::new();
        let mut validity = BTreeMap::new();
        let mut number = 0;
        for (at, mailbox) in MAILBOXES.into_iter().enumerate() {
            let count = world.rows / 2 + usize::from(at == 0 && world.rows % 2 == 1);
            if count > 0 {
                let mails = (number..number + count).map(|number| mail(number, 600));
                session.append_all(mailbox, mails).await.expect("mails are taken");
            }
            for at in 0..count {
                truth.insert((mailbox, u32::try_from(at + 1).unwrap()), number + at);
            }
            number += count;
            validity.insert(mailbox, session.status(mailbox, "UIDVALIDITY").await.expect("a mailbox"));
        }
        let door = Door::start(server.address()).await.expect("a door");
        Self {
            server,
            door,
            session: AsyncMutex::new(session),
            page: world.page,
            validity,
            truth: Mutex::new(truth),
            next: AtomicUsize::new(number),
        }
    }
}

#[async_trait]
impl Fixture for Post {
    fn factory(&self) -> Arc<dyn Factory> {
        Arc::new(connector_email::imap())
    }

    fn config(&self) -> Value {
        json!({
            "host": self.door.address.ip().to_string(), "port": self.door.address.port(), "tls": "none",
            "auth": { "password": { "username": USER, "password": PASSWORD } },
            "mailboxes": MAILBOXES, "page_size": self.page,
        })
    }

    fn stream(&self) -> &'static str {
        "messages"
    }

    fn page(&self) -> usize {
        self.page
    }

    fn rows(&self) -> Vec<Row> {
        let _ = &self.server;
        let row = |((mailbox, uid), number): (&(&str, u32), &usize)| {
            let key = json!({ "mailbox": mailbox, "uid_validity": self.validity[mailbox], "uid": uid });
            let fields = json!({
                "mailbox": mailbox, "uid": uid, "subject": format!("mail {number}"),
                "from": [{ "name": "Ada", "address": "ada@example.test" }],
            });
            let object = |value: Value| -> Map<String, Value> { value.as_object().cloned().unwrap() };
            Row { key: object(key), fields: object(fields) }
        };
        self.truth.lock().unwrap().iter().map(row).collect()
    }

    async fn insert(&self, count: usize) {
        let mut session = self.session.lock().await;
        for at in 0..count {
            let mailbox = MAILBOXES[at % 2];
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let uid = session.append(mailbox, &mail(number, 600)).await.expect("a mail is taken");
            self.truth.lock().unwrap().insert((mailbox, uid), number);
        }
    }

    /// Mails do not change: what takes the place of one is another one.
    async fn update(&self, count: usize) {
        self.delete(count).await;
        self.insert(count).await;
    }

    async fn delete(&self, count: usize) {
        let mut session = self.session.lock().await;
        for mailbox in MAILBOXES {
            let gone: Vec<u32> = {
                let mut truth = self.truth.lock().unwrap();
                let some: Vec<_> =
                    truth.keys().take(count).copied().filter(|(of, _)| *of == mailbox).collect();
                some.iter().for_each(|key| {
                    truth.insert(*key, usize::MAX);
                });
                some.into_iter().map(|(_, uid)| uid).collect()
            };
            if !gone.is_empty() {
                let set: Vec<String> = gone.iter().map(u32::to_string).collect();
                session.expunge(mailbox, &set.join(",")).await.expect("mails go");
            }
        }
        self.truth.lock().unwrap().retain(|_, number| *number != usize::MAX);
    }

    fn requests(&self) -> u64 {
        self.door.commands()
    }

    fn faults(&self) -> &Faults {
        &self.door.faults
    }

    fn pages(&self) -> Matcher {
        Matcher::path("/bodies")
    }

    fn whoami(&self) -> Matcher {
        Matcher::path("/sign-in")
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.to_owned()]
    }

    fn other(&self) -> Option<Other> {
        Some(Other { stream: "flags".to_owned(), pages: Matcher::path("/flags") })
    }

    fn snapshot(&self) -> Option<PathBuf> {
        Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/imap/conformance")))
    }
}
