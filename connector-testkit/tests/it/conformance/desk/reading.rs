//! How it reads: by the links of the pages, and from the last ticket that was sent when it is resumed.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use async_stream::try_stream;
use async_trait::async_trait;
use connector_sdk::{
    Acknowledged, Class, Context, Error, Message, Partition, Plan, Read, ReadRequest, Result, State,
    StreamSelection, StreamState, SyncMode,
    http::{Request, Response},
    record::BatchBuilder,
};
use futures_util::stream::BoxStream;
use serde_json::{Value, json};

use super::{Cursor, Desk, FIELDS, Flaw, GIVEN_UP, Kind, hasty, tickets};

/// What stands on a page.
struct Page {
    rows: Vec<Value>,
    next: Option<String>,
}

impl Desk {
    fn page(&self, body: &[u8], rows: &str) -> Result<Page> {
        let nothing = || Page { rows: Vec::new(), next: None };
        let page: Value = match serde_json::from_slice(body) {
            Ok(page) => page,
            Err(_) if self.has(Flaw::TakesWhatIsNoPageForTheEnd) => return Ok(nothing()),
            Err(error) => {
                return Err(Error::transient("list tickets", "the page is no JSON").with_source(error));
            }
        };
        match page.get(rows) {
            Some(Value::Array(rows)) => {
                let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
                Ok(Page { rows: rows.clone(), next })
            }
            _ if self.has(Flaw::TakesWhatIsNoPageForTheEnd) => Ok(nothing()),
            _ => Err(Error::new(Class::Schema, "list tickets", "the page has no rows")),
        }
    }

    fn batch(&self, rows: &[Value], first_read: bool) -> (BatchBuilder, u64) {
        let mut batch = BatchBuilder::new("tickets".into());
        let mut sent = 0;
        for row in rows {
            let mut row = row.clone();
            let id = row["id"].clone();
            let key = match self.flaw {
                Some(Flaw::LeavesTheKeyOutOfTheKey) => json!({"id": null}),
                _ => json!({"id": id}),
            };
            let (key, cursor) = (key.to_string(), row["changed_at"].to_string());
            if self.has(Flaw::DropsFieldsThatItDoesNotKnow)
                && let Some(fields) = row.as_object_mut()
            {
                fields.retain(|name, _| FIELDS.contains(&name.as_str()));
            }
            if row["deleted"] == json!(true) {
                if !first_read || self.has(Flaw::DeletesWhatIsAlive) {
                    batch.delete(key.as_bytes(), Some(cursor.as_bytes()));
                    sent += 1;
                }
                continue;
            }
            batch.upsert(key.as_bytes(), row.to_string().as_bytes(), Some(cursor.as_bytes()));
            sent += 1;
            if self.has(Flaw::SendsARowTwice) && id == json!(7) {
                batch.upsert(key.as_bytes(), row.to_string().as_bytes(), Some(cursor.as_bytes()));
                sent += 1;
            }
        }
        (batch, sent)
    }

    async fn ask(&self, cx: &Context, path: String) -> Result<Response> {
        let request = Request::get("list tickets", path);
        if !self.has(Flaw::AsksInATaskOfItsOwn) {
            return match self.flaw {
                Some(Flaw::RetriesAtOnce) => self.http.send(&hasty(cx, 0), request).await,
                Some(Flaw::ComesBackTooEarly) => self.http.send(&hasty(cx, 50), request).await,
                _ => self.http.send(cx, request).await,
            };
        }
        let (http, cx) = (self.http.clone(), cx.clone());
        tokio::spawn(async move { http.send(&cx, request).await }).await.unwrap()
    }

