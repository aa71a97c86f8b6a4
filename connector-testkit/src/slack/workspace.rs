//! The workspace: its state, and the server that shows it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connector_sdk::Clock;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::fault::{Connection, Faults, Listener, Open};
use crate::random::Random;

use super::builder::Builder;
use super::channel::{Cast, Channel, ChannelKind};
use super::events::Events;
use super::files::{self, Uploads};
use super::limits::Limits;
use super::log::{Log, TokenKind};
use super::page::Pages;
use super::people::{self, User};
use super::reply::Refusal;
use super::seed::{self, Plan};
use super::socket::{self, Sockets};
use super::tokens::Tokens;
use super::ts::Ts;
use super::{methods, server};

/// Ids of the workspace, the organisation it may be part of, and the app. As in the vendor's examples.
pub(super) const TEAM: &str = "T9TK3CUKW";
pub(super) const ENTERPRISE: &str = "E12345678";
pub(super) const APP: &str = "A0KRD7HC3";
pub(super) const BOT_USER: &str = "U0KRQLJ9H";
pub(super) const BOT: &str = "B19LU7CSY";

/// What the workspace holds.
#[derive(Debug)]
pub(super) struct Data {
    /// Ordered by id, and so are the channels.
    pub(super) users: Vec<User>,
    /// The ids of all users but the bot, for what is drawn.
    pub(super) ids: Vec<String>,
    pub(super) channels: Vec<Channel>,
    pub(super) usergroups: Vec<Value>,
    pub(super) pages: Pages,
    pub(super) limits: Limits,
    /// Answers that were told to be refusals.
    pub(super) refusals: BTreeMap<String, VecDeque<Option<Refused>>>,
    /// The tokens are an organisation's: Enterprise Grid.
    pub(super) grid: bool,
    /// Messages carry what nobody knows.
    pub(super) unknown: bool,
    /// Parents say when their last reply came.
    pub(super) latest_reply: bool,
    /// A window with `oldest` alone begins at it.
    pub(super) forward: bool,
    pub(super) random: Random,
    /// File objects, newest first.
    pub(super) files: Vec<Value>,
    pub(super) uploads: Uploads,
    /// Milliseconds until a message that was posted by the API can be read.
    pub(super) visibility_delay: i64,
    pub(super) hidden: Vec<Hidden>,
    /// What was posted by the API, each with its channel.
    pub(super) posts: Vec<Value>,
}

/// A refusal that the test ordered, and whether the method does its work all the same.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) code: String,
    pub(super) after: bool,
}

/// A message that cannot be read yet: from when on, where, and what it is.
pub(super) type Hidden = (i64, String, Ts, Map<String, Value>, Option<Ts>);

impl Data {
    /// Shows what is due.
    pub(super) fn settle(&mut self, now: i64) {
        for (due, id, ts, fields, thread) in std::mem::take(&mut self.hidden) {
            match self.channel_mut(&id) {
                Ok((channel, _)) if due <= now => channel.insert(ts, fields, thread),
                _ => self.hidden.push((due, id, ts, fields, thread)),
            }
        }
    }

    fn new(builder: &Builder, now: i64) -> Self {
        let seed = builder.plan.seed;
        let millis =
            |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        let plan =
            Plan { newest: now - millis(builder.newest_age), span: millis(builder.span), ..builder.plan };
        let users = people::users(seed, builder.users, TEAM, now, BOT_USER);
        let ids: Vec<String> = users.iter().map(|user| user.id.clone()).filter(|id| id != BOT_USER).collect();
        let mut random = Random::new(seed ^ 0x517e);
        let usergroups = (1..=builder.usergroups)
            .map(|index| people::usergroup(&mut random, index, TEAM, now, &ids[..ids.len().min(index * 2)]))
            .collect();
        let channels = seed::channels(&plan, &ids, BOT_USER);
        let public: Vec<String> = channels
            .iter()
            .filter(|channel| channel.kind == ChannelKind::Public)
            .map(|channel| channel.id.clone())
            .collect();
        let files = files::seeded(&mut random, builder.files, plan.newest, &ids, &public);
        Self {
            channels,
            users,
            ids,
            usergroups,
            pages: Pages { generation: 0, thin: false, random: Random::new(seed ^ 0x9a6e) },
            limits: Limits::default(),
            refusals: BTreeMap::new(),
            grid: false,
            unknown: false,
            latest_reply: true,
            forward: false,
            files,
            uploads: Uploads::default(),
            visibility_delay: 0,
            hidden: Vec::new(),
            posts: Vec::new(),
            random,
        }
    }

