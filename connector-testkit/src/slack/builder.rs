//! What a workspace can be told before it starts.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use connector_sdk::Clock;
use connector_sdk::clock::SystemClock;

use super::seed::Plan;
use super::workspace::FakeWorkspace;

/// Makes a [`FakeWorkspace`]; see [`FakeWorkspace::builder`]. Without further words: seed 1, the machine's clock, any
/// free port, 4 public channels, one private one, one direct message, one group message, 100 messages in each, every
/// twentieth with replies, over 90 days that end an hour ago, 50 users, 3 user groups, 5 files.
#[derive(Clone)]
pub struct Builder {
    pub(super) port: u16,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) users: usize,
    pub(super) usergroups: usize,
    pub(super) files: usize,
    pub(super) newest_age: Duration,
    pub(super) span: Duration,
    pub(super) plan: Plan,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("users", &self.users)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            clock: SystemClock::shared(),
            users: 50,
            usergroups: 3,
            files: 5,
            newest_age: Duration::from_secs(3600),
            span: Duration::from_secs(90 * 86_400),
            plan: Plan {
                seed: 1,
                channels: 4,
                private: 1,
                ims: 1,
                mpims: 1,
                messages: 100,
                thread_every: 20,
                newest: 0,
                span: 0,
            },
        }
    }
}

impl Builder {
    /// What all data and tokens are drawn from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = seed;
        self
    }

    /// The clock that stamps messages, ends tokens, refills budgets and times retries.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Listens on this port of 127.0.0.1; 0 for any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Public channels, all with the bot in them.
    #[must_use]
    pub fn channels(mut self, count: usize) -> Self {
        self.plan.channels = count;
        self
    }

    /// Private channels with the bot in them.
    #[must_use]
    pub fn private_channels(mut self, count: usize) -> Self {
        self.plan.private = count;
        self
    }

    /// Direct messages with the bot, and group messages with it.
    #[must_use]
    pub fn direct(mut self, ims: usize, mpims: usize) -> Self {
        (self.plan.ims, self.plan.mpims) = (ims, mpims);
        self
    }

    /// Messages in each conversation, replies not counted.
    #[must_use]
    pub fn messages(mut self, count: usize) -> Self {
        self.plan.messages = count;
        self
    }

    /// One message in so many has replies, one to six; none has with 0.
    #[must_use]
    pub fn thread_every(mut self, messages: usize) -> Self {
        self.plan.thread_every = messages;
        self
    }

    /// Users besides the app's bot.
    #[must_use]
    pub fn users(mut self, count: usize) -> Self {
        self.users = count;
        self
    }

    /// User groups.
    #[must_use]
    pub fn usergroups(mut self, count: usize) -> Self {
        self.usergroups = count;
        self
    }

    /// Files.
    #[must_use]
    pub fn files(mut self, count: usize) -> Self {
        self.files = count;
        self
    }

    /// How long before the workspace's time the newest seeded message was written.
    #[must_use]
    pub fn newest_age(mut self, age: Duration) -> Self {
        self.newest_age = age;
        self
    }

    /// How long the seeded messages reach back from the newest.
    #[must_use]
    pub fn span(mut self, span: Duration) -> Self {
        self.span = span;
        self
    }

    /// Draws the data and starts to serve them.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(self) -> io::Result<FakeWorkspace> {
        FakeWorkspace::start(self).await
    }
}
