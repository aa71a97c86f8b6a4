//! A fake help desk: the smallest vendor that has all that a connector meets.
//!
//! Tickets with a time of change, of which several can have the same one; pages with a link to the next; deletes
//! as rows that say so; OAuth2 client credentials whose tokens end; writes with an idempotency key; a
//! [`Faults`] script. The tests of this crate read it with an honest connector and with
//! dishonest ones; `connector new` writes a connector for it.
//!
//! | call | answer |
//! |---|---|
//! | `POST /oauth/token` | an access token, good until [`FakeDesk::expire_tokens`] |
//! | `GET /v1/me` | who the token belongs to |
//! | `GET /v1/tickets?limit=N[&changed_from=TIME&after=ID][&deleted=true][&queue=N]` | `{"tickets": [..], "next": "/v1/..", "count": N}` |
//! | `POST /v1/tickets/forget` with `queue`, `changed_at`, `id` | what stands in this queue up to there is served no more |
//! | `GET /v1/agents` | `{"agents": [..], "next": null}` |
//! | `POST /v1/tickets` | the ticket that was made; the same again for the same `Idempotency-Key` |
//!
//! Tickets come in the order of `(changed_at, id)`. The rows from `changed_from` on come, without those of that
//! very time whose id is not above `after`; with a queue (0, 1 or 2) only its own. `next` is null at the end.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use connector_testkit::desk::FakeDesk;
//! let desk = FakeDesk::start(1, 100).await?;
//! desk.touch(3);
//! assert_eq!(desk.tickets().len(), 100);
//! # Ok(()) }
//! ```

mod data;
mod server;

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use connector_sdk::Timestamp;
use tokio::task::JoinHandle;

use crate::fault::{Connection, Faults, Listener, Open};

use data::Data;
pub use data::Ticket;

/// The vendor, served on loopback. Dropping it stops the server and closes its connections.
pub struct FakeDesk {
    desk: Arc<Desk>,
    address: SocketAddr,
    open: Arc<Open>,
    task: JoinHandle<()>,
}

struct Desk {
    url: String,
    data: Mutex<Data>,
    faults: Faults,
    pages: AtomicU64,
    requests: AtomicU64,
    sign_ins: AtomicU64,
    in_flight: AtomicU64,
    thin: AtomicBool,
}

impl Desk {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeDesk {
    /// The id of its only client.
    pub const CLIENT_ID: &str = "desk-client";
    /// The secret of its only client.
    pub const CLIENT_SECRET: &str = "canary-7f3a9c-desk-secret";

    /// A desk with so many tickets, drawn from the seed.
    ///
    /// # Errors
    /// What the operating system says of listening on loopback.
    pub async fn start(seed: u64, tickets: usize) -> io::Result<Self> {
        let listener = Listener::bind(0).await?;
        let address = listener.address()?;
        let desk = Arc::new(Desk {
            url: format!("http://{address}"),
            data: Mutex::new(Data::new(seed, tickets)),
            faults: Faults::default(),
            pages: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            sign_ins: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            thin: AtomicBool::new(false),
        });
        let open = listener.open_connections();
        let app = server::router(Arc::clone(&desk)).into_make_service_with_connect_info::<Connection>();
        let task = tokio::spawn(async move {
            // Serving ends only with the task: accept errors are retried inside.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { desk, address, open, task })
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.desk.url
    }

    /// The same as an address, for what stands in front of it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.desk.faults
    }

    /// All tickets, the deleted ones too, in the order they are served.
    #[must_use]
    pub fn tickets(&self) -> Vec<Ticket> {
        self.desk.data().in_order()
    }

    /// Opens so many new tickets.
    pub fn open_tickets(&self, count: usize) {
        self.desk.data().open(count);
    }

    /// Changes so many tickets, all at one instant.
    pub fn touch(&self, count: usize) {
        self.desk.data().touch(count);
    }

    /// Deletes so many tickets.
    pub fn delete(&self, count: usize) {
        self.desk.data().delete(count);
    }

    /// Gives each ticket a field that it did not have, `priority`, without a change of its time.
    pub fn add_priority(&self) {
        self.desk.data().add_priority();
    }

    /// What changes from now on changes at this time and later.
    pub fn set_clock(&self, at: Timestamp) {
        self.desk.data().set_clock(at);
    }

    /// From now on pages are empty, half full and full in turn, the first one empty. `next` says where it goes on.
    pub fn serve_thin_pages(&self) {
        self.desk.thin.store(true, Ordering::SeqCst);
    }

    /// From now on so many pages (at least 1), after the first, lead in a circle for ever.
    pub fn lead_in_a_circle(&self, pages: usize) {
        self.desk.data().circle(pages);
    }

    /// Ends all sessions.
    pub fn expire_tokens(&self) {
        self.desk.data().expire_tokens();
    }

    /// Access tokens that it has given.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.desk.data().tokens()
    }

    /// Requests for pages so far, answered or not.
    #[must_use]
    pub fn page_requests(&self) -> u64 {
        self.desk.pages.load(Ordering::SeqCst)
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.desk.requests.load(Ordering::SeqCst)
    }

    /// Requests that are being answered at this moment.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.desk.in_flight.load(Ordering::SeqCst)
    }

    /// Tickets that were made by a request; one that was sent twice with one key counts once.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.desk.data().writes()
    }

    /// Requests for a token so far.
    #[must_use]
    pub fn sign_ins(&self) -> u64 {
        self.desk.sign_ins.load(Ordering::SeqCst)
    }
}

impl Drop for FakeDesk {
    fn drop(&mut self) {
        self.task.abort();
        self.open.close_all();
    }
}

impl fmt::Debug for FakeDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDesk").field("url", &self.desk.url).finish_non_exhaustive()
    }
}
