//! Bodies packed as a vendor may pack them, and as nobody should.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

/// What a bomb is made of.
const BLOCK: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// So many members, each with its share of the body.
pub(super) fn members(body: &[u8], count: usize) -> Vec<u8> {
    let share = body.len().div_ceil(count.max(1)).max(1);
    body.chunks(share).flat_map(gzip).collect()
}

/// One member, which lacks so many bytes at its end.
pub(super) fn cut(body: &[u8], missing: usize) -> Vec<u8> {
    let mut whole = gzip(body);
    whole.truncate(whole.len().saturating_sub(missing));
    whole
}

/// The body, and blanks up to so many bytes. The blanks come as the same member over and over: packing them costs
/// nothing.
pub(super) fn bomb(body: &[u8], bytes: usize) -> Vec<u8> {
    let blanks = gzip(&vec![b' '; BLOCK]);
    let mut packed = gzip(body);
    for _ in 0..bytes.saturating_sub(body.len()).div_ceil(BLOCK) {
        packed.extend_from_slice(&blanks);
    }
    packed
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::{GzDecoder, MultiGzDecoder};

    use super::*;

    fn unpacked(packed: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        MultiGzDecoder::new(packed).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn members_are_one_body_of_which_a_hasty_reader_sees_the_first_part() {
        let packed = members(b"first second third", 3);
        assert_eq!(unpacked(&packed).unwrap(), b"first second third");
        let mut first = Vec::new();
        GzDecoder::new(&*packed).read_to_end(&mut first).unwrap();
        assert_eq!(first, b"first ");
    }

    #[test]
    fn a_bomb_is_small_and_unfolds_to_the_same_json() {
        let packed = bomb(b"[1]", 4 << 20);
        assert!(packed.len() < 32 << 10, "{}", packed.len());
        let whole = unpacked(&packed).unwrap();
        assert_eq!(whole.len(), (4 << 20) + 3);
        assert_eq!(whole.trim_ascii_end(), b"[1]");
    }

    #[test]
    fn what_was_cut_off_is_missed() {
        for missing in [1, 4, 8, 12] {
            assert!(unpacked(&cut(b"a body of some length, a body", missing)).is_err(), "{missing}");
        }
        assert_eq!(unpacked(&cut(b"whole", 0)).unwrap(), b"whole");
    }
}
