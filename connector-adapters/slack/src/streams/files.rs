//! Files of the workspace, by the vendor's old numbered pages.
//!
//! A numbered page shifts when what stands before it comes or goes. New files are kept out by an upper bound of time; where
//! files were deleted meanwhile, which the total says, the list is gone back by as many as went, and what was met before is
//! left out.

use std::collections::HashSet;

use async_stream::try_stream;
use connector_sdk::{
    Class, Delivery, Error, Message, ReadRequest, State,
    record::{PageSpec, PageSplitter},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Messages, STATE_VERSION, Source};
use crate::method::FILES;

/// The fields of a page, in the order in which they are asked for.
const PAGES: usize = 0;
const TOTAL: usize = 1;
/// How often a list that shrinks is gone back in.
const MOST_STEPS_BACK: u32 = 100;

/// How far the files were read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// The page to ask for.
    page: u64,
    /// How many files there were.
    total: Option<u64>,
    /// Files up to this second, since 1970.
    until: i64,
}

/// Reads all files.
pub(super) fn read(source: Source, request: ReadRequest) -> Messages {
    try_stream! {
        let known = request.state.as_ref().filter(|state| !state.is_complete());
        let position: Option<Position> = known.map(|state| state.decode(STATE_VERSION)).transpose()?;
        let now = request.cx.clock().now().as_millis() / 1_000;
        // A day later than our clock says: it may be behind the vendor's.
        let mut position = position.unwrap_or(Position { page: 1, total: None, until: now + 86_400 });
        let spec = PageSpec::new(request.stream.spec.name.clone(), ["files"])
            .with_page_field(["paging", "pages"])
            .with_page_field(["paging", "total"])
            .with_key(["id"]);
        let splitter = PageSplitter::new(spec);
        let size = u64::from(source.settings.page_size);
        let since = request.stream.since.map(|since| (since.as_millis() / 1_000).to_string());
        let (count, until) = (size.to_string(), position.until.to_string());
        let (mut met, mut steps_back) = (HashSet::new(), 0);
        loop {
            let number = position.page.to_string();
            let mut arguments = vec![("count", &*count), ("page", &*number), ("ts_to", &*until)];
            arguments.extend(since.as_deref().map(|since| ("ts_from", since)));
            let answer = source.api.get(&request.cx, &FILES, &arguments).await?;
            let page = splitter.split(answer, position.page)?;
            let (pages, total) = page.number(PAGES).zip(page.number(TOTAL)).ok_or_else(|| {
                let message = "a page of files does not say how many there are (`paging`)";
                Error::new(Class::Schema, FILES.name, message).with_delivery(Delivery::Answered)
            })?;
            let gone = position.total.map_or(0, |before| before.saturating_sub(total));
            position.total = Some(total);
            if gone > 0 && position.page > 1 {
                steps_back += 1;
                if steps_back > MOST_STEPS_BACK {
                    let message = "files vanish faster than their list is read; a later run goes on";
                    Err(Error::transient(FILES.name, message).with_delivery(Delivery::Answered).into_exhausted())?;
                }
                position.page = position.page.saturating_sub(gone.div_ceil(size)).max(1);
                continue;
            }
            let mut batch = page.batch.into_snapshot();
            batch.retain(|file| met.insert(xxh3_64(file.key.unwrap_or_default())));
            let covered = batch.len() as u64;
            if covered > 0 {
                yield Message::Batch(batch);
            }
            position.page += 1;
            let is_last = position.page > pages;
            let state = State::encode(STATE_VERSION, &position)?.covering(covered);
            if is_last {
                yield Message::State(state.completing());
                break;
            }
            if covered > 0 {
                yield Message::State(state);
            }
        }
    }
    .boxed()
}
