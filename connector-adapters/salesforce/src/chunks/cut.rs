//! Which fields go together into one query.

use std::sync::Arc;

use connector_sdk::{Result, record::RecordView};

use super::splice;
use crate::{api::Api, selection::Selection};

/// Bytes that the names of a chunk's fields take in an address. The rest of the 16,384 is for the headers,
/// the conditions, and a hundred ids.
const FIELD_BYTES: usize = 10_240;
/// A comma and a space, percent-encoded.
const SEPARATOR: usize = "%2C+".len();

/// The fields of an object in chunks. Each chunk has the fields that tell a row, and its own, in the order in
/// which one query would have had them.
#[derive(Debug, Clone)]
pub(crate) struct Cut(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    chunks: Vec<Vec<String>>,
    order: splice::Order,
}

impl Cut {
    /// None where `soql`, which asks for all fields at once, fits into a request and nobody has refused it.
    pub(crate) fn of(api: &Api, selection: &Selection, soql: &str) -> Result<Option<Self>> {
        let pieces = api.pieces(selection.object());
        if pieces == 1 && api.fits(soql, selection.all)? {
            return Ok(None);
        }
        Ok(Some(Self::into_pieces(selection, pieces.max(2))))
    }

    /// Cuts into at least so many chunks, as far as there are fields.
    fn into_pieces(selection: &Selection, pieces: usize) -> Self {
        let length = |field: &str| field.len() + SEPARATOR;
        let (shared, own): (Vec<&String>, Vec<&String>) =
            selection.fields().iter().partition(|field| selection.tells_a_row(field));
        let room = FIELD_BYTES - shared.iter().map(|field| length(field)).sum::<usize>().min(FIELD_BYTES / 2);
        let whole: usize = own.iter().map(|field| length(field)).sum();
        let most = room.min(whole.div_ceil(pieces));
        let mut owners = Vec::with_capacity(own.len());
        let (mut chunk, mut bytes) = (0, 0);
        for field in own {
            if bytes > 0 && bytes + length(field) > most {
                (chunk, bytes) = (chunk + 1, 0);
            }
            bytes += length(field);
            owners.push(chunk);
        }
        let mut owners = owners.into_iter();
        let owner_of = |field: &String| {
            // What tells a row is taken from the first chunk.
            if selection.tells_a_row(field) { 0 } else { owners.next().unwrap_or_default() }
        };
        let owned: Vec<usize> = selection.fields().iter().map(owner_of).collect();
        let fields = || selection.fields().iter().zip(&owned);
        let chunks = (0..=chunk)
            .map(|chunk| {
                fields()
                    .filter(|(field, owner)| **owner == chunk || selection.tells_a_row(field))
                    .map(|(field, _)| field.clone())
                    .collect()
            })
            .collect();
        let order = splice::Order::new(fields().map(|(field, owner)| (field.as_str(), *owner)));
        Self(Arc::new(Parts { chunks, order }))
    }

    /// How many chunks there are.
    pub(crate) fn len(&self) -> usize {
        self.0.chunks.len()
    }

    /// The fields of a chunk.
    pub(crate) fn fields(&self, chunk: usize) -> &[String] {
        self.0.chunks.get(chunk).map_or(&[], Vec::as_slice)
    }

    /// Puts a record together from its chunks.
    pub(crate) fn splice(&self, pieces: &[RecordView<'_>], out: &mut Vec<u8>) -> Result<()> {
        self.0.order.splice(pieces, out)
    }
}
