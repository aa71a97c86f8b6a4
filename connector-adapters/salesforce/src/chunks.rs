//! A wide object: several queries for its fields, put together row by row.
//!
//! The front end reads 16,384 bytes of address and headers, which the names of some 700 fields fill. So the
//! fields are cut into chunks ([`cut`]), and every chunk carries what tells a row: id, time, whether deleted.
//!
//! ```text
//!  driver     chunk 0, by a cursor, in the order of the walk: it says which rows a page has
//!  followers  chunks 1…, once for each page: the rows between its first place and its last
//!  again      rows whose chunks are not all there, or may be of two versions: all chunks, by id
//! ```
//!
//! Chunks are of one version when they show the same `SystemModstamp` and that is older than the read: a
//! change since then would have moved it. (Equal times alone prove nothing, as they are told to the second.)
//! Any other row is read by id until its chunks agree in this way, or two reads in a row brought the same
//! bytes: then there was a moment between the two at which the vendor showed all of them. A row that will not
//! come to rest is left out of a window, since its time has moved to where the next plan reads; a full read,
//! which has no later, fails.
//!
//! Cursors: a wide read takes the right to two at once, one for the driver and one for the follower of the
//! moment. So of several wide reads none waits for a cursor while it holds one.

mod cut;
mod splice;

use std::collections::HashMap;

use connector_sdk::{
    Batch, Class, Operation, Result, Timestamp,
    record::{BatchBuilder, RecordView},
};
use tokio::sync::OwnedSemaphorePermit;

pub(crate) use cut::Cut;

use crate::{
    describe::ID,
    fault::{self, Then},
    pages::{Answered, Pages, Source},
    selection::Selection,
    soql::{Condition, Query},
    walk::{Walk, id_of},
};

/// Values of a page, all chunks together: what bounds the memory of a wide read.
const PAGE_VALUES: usize = 400_000;
/// Rows that are asked for by id in one query: together with the fields of a chunk they fit into a request.
const IDS: usize = 100;
/// How often rows are read by id until they come to rest.
const ROUNDS: u32 = 5;
/// Cursors of a wide read.
const CURSORS: u32 = 2;

/// See the module.
pub(crate) struct Chunks {
    driver: Pages,
    cursors: Option<OwnedSemaphorePermit>,
    assembly: Assembly,
}

/// What puts rows together.
struct Assembly {
    cut: Cut,
    selection: Selection,
    source: Source,
    certain: Certain,
}

/// Which times tell versions apart.
#[derive(Debug, Clone, Copy)]
enum Certain {
    /// The vendor has not been asked what time it is.
    Unknown,
    /// Times before this one.
    Before(Timestamp),
    /// None.
    Never,
}

/// The rows of some pages of one chunk.
#[derive(Default)]
struct Rows {
    pages: Vec<Batch>,
    /// By key.
    places: HashMap<Box<[u8]>, (usize, usize)>,
}

impl Rows {
    fn add(&mut self, page: Batch) {
        for (index, record) in page.iter().enumerate() {
            self.places.insert(record.key.unwrap_or_default().into(), (self.pages.len(), index));
        }
        self.pages.push(page);
    }

    fn get(&self, key: &[u8]) -> Option<RecordView<'_>> {
        let (page, index) = self.places.get(key)?;
        self.pages.get(*page)?.get(*index)
    }
}

impl Chunks {
    /// Puts the queries for what the walk asks for; nothing is sent yet.
    pub(crate) fn put(cut: &Cut, selection: &Selection, source: &Source, walk: &Walk) -> Result<Self> {
        let rows = PAGE_VALUES / selection.fields().len().max(1);
        let source = source.covered(u32::try_from(rows).unwrap_or(u32::MAX).max(200));
        let certain = match walk.settled_before() {
            _ if !selection.cursor_tells_versions() => Certain::Never,
            Some(before) => Certain::Before(before),
            None => Certain::Unknown,
        };
        let query = selection.select_only(cut.fields(0).iter().map(String::as_str))?;
        let soql = walk.narrow(bounded(selection, query, walk)?)?.to_string();
        let driver = source.put(soql);
        let assembly = Assembly { cut: cut.clone(), selection: selection.clone(), source, certain };
        Ok(Self { driver, cursors: None, assembly })
    }

    /// How many queries the fields take.
    pub(crate) fn len(&self) -> usize {
        self.assembly.cut.len()
    }

    /// How many rows came so far.
    pub(crate) fn received(&self) -> u64 {
        self.driver.received()
    }

