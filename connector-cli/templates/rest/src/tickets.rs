//! The stream `tickets`: what it is, and how it is read.

use std::{collections::HashSet, sync::Arc};

use async_stream::try_stream;
use connector_sdk::{
    Class, Error, Message, ReadRequest, Result, State, StreamSpec, SyncMode,
    record::{PageSpec, PageSplitter, RecordView},
};
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::Api;

pub(crate) const NAME: &str = "tickets";

/// Of [`Place`]. Raise it when the shape changes, and go on reading the old ones.
const VERSION: u32 = 1;

/// Where a read stands: the last ticket that was sent. A page token would not do: it ends, a place does not.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) changed_at: Option<String>,
    /// Tells tickets apart that changed at one time.
    pub(crate) id: u64,
}

impl Place {
    fn of(ticket: RecordView<'_>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Key {
            id: u64,
        }
        let undocumented = |error| {
            let message = "`id` or `changed_at` is not as documented";
            Error::new(Class::Schema, "list tickets", message).with_source(error)
        };
        let key: Key = serde_json::from_slice(ticket.key.unwrap_or_default()).map_err(undocumented)?;
        let changed_at = serde_json::from_slice(ticket.cursor.unwrap_or_default()).map_err(undocumented)?;
        Ok(Self { changed_at: Some(changed_at), id: key.id })
    }
}

/// What the catalog says. Records that do not fit the schema are met by the stream's drift policy.
pub(crate) fn spec() -> StreamSpec {
    let schema = json!({
        "type": "object",
        "properties": {
            "id": { "type": "integer" },
            "subject": { "type": "string" },
            "status": { "enum": ["open", "pending", "closed"] },
            "external_id": { "type": "integer" },
            "requester": { "type": ["string", "null"] },
            "revision": { "type": "integer" },
            "changed_at": { "type": "string", "format": "date-time" },
            "deleted": { "type": "boolean" }
        }
    });
    StreamSpec::new(NAME, schema).with_primary_key(["id"]).with_cursor("changed_at")
}

/// Reads page after page. After each page stands the state that covers it: a run that dies goes on there.
pub(crate) fn read(api: Arc<Api>, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
    // A page is split, not parsed: records stay the vendor's bytes.
    let pages = PageSplitter::new(
        PageSpec::new(NAME, ["tickets"])
            .with_page_field(["next"])
            .with_key(["id"])
            .with_cursor(Some("changed_at".into()))
            .with_deleted(Some("deleted".into())),
    );
    Box::pin(try_stream! {
        let cx = &request.cx;
        let mut place = match &request.state {
            Some(state) => state.decode(VERSION)?,
            None => Place::default(),
        };
        // Of a full read the host concludes the deletes itself.
        let with_deleted = request.stream.mode == SyncMode::Incremental;
        let mut answer = api.tickets(cx, &place, with_deleted).await?;
        let mut links = HashSet::new();
        for number in 1.. {
            let page = pages.split(answer, number)?;
            if let Some(last) = page.batch.iter().last() {
                place = Place::of(last)?;
            }
            // The end is where the vendor says so, with `null`: a page may be short, or empty, and not the last.
            let next = page.link(0)?.map(|link| link.into_owned());
            let state = State::encode(VERSION, &place)?.covering(page.batch.len() as u64);
            yield Message::Batch(page.batch);
            let Some(link) = next else {
                yield Message::State(state.completing());
                break;
            };
            yield Message::State(state);
            answer = api.next(cx, &link).await?;
            if !links.insert(link) {
                Err(Error::permanent("list tickets", "the vendor's pages lead in a circle"))?;
            }
        }
    })
}
