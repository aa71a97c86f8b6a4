//! Brings a mail to all its recipients, as often as it takes and no oftener.
//!
//! A round is one session with one transaction for every hundred recipients, of those who are still owed the mail. Who
//! was put off gets another round, alone, after the wait that the server asked for or one of ours. Who was refused does
//! not, and who may have got it never does.

use std::{sync::atomic::AtomicBool, time::Duration};

use connector_sdk::{
    Class, Context, Counters, Delivery, Error, Result,
    resilience::{Decision, Failure, Jitter, RetryBudget, RetryPolicy, Standing},
};
use futures_util::future::{Either, select};

use super::{
    address::Address,
    compose::Mail,
    gate::Gate,
    input::Dsn,
    transaction::{Envelope, Fate, Kind},
    wire::Limits,
};

/// A server has to take as many in one transaction (RFC 5321, 4.5.3.1.8).
const RECIPIENTS: usize = 100;

/// Sends mails, some at a time.
#[derive(Debug)]
pub(super) struct Deliverer {
    pub(super) gate: Gate,
    budget: RetryBudget,
    jitter: Jitter,
}

/// What became of a mail.
#[derive(Debug)]
pub(super) struct Delivered {
    /// For each recipient, in order.
    pub(super) fates: Vec<Fate>,
    /// Whether the server takes notifications; none where it was not asked.
    pub(super) dsn: Option<bool>,
}

/// A recipient who is still owed the mail.
struct Owed {
    index: usize,
    /// Not before then, by the monotonic clock.
    due: Duration,
    last: Option<Fate>,
    /// How often it was tried, but for times that the server asked to wait.
    attempts: u32,
    /// Put off in the round that has ended: when it is due has to be said yet.
    is_fresh: bool,
}

/// Where the operation stands.
struct Progress {
    fates: Vec<Option<Fate>>,
    owed: Vec<Owed>,
    dsn: Option<bool>,
    rounds: u32,
}

impl Deliverer {
    pub(super) fn new(gate: Gate, cx: &Context) -> Self {
        let budget = RetryBudget::new(cx.resilience().retry_budget);
        Self { gate, budget, jitter: Jitter::new(cx.seed()) }
    }

    /// Delivers. `known` says of some recipients what has become of them before: they are not sent to again. `begun` says,
    /// whatever becomes of this call, whether a mail has begun to go out.
    ///
    /// # Errors
    /// When nobody was sent anything, and nobody can be as things are: Config, Auth, Permanent.
    pub(super) async fn deliver(
        &self,
        cx: &Context,
        mail: &Mail,
        dsn: Option<&Dsn>,
        known: Vec<Option<Fate>>,
        begun: &AtomicBool,
    ) -> Result<Delivered> {
        let limits = Limits::new(cx.clock(), cx.resilience());
        self.budget.deposit(cx.clock().monotonic());
        let owed = known.iter().enumerate().filter(|(_, fate)| fate.is_none());
        let owed = owed.map(|(index, _)| Owed {
            index,
            due: Duration::ZERO,
            last: None,
            attempts: 0,
            is_fresh: false,
        });
        let owed = owed.collect();
        let mut progress = Progress { fates: known, owed, dsn: None, rounds: 0 };
        while !progress.owed.is_empty() {
            progress.rounds += 1;
            let stop = self.round(cx, mail, (dsn, begun), &mut progress, &limits).await?;
            if stop || !self.wait(cx, &mut progress, &limits).await {
                break;
            }
        }
        for owed in progress.owed {
            progress.fates[owed.index] = owed.last;
        }
        let late = || Fate::put_off(&Error::transient("send", "it was not tried: the time is used up"));
        let fates = progress.fates.into_iter().map(|fate| fate.unwrap_or_else(late)).collect();
        Ok(Delivered { fates, dsn: progress.dsn })
    }