    /// As that of [`Pages`].
    pub(crate) async fn prefetch(&mut self) {
        self.driver.prefetch().await;
    }

    /// The next page, its rows whole; none after the last one.
    pub(crate) async fn next(&mut self, walk: &Walk) -> Result<Option<(Batch, Option<u64>)>> {
        if self.cursors.is_none() {
            self.cursors = Some(self.assembly.source.api().cursors(CURSORS).await?);
        }
        self.assembly.ask_the_time().await?;
        let Some(Answered { page, found, .. }) = self.driver.next().await? else { return Ok(None) };
        Ok(Some((self.assembly.complete(page.batch, walk).await?, found)))
    }
}

impl Assembly {
    /// What is older than now tells versions apart for the rest of this read.
    async fn ask_the_time(&mut self) -> Result<()> {
        if matches!(self.certain, Certain::Unknown) {
            let query = self.selection.select_only([ID])?.limit(1);
            let answered = self.source.put(query.to_string()).next().await?;
            let now = answered.and_then(|answered| answered.date);
            self.certain = now.map_or(Certain::Never, Certain::Before);
        }
        Ok(())
    }

    /// Adds to the rows of a page what the other chunks have of them.
    async fn complete(&self, page: Batch, walk: &Walk) -> Result<Batch> {
        let mut chunks = vec![Rows::default()];
        chunks.extend(self.follow(&page, walk).await?);
        let order: Vec<Box<[u8]>> = page.iter().map(|record| record.key.unwrap_or_default().into()).collect();
        if let Some(driver) = chunks.first_mut() {
            driver.add(page);
        }
        let unsure: Vec<&[u8]> =
            order.iter().map(|key| &**key).filter(|key| !self.agree(&pieces(&chunks, key))).collect();
        let again = self.again(unsure, walk).await?;
        let mut batch = BatchBuilder::new(self.selection.object().into());
        let mut record = Vec::new();
        for key in &order {
            match again.get(&**key) {
                Some(Settled::Gone) => {}
                Some(Settled::Row(row)) => row.push(key, &mut batch),
                None => {
                    let pieces: Vec<_> = pieces(&chunks, key).into_iter().flatten().collect();
                    self.cut.splice(&pieces, &mut record)?;
                    if let Some(first) = pieces.first() {
                        batch.push(RecordView { record: Some(&record), key: Some(key), ..*first });
                    }
                }
            }
        }
        Ok(batch.build())
    }

    /// What the chunks after the first have of the rows of a page. None of them where the vendor finds even
    /// that too much: the rows are then read by id.
    async fn follow(&self, page: &Batch, walk: &Walk) -> Result<Vec<Rows>> {
        let mut chunks = Vec::new();
        for chunk in 1..self.cut.len() {
            let query = self.selection.select_only(self.cut.fields(chunk).iter().map(String::as_str))?;
            let query = bounded(&self.selection, query, walk)?;
            let rows = match walk.spanned(query, page)? {
                Some(query) => self.all(query).await,
                None => Ok(Rows::default()),
            };
            chunks.push(match rows {
                Err(error) if fault::then(&error) == Then::Shrink => Rows::default(),
                rows => rows?,
            });
        }
        Ok(chunks)
    }

    /// All rows of a query.
    async fn all(&self, query: Query) -> Result<Rows> {
        let mut pages = self.source.put(query.to_string());
        let mut rows = Rows::default();
        while let Some(answered) = pages.next().await? {
            rows.add(answered.page.batch);
        }
        Ok(rows)
    }

