//! A fake Salesforce org: a real HTTP server on loopback that signs clients in, describes its objects and
//! answers SOQL over data of its own.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use connector_testkit::fault::Fault;
//! use connector_testkit::salesforce::FakeOrg;
//!
//! let org = FakeOrg::builder().seed(1).contacts(10_000).accounts(500).start().await?;
//! println!("sign in at {} as {}", org.url(), org.credentials().client_id);
//!
//! org.faults().on("/query/").nth(2).then(Fault::retry_after(503, "1"));
//! let changed = org.touch("Contact", 100)?;
//! assert_eq!(changed.len(), 100);
//! assert_eq!(org.truth("Contact")?.len(), 10_000);
//! org.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! What a page of this vendor's documentation says, the module that does it repeats. Where the org has to
//! choose and no recording tells, the choice is named in a comment. Data are drawn from a seed: the same
//! seed, volume and clock give the same org.
//!
//! The rooms: `server` dispatches; `oauth` and `soap` sign in; `gate` checks version, session and quota;
//! `describe` and `resources` answer metadata; `query` with `soql`, `cursor` and `render` answers queries, and `bulk` by jobs;
//! `replication` tells deletions and changes;
//! `sobjects`, `collections`, `composite` and `ingest` take writes, each record through `dml`;
//! `table`, `row`, `field` and `schema` hold the data, which `objects` and `seed` make; by `control` and
//! `writing` a test changes the org.

mod authorize;
mod builder;
mod bulk;
mod clock;
mod collections;
mod composite;
mod control;
mod cursor;
mod datetime;
mod describe;
mod dml;
mod field;
mod gate;
mod grants;
mod id;
mod ingest;
mod log;
mod oauth;
mod objects;
mod org;
mod query;
mod recorded;
mod render;
mod replication;
mod reply;
mod resources;
mod row;
mod saml;
mod schema;
mod seed;
mod server;
mod soap;
mod sobjects;
mod soql;
mod table;
mod writing;

pub use builder::{Builder, Limits, SignIn, Wire};
pub use bulk::{Bulk, BulkEnd, BulkJob};
pub use grants::Credentials;
pub use log::{Counters, LoggedRequest};
pub use org::FakeOrg;
pub use writing::{FieldType, WriteError};