    pub(super) fn cast(&self) -> Cast<'_> {
        Cast { team: TEAM, users: &self.ids, bot: BOT, latest_reply: self.latest_reply }
    }

    pub(super) fn channel(&self, id: &str) -> Result<&Channel, Refusal> {
        let at = self.channels.binary_search_by(|channel| channel.id.as_str().cmp(id));
        at.map(|at| &self.channels[at]).map_err(|_| Refusal::new("channel_not_found"))
    }

    /// A channel to be changed, beside what its messages are drawn with.
    pub(super) fn channel_mut(&mut self, id: &str) -> Result<(&mut Channel, Cast<'_>), Refusal> {
        let cast = Cast { team: TEAM, users: &self.ids, bot: BOT, latest_reply: self.latest_reply };
        let at = self.channels.binary_search_by(|channel| channel.id.as_str().cmp(id));
        match at {
            Ok(at) => Ok((&mut self.channels[at], cast)),
            Err(_) => Err(Refusal::new("channel_not_found")),
        }
    }
}

/// Everything a handler may look at.
pub(super) struct Workspace {
    /// Where it is reached, without a slash at the end.
    pub(super) url: String,
    pub(super) clock: Arc<dyn Clock>,
    /// Milliseconds that the workspace's clock is ahead of the one it was given.
    pub(super) skew: Mutex<i64>,
    pub(super) log: Log,
    pub(super) faults: Faults,
    data: Mutex<Data>,
    tokens: Mutex<Tokens>,
    /// What a client is told to go to instead of [`Workspace::url`], when something stands in front.
    pub(super) front: Mutex<Option<String>>,
    pub(super) events: Mutex<Events>,
    pub(super) sockets: Sockets,
    /// The tokens of the installation: bot, user, app; the refresh tokens of bot and user.
    pub(super) installed: [String; 5],
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Workspace {
    pub(super) fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where clients find it.
    pub(super) fn front(&self) -> String {
        let front = self.front.lock().unwrap_or_else(PoisonError::into_inner);
        front.clone().unwrap_or_else(|| self.url.clone())
    }

    /// The workspace's time, in milliseconds since the epoch.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_millis() + *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fake Slack workspace that is being served. Dropping it stops the server and closes its connections.
pub struct FakeWorkspace {
    pub(super) workspace: Arc<Workspace>,
    pub(super) address: SocketAddr,
    open: Arc<Open>,
    task: JoinHandle<()>,
    /// Deliveries that go on, and the connections of Socket Mode: they end with the workspace.
    pub(super) tasks: Arc<Mutex<JoinSet<()>>>,
}

impl fmt::Debug for FakeWorkspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeWorkspace").field("url", &self.workspace.url).finish_non_exhaustive()
    }
}

impl FakeWorkspace {
    /// Begins a workspace.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Stops the server and waits until its last connection is gone.
    pub async fn shutdown(self) {
        self.end();
        self.open.drained().await;
    }

    fn end(&self) {
        self.task.abort();
        self.open.close_all();
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Makes the data and serves them.
    pub(super) async fn start(builder: Builder) -> io::Result<Self> {
        let listener = Listener::bind(builder.port).await?;
        let address = listener.address()?;
        let url = format!("http://{address}");
        let sockets = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let sockets_url = format!("ws://{}", sockets.local_addr()?);
        let now = builder.clock.now().as_millis();
        let mut tokens = Tokens::new(builder.plan.seed, methods::all_scopes());
        let installed = [
            tokens.long_lived(TokenKind::Bot),
            tokens.long_lived(TokenKind::User),
            tokens.long_lived(TokenKind::App),
            tokens.refresh_token(TokenKind::Bot),
            tokens.refresh_token(TokenKind::User),
        ];
        let workspace = Arc::new(Workspace {
            url,
            skew: Mutex::new(0),
            front: Mutex::default(),
            events: Mutex::default(),
            sockets: Sockets::new(sockets_url),
            log: Log::default(),
            faults: Faults::default(),
            data: Mutex::new(Data::new(&builder, now)),
            tokens: Mutex::new(tokens),
            installed,
            clock: builder.clock,
        });
        let open = listener.open_connections();
        let app = server::router(Arc::clone(&workspace)).into_make_service_with_connect_info::<Connection>();
        let task = tokio::spawn(async move {
            // Serving ends only with the task: accept errors are retried inside.
            let _ = axum::serve(listener, app).await;
        });
        let tasks = Arc::<Mutex<JoinSet<()>>>::default();
        let accepting = socket::accept(sockets, Arc::downgrade(&workspace), Arc::downgrade(&tasks));
        tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(accepting);
        Ok(Self { workspace, address, open, task, tasks })
    }
}

impl Drop for FakeWorkspace {
    fn drop(&mut self) {
        self.end();
    }
}
