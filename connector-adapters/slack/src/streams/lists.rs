//! Lists of the workspace: users, usergroups and channels, read whole each time.

use async_stream::try_stream;
use connector_sdk::{
    Message, ReadRequest, State,
    record::{PageSpec, PageSplitter},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::{Messages, STATE_VERSION, Source};
use crate::{
    catalog::Stream,
    channels,
    cursor::Cursors,
    method::{CHANNELS, Method, USERGROUPS, USERS},
};

/// The fields of a page, in the order in which they are asked for.
const NEXT: usize = 0;

/// How far a list was read.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// The token of the next page; none: the first.
    #[serde(default)]
    cursor: Option<String>,
}

/// Reads a list.
pub(super) fn read(source: Source, stream: Stream, request: ReadRequest) -> Messages {
    try_stream! {
        let (method, records) = of(stream);
        let known = request.state.as_ref().filter(|state| !state.is_complete());
        let position: Position = known.map(|state| state.decode(STATE_VERSION)).transpose()?.unwrap_or_default();
        let mut cursors = Cursors::from(method.name, position.cursor);
        let spec = PageSpec::new(request.stream.spec.name.clone(), [records])
            .with_page_field(["response_metadata", "next_cursor"])
            .with_key(["id"]);
        let splitter = PageSplitter::new(spec);
        let kinds = channels::kinds(&source.settings);
        let size = source.settings.page_size.to_string();
        for number in 1_u64.. {
            let mut arguments = arguments(stream, &kinds, &size);
            arguments.extend(cursors.current().map(|cursor| ("cursor", cursor)));
            let page = match source.api.get(&request.cx, method, &arguments).await {
                // What was delivered comes once more: better twice than not at all.
                Err(error) if cursors.expired(&error)? => continue,
                answer => splitter.split(answer?, number)?,
            };
            let leads_on = cursors.go_on(page.text(NEXT).map(std::borrow::Cow::into_owned), page.batch.len())?;
            let covered = page.batch.len() as u64;
            if covered > 0 {
                yield Message::Batch(page.batch.into_snapshot());
            }
            if !leads_on {
                yield Message::State(State::encode(STATE_VERSION, &Position::default())?.covering(covered).completing());
                break;
            }
            if covered > 0 {
                let cursor = cursors.current().map(str::to_owned);
                yield Message::State(State::encode(STATE_VERSION, &Position { cursor })?.covering(covered));
            }
        }
    }
    .boxed()
}

fn of(stream: Stream) -> (&'static Method, &'static str) {
    match stream {
        Stream::Users => (&USERS, "members"),
        Stream::Usergroups => (&USERGROUPS, "usergroups"),
        _ => (&CHANNELS, "channels"),
    }
}

fn arguments<'a>(stream: Stream, kinds: &'a str, size: &'a str) -> Vec<(&'static str, &'a str)> {
    match stream {
        Stream::Users => vec![("limit", size)],
        // One page always.
        Stream::Usergroups => {
            vec![("include_users", "true"), ("include_count", "true"), ("include_disabled", "true")]
        }
        _ => vec![("types", kinds), ("exclude_archived", "false"), ("limit", size)],
    }
}