    /// Reads the desk's few agents.
    fn agents(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let desk = self.clone();
        Box::pin(try_stream! {
            if desk.has(Flaw::GivesUpAStreamForGood) && GIVEN_UP.lock().unwrap().contains(desk.url.as_str()) {
                Err(Error::permanent("list agents", "that failed before"))?;
            }
            let asked = desk.http.send(&request.cx, Request::get("list agents", "/v1/agents")).await;
            if asked.is_err() {
                GIVEN_UP.lock().unwrap().insert(desk.url.to_string());
            }
            desk.broken.fetch_or(asked.is_err(), Ordering::SeqCst);
            let page = desk.page(&asked?.body, "agents")?;
            let mut batch = BatchBuilder::new("agents".into());
            for row in &page.rows {
                batch.upsert(json!({"id": row["id"]}).to_string().as_bytes(), row.to_string().as_bytes(), None);
            }
            yield Message::Batch(batch.build());
            yield Message::State(State::encode(1, &())?.covering(page.rows.len() as u64).completing());
        })
    }

    /// What goes on behind the back of a read.
    fn strays(&self, cx: &Context) {
        // Once for a connector, or they would be hundreds.
        if self.has(Flaw::GoesOnAfterItIsDropped) && self.place.load(Ordering::SeqCst) == 0 {
            let (http, cx) = (self.http.clone(), cx.clone());
            tokio::spawn(async move {
                for _ in 0..100 {
                    let _ = http.send(&cx, Request::get("who am I", "/v1/me")).await;
                    #[allow(clippy::disallowed_methods)]
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            });
        }
        if self.has(Flaw::LeavesATaskBehind) {
            tokio::spawn(std::future::pending::<()>());
        }
        if self.has(Flaw::LeavesAFileOpen) {
            std::mem::forget(std::fs::File::open("/dev/null").unwrap());
        }
        if self.has(Flaw::TellsItsSecretInLogs) {
            tracing::trace!(secret = %self.secret.expose(), "about to list tickets");
        }
        if self.has(Flaw::LabelsItsMetricsWithItsSecret) {
            metrics::counter!("desk.pages", "client" => self.secret.expose().clone()).increment(1);
        }
    }

    /// Tells the desk that what stands in the queue up to there is durable elsewhere.
    async fn forget(&self, cx: &Context, queue: u64, cursor: &Cursor) -> Result<()> {
        let Some(mut time) = cursor.changed_from.clone() else { return Ok(()) };
        let now = (queue, time.clone(), cursor.after);
        let is_late =
            self.told.lock().unwrap().range(now.clone()..).any(|known| known.0 == queue && *known != now);
        self.told.lock().unwrap().insert(now);
        if is_late && self.has(Flaw::ForgetsAllWhenToldLate) {
            time = "9999-01-01T00:00:00Z".to_owned();
        }
        let body = json!({"queue": queue, "changed_at": time, "id": cursor.after}).to_string();
        let request = Request::post("forget tickets", "/v1/tickets/forget", "application/json", body);
        self.http.send(cx, request.idempotent()).await.map(drop)
    }
}

impl Cursor {
    /// The place, if its text is to the letter what was written; the start, if a letter differs.
    fn reading_what_was_written(self, state: Option<&State>) -> Self {
        let text = serde_json::to_string(&self).unwrap();
        if state.is_none_or(|state| state.cursor().get() == text) { self } else { Self::default() }
    }
}

/// The queue that a partition reads, where it reads one.
fn queue(name: &str) -> Option<u64> {
    name.strip_prefix("queue-").and_then(|queue| queue.parse().ok())
}

#[async_trait]
impl Read for Desk {
    async fn partitions(
        &self,
        _cx: &Context,
        stream: &StreamSelection,
        _state: &StreamState,
    ) -> Result<Plan> {
        if self.kind == Kind::Plain
            || self.has(Flaw::HasOnePartitionOfMany)
            || stream.spec.name.as_str() == "agents"
        {
            return Ok(Plan::read([Partition::new("all")]));
        }
        Ok(Plan::read((0..3).map(|queue| Partition::new(format!("queue-{queue}")))))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        if request.stream.spec.name.as_str() == "agents" {
            return self.agents(request);
        }
        let desk = self.clone();
        if self.has(Flaw::AsksBeforeItIsPolled) && request.state.is_none() {
            let (http, cx) = (self.http.clone(), request.cx.clone());
            tokio::spawn(async move { http.send(&cx, Request::get("who am I", "/v1/me")).await });
        }
        let full = request.stream.mode == SyncMode::Full;
        let in_the_middle = match self.kind {
            Kind::Plain => !(full && self.has(Flaw::StartsAFullReadAnew)),
            Kind::Rich => !full || self.has(Flaw::ResumesAFullReadUnclaimed),
        };
        Box::pin(try_stream! {
            let started = match &request.state {
                Some(state) if desk.has(Flaw::TakesANewerStateForNone) => state.decode(1).unwrap_or_default(),
                Some(state) => state.decode::<Cursor>(1)?,
                None => Cursor::default(),
            };
            let first_read = request.state.is_none();
            let read_before = request.state.as_ref().is_some_and(State::is_complete);
            let mut cursor = match desk.flaw {
                Some(Flaw::ResumesFromTheStart) => Cursor::default(),
                Some(Flaw::ReadsItsStateAsText) => started.reading_what_was_written(request.state.as_ref()),
                Some(Flaw::ReadsEverythingEachTime) if read_before => Cursor::default(),
                Some(Flaw::KeepsItsPlaceInMemory) => Cursor { after: desk.place.load(Ordering::SeqCst), ..started },
                Some(Flaw::ResumesOneRowLate) if !first_read => Cursor { after: started.after + 1, ..started },
                _ => started,
            };
            let queue = queue(request.partition.id.as_str());
            let others = desk.reading.fetch_add(1, Ordering::SeqCst);
            let mut path = desk.path(&cursor, queue);
            let (mut links, mut uncovered, mut announced) = (HashSet::new(), 0, false);
            if desk.has(Flaw::LooksThroughAllPagesFirst) {
                let mut ahead = Some(path.clone());
                while let Some(path) = ahead {
                    ahead = desk.page(&desk.ask(&request.cx, path).await?.body, "tickets")?.next;
                }
            }
            loop {
                let asked = desk.ask(&request.cx, path.clone()).await;
                let asked = match asked {
                    Err(error) if desk.has(Flaw::TellsItsSecretInErrors) => {
                        Err(error.with_context("secret", desk.secret.expose()))
                    }
                    _ if desk.has(Flaw::FailsAllItsStreamsAtOnce) && desk.broken.load(Ordering::SeqCst) => {
                        Err(Error::permanent("list tickets", "something else is broken"))
                    }
                    asked => asked,
                };
                let answer = match asked {
                    Err(_) if desk.has(Flaw::TakesAFailureForTheEnd) => {
                        yield Message::State(State::encode(1, &cursor)?.completing());
                        return;
                    }
                    answer => answer?,
                };
                desk.strays(&request.cx);
                let page = desk.page(&answer.body, "tickets");
                if page.is_err() && desk.has(Flaw::CompletesBeforeItFails) {
                    let end = Cursor { changed_from: Some("2030-01-01T00:00:00Z".to_owned()), ..cursor.clone() };
                    yield Message::State(State::encode(1, &end)?.completing());
                }
                let Page { mut rows, next } = page?;
                let is_last = match desk.flaw {
                    Some(Flaw::TakesAShortPageForTheEnd) => rows.len() < desk.page_size as usize,
                    Some(Flaw::TakesAnEmptyPageForTheEnd) => next.is_none() || rows.is_empty(),
                    _ => next.is_none(),
                };
                if desk.has(Flaw::FailsOnNothing) && rows.is_empty() && first_read {
                    Err(Error::permanent("list tickets", "there is nothing"))?;
                }
                if let Some(last) = rows.last() {
                    cursor.changed_from = last["changed_at"].as_str().map(str::to_owned);
                    cursor.after = last["id"].as_u64().unwrap_or_default();
                    if desk.has(Flaw::TakesOnlyWhatIsLater) && read_before && !is_last {
                        cursor.after = u64::MAX;
                    }
                    desk.place.store(cursor.after, Ordering::SeqCst);
                }
                if desk.has(Flaw::PutsItsTokenIntoTheState) {
                    cursor.token = Some(desk.secret.expose().clone());
                }
                if desk.has(Flaw::KeepsEachNumberInItsState) {
                    cursor.seen.extend(rows.iter().filter_map(|row| row["id"].as_u64()));
                }
                if desk.has(Flaw::LosesTheLastRow) && is_last {
                    rows.pop();
                }
                if desk.has(Flaw::SendsInAnotherOrderBesideOthers) && others > 0 {
                    rows.reverse();
                }
                if desk.has(Flaw::ReadsUpToItsOwnClock) {
                    let now = request.cx.clock().now().to_string();
                    rows.retain(|row| row["changed_at"].as_str().is_some_and(|time| *time <= *now));
                }
                let is_new = rows.iter().any(|row| row.get("priority").is_some());
                let news = (desk.kind == Kind::Rich && is_new && !std::mem::replace(&mut announced, is_new))
                    .then(|| Message::Schema(Arc::new(tickets(&["priority"]))));
                let (before, after) = match desk.has(Flaw::AnnouncesANewFieldTooLate) {
                    true => (None, news),
                    false => (news, None),
                };
                if let Some(news) = before {
                    yield news;
                }
                let (batch, sent) = desk.batch(&rows, first_read);
                if sent > 0 {
                    uncovered += sent;
                    yield Message::Batch(batch.build());
                }
                if let Some(news) = after {
                    yield news;
                }
                if let (Some(queue), true) = (queue, desk.has(Flaw::ForgetsWhileItReads)) {
                    desk.forget(&request.cx, queue, &cursor).await?;
                }
                let miscounts = u64::from(desk.has(Flaw::MiscountsItsStates));
                if is_last || in_the_middle {
                    let counted = std::mem::take(&mut uncovered);
                    let state = State::encode(1, &cursor)?.covering(counted.max(miscounts) - miscounts);
                    let ends = is_last && !desk.has(Flaw::ForgetsToComplete);
                    yield Message::State(if ends { state.completing() } else { state });
                }
                if is_last {
                    desk.reading.fetch_sub(1, Ordering::SeqCst);
                    return;
                }
                path = match next {
                    Some(next) if !(desk.has(Flaw::TakesOnlyWhatIsLater) && read_before) => next,
                    _ => desk.path(&cursor, queue),
                };
                if desk.has(Flaw::RemembersOnlyTheLastPage) {
                    links.retain(|link| *link == path);
                }
                if !links.insert(path.clone()) && !desk.has(Flaw::GoesInCircles) {
                    Err(Error::permanent("list tickets", "the pages lead in a circle"))?;
                }
            }
        })
    }

    async fn acknowledge(&self, cx: &Context, done: &Acknowledged) -> Result<()> {
        let claimed = self.kind == Kind::Rich && !self.has(Flaw::ForgetsNothing);
        if done.stream.as_str() == "agents" || !(claimed || self.has(Flaw::ForgetsUnclaimed)) {
            return Ok(());
        }
        let cursor: Cursor = done.state.decode(1)?;
        let queues = queue(done.partition.as_str()).map_or(0..3, |queue| queue..queue + 1);
        for queue in queues {
            let place = (queue, cursor.changed_from.clone().unwrap_or_default(), cursor.after);
            if self.has(Flaw::RefusesToBeToldTwice) && self.told.lock().unwrap().contains(&place) {
                return Err(Error::permanent("forget tickets", "it was told this before"));
            }
            self.forget(cx, queue, &cursor).await?;
        }
        Ok(())
    }
}
