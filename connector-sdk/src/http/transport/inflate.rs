//! gzip, decompressed as it arrives, under a cap.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;

/// Why a body cannot be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// It is larger than the cap.
    TooLarge,
    /// It is no gzip, or was damaged or cut off on the way.
    Broken,
}

/// Decompresses one body, of one gzip member or several in a row.
pub(super) struct Inflate(MultiGzDecoder<Capped>);

impl Inflate {
    pub(super) fn new(cap: u64, expected: usize) -> Self {
        Self(MultiGzDecoder::new(Capped {
            out: Vec::with_capacity(expected),
            cap,
            compressed: 0,
            over: false,
        }))
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Damage> {
        self.0.get_mut().compressed += chunk.len();
        let result = self.0.write_all(chunk);
        result.map_err(|_| self.damage())
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, Damage> {
        match self.0.try_finish() {
            Ok(()) => Ok(std::mem::take(&mut self.0.get_mut().out)),
            Err(_) => Err(self.damage()),
        }
    }

    fn damage(&self) -> Damage {
        if self.0.get_ref().over { Damage::TooLarge } else { Damage::Broken }
    }
}

/// Refuses what goes beyond the cap, before it is in memory.
struct Capped {
    out: Vec<u8>,
    cap: u64,
    /// Bytes of the compressed body so far.
    compressed: usize,
    over: bool,
}

/// A body that unfolds further than this is a bomb, not data: text compresses to a tenth, logs to a fiftieth.
const MAX_RATIO: usize = 200;
/// Small bodies may be as repetitive as they like, in bytes.
const RATIO_FREE: usize = 16 << 20;

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.out.len() + bytes.len();
        let unfolds = size > RATIO_FREE && size > self.compressed.saturating_mul(MAX_RATIO);
        if size as u64 > self.cap || unfolds {
            self.over = true;
            return Err(io::Error::other("larger than the cap"));
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(compressed: &[u8], piece: usize, cap: u64) -> Result<Vec<u8>, Damage> {
        let mut inflate = Inflate::new(cap, 0);
        compressed.chunks(piece).try_for_each(|chunk| inflate.push(chunk))?;
        inflate.finish()
    }

    #[test]
    fn case_67_members_in_a_row_are_one_body() {
        let both = [gzip(b"first, "), gzip(b""), gzip(b"second")].concat();
        for piece in 1..=both.len() {
            assert_eq!(inflate(&both, piece, 100).unwrap(), b"first, second", "in pieces of {piece}");
        }
    }

    #[test]
    fn case_68_a_bomb_ends_at_the_cap() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert!(bomb.len() < 64 << 10);
        assert_eq!(inflate(&bomb, bomb.len(), 1 << 20), Err(Damage::TooLarge));
        assert_eq!(inflate(&bomb, 7, 10 << 20).unwrap().len(), 10 << 20);
    }

    #[test]
    fn d_12_a_body_cut_off_anywhere_is_broken() {
        let whole = gzip(br#"{"records":[1,2,3]}"#);
        for end in 1..whole.len() {
            assert_eq!(
                inflate(&whole[..end], 5, 100),
                Err(Damage::Broken),
                "cut at {end} of {}",
                whole.len()
            );
        }
    }

    #[test]
    fn a_flipped_bit_in_the_checksum_is_noticed() {
        let mut whole = gzip(b"a body");
        let end = whole.len() - 5;
        whole[end] ^= 1;
        assert_eq!(inflate(&whole, 100, 100), Err(Damage::Broken));
        assert_eq!(inflate(b"<html>", 100, 100), Err(Damage::Broken));
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(bytes: Vec<u8>, piece in 1_usize..50) {
            prop_assert_eq!(inflate(&gzip(&bytes), piece, u64::MAX).unwrap(), bytes);
        }
    }

    #[test]
    fn what_unfolds_a_thousand_times_is_refused_long_before_the_cap() {
        let zeros = vec![b'0'; 64 << 20];
        assert_eq!(inflate(&gzip(&zeros), 4096, u64::MAX), Err(Damage::TooLarge));
        let small = vec![b'0'; 8 << 20];
        assert_eq!(inflate(&gzip(&small), 4096, u64::MAX), Ok(small));
    }
}
