//! One direction of a connection.

use std::{borrow::Cow, future::pending, io, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Line, Way};

/// How a fault ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Reset,
    Close,
}

/// Carries bytes one way until there are no more, or the fault ends the connection.
pub(super) async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    way: Way,
    fault: Option<&Line>,
    count: impl Fn(usize),
) -> Result<(), Ending> {
    let mut shape = Shape::new(fault.filter(|fault| fault.way() == Some(way)));
    let mut buffer = vec![0; 16 << 10];
    loop {
        if let Some(ending) = shape.is_over() {
            match ending {
                Some(ending) => return Err(ending),
                None => return silent(from, &mut buffer).await,
            }
        }
        let read = match from.read(&mut buffer).await {
            Ok(read) if read > 0 => read,
            Ok(_) => {
                let _ = to.shutdown().await;
                return Ok(());
            }
            // One side has reset its connection: so does the other.
            Err(_) => return Err(Ending::Reset),
        };
        count(read);
        let passed = shape.pass(buffer.get(..read).unwrap_or_default());
        if write(to, &passed, shape.pace()).await.is_err() {
            return Err(Ending::Reset);
        }
    }
}

/// Hears and says nothing, until whoever speaks leaves.
async fn silent(from: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Result<(), Ending> {
    while from.read(buffer).await.is_ok_and(|read| read > 0) {}
    // The other side is not told: that is what a stalled connection is.
    pending().await
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    pace: Option<(usize, Duration)>,
) -> io::Result<()> {
    let Some((step, every)) = pace else {
        to.write_all(bytes).await?;
        return to.flush().await;
    };
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.reset();
    for piece in bytes.chunks(step.max(1)) {
        ticks.tick().await;
        to.write_all(piece).await?;
        to.flush().await?;
    }
    Ok(())
}

/// What a fault does to a stream of bytes, however they are cut into pieces.
struct Shape<'a> {
    fault: Option<&'a Line>,
    /// Bytes that have come.
    seen: u64,
    /// The piece that comes again.
    kept: Vec<u8>,
}

impl<'a> Shape<'a> {
    fn new(fault: Option<&'a Line>) -> Self {
        Self { fault, seen: 0, kept: Vec::new() }
    }

    /// Whether nothing more passes, and how the connection ends then; none: not at all.
    fn is_over(&self) -> Option<Option<Ending>> {
        match *self.fault? {
            Line::Reset { after, .. } if self.seen >= after => Some(Some(Ending::Reset)),
            Line::Close { after, .. } if self.seen >= after => Some(Some(Ending::Close)),
            Line::Stall { after, .. } if self.seen >= after => Some(None),
            _ => None,
        }
    }

    fn pace(&self) -> Option<(usize, Duration)> {
        match *self.fault? {
            Line::Delay { by, .. } => Some((usize::MAX, by)),
            Line::Throttle { bytes, every, .. } => Some((bytes, every)),
            _ => None,
        }
    }

    fn pass<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let before = self.seen;
        self.seen += bytes.len() as u64;
        // Where a byte of the whole stands in this piece, as far as it does.
        let here =
            |at: u64| usize::try_from(at.saturating_sub(before)).unwrap_or(usize::MAX).min(bytes.len());
        let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        match self.fault {
            Some(&(Line::Reset { after, .. } | Line::Close { after, .. } | Line::Stall { after, .. })) => {
                Cow::Borrowed(part(0, here(after)))
            }
            Some(&Line::Corrupt { at, .. }) if (before..self.seen).contains(&at) => {
                let mut spoilt = bytes.to_vec();
                if let Some(byte) = spoilt.get_mut(here(at)) {
                    *byte ^= 1;
                }
                Cow::Owned(spoilt)
            }
            Some(&Line::Lose { at, bytes: lost, .. }) => {
                let rest = part(here(at.saturating_add(lost)), bytes.len());
                Cow::Owned([part(0, here(at)), rest].concat())
            }
            Some(&Line::Repeat { at, bytes: again, .. }) => {
                let end = at.saturating_add(again);
                self.kept.extend_from_slice(part(here(at), here(end)));
                if (before..self.seen).contains(&end.saturating_sub(1)) {
                    Cow::Owned([part(0, here(end)), &*self.kept, part(here(end), bytes.len())].concat())
                } else {
                    Cow::Borrowed(bytes)
                }
            }
            _ => Cow::Borrowed(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that pass, whatever the pieces they come in.
    fn passed(fault: &Line, whole: &[u8]) -> Vec<u8> {
        let outcomes: Vec<Vec<u8>> = (1..=whole.len())
            .map(|piece| {
                let mut shape = Shape::new(Some(fault));
                let mut out = Vec::new();
                for bytes in whole.chunks(piece) {
                    if shape.is_over().is_some() {
                        break;
                    }
                    out.extend_from_slice(&shape.pass(bytes));
                }
                out
            })
            .collect();
        assert!(
            outcomes.windows(2).all(|pair| pair[0] == pair[1]),
            "the pieces must not matter: {outcomes:?}"
        );
        outcomes.into_iter().next().unwrap()
    }

    #[test]
    fn each_fault_counts_bytes_and_not_pieces() {
        let way = Way::Down;
        let whole = b"abcdefghij";
        assert_eq!(passed(&Line::Reset { way, after: 4 }, whole), b"abcd");
        assert_eq!(passed(&Line::Close { way, after: 0 }, whole), b"");
        assert_eq!(passed(&Line::Stall { way, after: 99 }, whole), whole);
        assert_eq!(passed(&Line::Corrupt { way, at: 2 }, whole), b"abbdefghij");
        assert_eq!(passed(&Line::Lose { way, at: 3, bytes: 4 }, whole), b"abchij");
        assert_eq!(passed(&Line::Repeat { way, at: 3, bytes: 4 }, whole), b"abcdefgdefghij");
        assert_eq!(passed(&Line::Repeat { way, at: 8, bytes: 4 }, whole), whole, "what never came whole");
    }
}
