//! The one thread that writes: whoever waits when it comes round shares a sync.

use std::{sync::mpsc as mpsc_std, thread, time::Duration};

use connector_sdk::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    JournalError, Waiting,
    entry::Entry,
    janitor::Job,
    store::{Appended, Store},
};

/// Events that share a sync, at most.
const BATCH: usize = 1024;
/// Bytes that share a sync, about.
const BATCH_BYTES: usize = 8 << 20;

/// How often room is made for events that are refused.
const RETRY: Duration = Duration::from_secs(2);

/// What a journal is asked for.
pub(super) enum Command {
    Append(Entry, Waiting, oneshot::Sender<Result<Appended, JournalError>>),
    Truncate(u64, oneshot::Sender<Result<(), String>>),
    /// From now on events are taken, or no more.
    Take(bool, oneshot::Sender<()>),
}

/// How a journal stands, for those who read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The last durable position.
    pub(super) durable: u64,
    /// Up to here it was acknowledged.
    pub(super) acknowledged: u64,
    /// Whether more may come.
    pub(super) is_taking: bool,
    /// Why nothing comes any more.
    pub(super) failed: Option<String>,
}

impl Standing {
    /// What is left when the thread is gone. One that took events to the last was not asked to end.
    pub(super) fn of_the_gone(last: &Self) -> Self {
        let died = last.is_taking.then(|| "its thread has ended".to_owned());
        Self { failed: last.failed.clone().or(died), ..last.clone() }
    }
}

/// Starts the thread. It ends, and lets go of the folder, when nobody holds the other end of `commands`.
pub(super) fn start(
    store: Store,
    commands: mpsc::Receiver<Command>,
    standing: watch::Sender<Standing>,
) -> std::io::Result<()> {
    let janitor = store.janitor().start()?;
    let writer = Writer { store, commands, standing, janitor, retried_at: None, is_taking: false };
    thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run()).map(drop)
}

/// Who waits for a batch, and for how many bytes of the queue.
type Answers = Vec<(Waiting, oneshot::Sender<Result<Appended, JournalError>>)>;

struct Writer {
    store: Store,
    commands: mpsc::Receiver<Command>,
    standing: watch::Sender<Standing>,
    janitor: mpsc_std::Sender<Job>,
    /// When room was last made that should have been there.
    retried_at: Option<Timestamp>,
    is_taking: bool,
}

impl Writer {
    fn run(mut self) {
        let (mut entries, mut answers, mut bytes) = (Vec::new(), Answers::new(), 0);
        while let Some(command) = self.commands.blocking_recv() {
            let mut command = Some(command);
            while let Some(now) = command.take() {
                match now {
                    Command::Append(entry, waiting, answer) if self.is_taking => {
                        bytes += entry.body.len();
                        entries.push(entry);
                        answers.push((waiting, answer));
                        if entries.len() < BATCH && bytes < BATCH_BYTES {
                            command = self.commands.try_recv().ok();
                        }
                    }
                    Command::Append(_, _, answer) => drop(answer.send(Err(JournalError::Closed))),
                    other => {
                        // In the order they were asked for.
                        self.flush(&mut entries, &mut answers);
                        self.obey(other);
                    }
                }
            }
            bytes = 0;
            self.flush(&mut entries, &mut answers);
        }
    }

    fn flush(&mut self, entries: &mut Vec<Entry>, answers: &mut Answers) {
        if entries.is_empty() {
            return;
        }
        let outcomes = self.store.append(entries);
        if outcomes.contains(&Err(JournalError::Full)) {
            self.make_room(entries.last().map_or(Timestamp::from_millis(0), |entry| entry.received_at));
        }
        entries.clear();
        self.tell();
        for ((waiting, answer), outcome) in answers.drain(..).zip(outcomes) {
            drop(waiting);
            // Who does not wait any more hears of it when the sender tries again.
            let _ = answer.send(outcome);
        }
    }

    /// Tries again what an acknowledgement could not do: when nothing is taken any more, none may ever follow it.
    fn make_room(&mut self, now: Timestamp) {
        let was_just = self.retried_at.is_some_and(|at| now.saturating_since(at) < RETRY && at <= now);
        if was_just || !self.store.is_behind() {
            return;
        }
        self.retried_at = Some(now);
        self.store.acknowledge(self.store.acknowledged());
        let _ = self.janitor.send((self.store.acknowledged(), oneshot::channel().0));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Append(_, _, answer) => drop(answer.send(Err(JournalError::Closed))),
            Command::Truncate(position, answer) => {
                self.store.acknowledge(position);
                // Readers pass it over from now on.
                self.tell();
                // It lives as long as this does.
                let _ = self.janitor.send((self.store.acknowledged(), answer));
            }
            Command::Take(is_taking, answer) => {
                self.is_taking = is_taking;
                self.tell();
                let _ = answer.send(());
            }
        }
    }

    fn tell(&self) {
        let standing = Standing {
            durable: self.store.durable(),
            acknowledged: self.store.acknowledged(),
            is_taking: self.is_taking,
            failed: self.store.failed().map(str::to_owned),
        };
        self.standing.send_replace(standing);
    }
}