    /// Whether these are chunks of one version, and all of them.
    fn agree(&self, pieces: &[Option<RecordView<'_>>]) -> bool {
        let Some(Some(first)) = pieces.first() else { return false };
        let Certain::Before(certain) = self.certain else { return false };
        first.source_timestamp.is_some_and(|at| at < certain.as_millis())
            && pieces.iter().all(|piece| piece.as_ref().is_some_and(|piece| piece.cursor == first.cursor))
    }

    /// Reads rows by id, all their chunks, until they come to rest.
    async fn again<'a>(&self, keys: Vec<&'a [u8]>, walk: &Walk) -> Result<HashMap<&'a [u8], Settled>> {
        let mut settled = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(IDS) {
            self.settle(keys.to_vec(), walk, &mut settled).await?;
        }
        Ok(settled)
    }

    async fn settle<'a>(
        &self,
        mut left: Vec<&'a [u8]>,
        walk: &Walk,
        settled: &mut HashMap<&'a [u8], Settled>,
    ) -> Result<()> {
        let mut before: Vec<Rows> = Vec::new();
        for _ in 0..ROUNDS {
            let now = self.by_id(&left).await?;
            let mut moving = Vec::new();
            for key in left {
                let pieces = pieces(&now, key);
                if pieces.iter().all(Option::is_none) {
                    settled.insert(key, Settled::Gone);
                } else if self.agree(&pieces) || Self::is_unmoved(&before, &now, key) {
                    let pieces: Vec<_> = pieces.into_iter().flatten().collect();
                    settled.insert(key, Settled::Row(Row::of(&self.cut, &pieces)?));
                } else {
                    moving.push(key);
                }
            }
            left = moving;
            if left.is_empty() {
                return Ok(());
            }
            before = now;
        }
        self.give_up(left, &before, walk, settled)
    }

    /// Two reads in a row brought the same bytes of every chunk.
    fn is_unmoved(before: &[Rows], now: &[Rows], key: &[u8]) -> bool {
        !before.is_empty()
            && before.iter().zip(now).all(|(before, now)| match (before.get(key), now.get(key)) {
                (Some(before), Some(now)) => before.record == now.record,
                _ => false,
            })
    }

    async fn by_id(&self, keys: &[&[u8]]) -> Result<Vec<Rows>> {
        let ids: Vec<String> = keys
            .iter()
            .map(|key| id_of(&RecordView { record: None, key: Some(key), ..NOTHING }))
            .collect::<Result<_>>()?;
        let mut chunks = Vec::with_capacity(self.cut.len());
        for chunk in 0..self.cut.len() {
            let fields = self.cut.fields(chunk).iter().map(String::as_str);
            let these = Condition::one_of(ID, ids.iter().map(String::as_str))?;
            chunks.push(self.all(self.selection.select_only(fields)?.filter(these)).await?);
        }
        Ok(chunks)
    }

    /// Rows that will not come to rest.
    fn give_up<'a>(
        &self,
        left: Vec<&'a [u8]>,
        last: &[Rows],
        walk: &Walk,
        settled: &mut HashMap<&'a [u8], Settled>,
    ) -> Result<()> {
        for key in left {
            let later = walk.settled_before().is_some_and(|planned_at| {
                let times = pieces(last, key).into_iter().flatten().map(|piece| piece.source_timestamp);
                times.max().flatten().is_some_and(|at| at >= planned_at.as_millis())
            });
            if !later {
                let message = "a row of a wide object did not come to rest: its fields, which take several \
                               queries, were never of one version; run again, or select fewer `fields`";
                return Err(self
                    .source
                    .wrong(Class::Transient, message)
                    .with_context("rounds", ROUNDS)
                    .into_exhausted());
            }
            tracing::info!(object = self.selection.object(), "a row keeps changing; left to the next plan");
            settled.insert(key, Settled::Gone);
        }
        Ok(())
    }
}

/// The query for some fields, with the bounds of what a walk reads.
pub(crate) fn bounded(selection: &Selection, query: Query, walk: &Walk) -> Result<Query> {
    match walk {
        Walk::Window(_) => Ok(query),
        Walk::Keyset(_) | Walk::Pass => selection.bounded(query),
    }
}

/// What the chunks have of a row.
fn pieces<'a>(chunks: &'a [Rows], key: &[u8]) -> Vec<Option<RecordView<'a>>> {
    chunks.iter().map(|rows| rows.get(key)).collect()
}

/// What became of a row that was read again.
enum Settled {
    Row(Row),
    /// It is not there any more, or not for this read.
    Gone,
}

/// A row put together.
struct Row {
    record: Vec<u8>,
    cursor: Option<Vec<u8>>,
    source_timestamp: Option<i64>,
    operation: Operation,
}

impl Row {
    fn of(cut: &Cut, pieces: &[RecordView<'_>]) -> Result<Self> {
        let mut record = Vec::new();
        cut.splice(pieces, &mut record)?;
        let first = pieces.first().copied().unwrap_or(NOTHING);
        Ok(Self {
            record,
            cursor: first.cursor.map(<[u8]>::to_vec),
            source_timestamp: first.source_timestamp,
            operation: first.operation,
        })
    }

    fn push(&self, key: &[u8], batch: &mut BatchBuilder) {
        batch.push(RecordView {
            operation: self.operation,
            record: Some(&self.record),
            key: Some(key),
            cursor: self.cursor.as_deref(),
            source_timestamp: self.source_timestamp,
        });
    }
}

const NOTHING: RecordView<'static> = RecordView {
    operation: Operation::Upsert,
    record: None,
    key: None,
    cursor: None,
    source_timestamp: None,
};