    /// One session with those who are due. Answers whether there is no sense in another.
    async fn round(
        &self,
        cx: &Context,
        mail: &Mail,
        (dsn, begun): (Option<&Dsn>, &AtomicBool),
        progress: &mut Progress,
        limits: &Limits,
    ) -> Result<bool> {
        let now = cx.clock().monotonic();
        let (mut due, later): (Vec<Owed>, Vec<Owed>) =
            std::mem::take(&mut progress.owed).into_iter().partition(|owed| owed.due <= now);
        progress.owed = later;
        for owed in &mut due {
            owed.attempts += 1;
            owed.is_fresh = true;
        }
        let counters = cx.counters();
        if progress.rounds > 1 {
            Counters::add(&counters.retries, 1);
        }
        let (_place, mut session) = match self.gate.enter(cx, limits).await {
            Ok(entered) => entered,
            Err(error) => return failed(progress, due, &error, now),
        };
        while !due.is_empty() {
            if session.wire.is_over() {
                // The connection was lost, which was said to those who were on it.
                progress.owed.append(&mut due);
                return Ok(false);
            }
            progress.dsn = dsn.map(|_| session.extensions.dsn);
            let rest = due.split_off(due.len().min(RECIPIENTS));
            let recipients: Vec<&Address> = due.iter().map(|owed| &mail.recipients[owed.index]).collect();
            let envelope = Envelope {
                sender: &mail.sender,
                recipients: &recipients,
                bytes: &mail.bytes,
                needs_utf8: mail.needs_utf8,
                dsn,
                begun,
            };
            Counters::add(&counters.requests, 1);
            let fates = session.send(envelope).await;
            let is_progress = fates.iter().any(|fate| fate.kind == Kind::Accepted);
            let mut next = Vec::new();
            for (mut owed, fate) in std::mem::replace(&mut due, rest).into_iter().zip(fates) {
                if fate.kind != Kind::Deferred {
                    progress.fates[owed.index] = Some(fate);
                    continue;
                }
                if fate.class == Some(Class::RateLimited) {
                    Counters::add(&counters.throttled, 1);
                }
                let is_for_the_next = is_progress && fate.is_for_the_next();
                owed.due = cx.clock().monotonic().saturating_add(fate.retry_after.unwrap_or_default());
                owed.last = Some(fate);
                if is_for_the_next { next.push(owed) } else { progress.owed.push(owed) }
            }
            due.splice(0..0, next);
        }
        session.quit(limits).await;
        Ok(false)
    }

    /// Waits until the first of those who are owed the mail is due; false when that has no sense for any of them. Each is
    /// judged by what was said of it alone: one that is put off again and again takes no time from another.
    async fn wait(&self, cx: &Context, progress: &mut Progress, limits: &Limits) -> bool {
        let now = cx.clock().monotonic();
        let policy = RetryPolicy::from(cx.resilience());
        let mut is_paid = None;
        for mut owed in std::mem::take(&mut progress.owed) {
            if !std::mem::take(&mut owed.is_fresh) {
                progress.owed.push(owed);
                continue;
            }
            let last = owed.last.as_ref();
            let failure = Failure {
                class: last.and_then(|fate| fate.class).unwrap_or(Class::Transient),
                // Who was put off has not got it, and so it can be repeated.
                delivery: Delivery::NotSent,
                exhausted: false,
                retry_after: last.and_then(|fate| fate.retry_after).map(|_| owed.due.saturating_sub(now)),
                repeatable: true,
            };
            let standing = Standing {
                attempts: owed.attempts,
                remaining: Some(limits.left()),
                stopping: cx.is_stopping(),
            };
            match policy.decide(failure, standing, self.jitter.draw()) {
                // Who was put off is not tried again and again because others were, too: the server may be down. One
                // round is one withdrawal.
                Decision::Retry { counts: true, .. }
                    if !*is_paid.get_or_insert_with(|| self.budget.withdraw(now)) =>
                {
                    progress.fates[owed.index] = owed.last;
                }
                Decision::Retry { wait, counts } => {
                    owed.attempts -= u32::from(!counts);
                    owed.due = now.saturating_add(wait);
                    progress.owed.push(owed);
                }
                Decision::GiveUp(_) => progress.fates[owed.index] = owed.last,
            }
        }
        let Some(due) = progress.owed.iter().map(|owed| owed.due).min() else { return false };
        let wait = due.saturating_sub(now);
        tracing::info!(?wait, owed = progress.owed.len(), "recipients were put off, and are sent to again");
        let stop = std::pin::pin!(cx.stop().cancelled());
        let is_stopped = matches!(select(cx.clock().sleep(wait), stop).await, Either::Right(_));
        let waited = cx.clock().monotonic().saturating_sub(now);
        Counters::add(&cx.counters().waited_millis, u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        !is_stopped
    }
}

/// No session could be opened.
fn failed(progress: &mut Progress, due: Vec<Owed>, error: &Error, now: Duration) -> Result<bool> {
    let is_passing = matches!(error.class(), Class::Transient | Class::RateLimited);
    let is_first = progress.fates.iter().all(Option::is_none)
        && due.iter().chain(&progress.owed).all(|owed| owed.last.is_none());
    if !is_passing && is_first {
        return Err(error.clone());
    }
    for mut owed in due {
        owed.due = now.saturating_add(error.retry_after().unwrap_or_default());
        owed.last = Some(Fate::put_off(error));
        progress.owed.push(owed);
    }
    Ok(!is_passing)
}
