//! 32 bytes at a time: the only file that knows of vector registers.
//!
//! The `wide` crate compiles these comparisons to the vector instructions that the target always has (SSE2,
//! NEON) and to plain code elsewhere; no unsafe code is needed for it here.

use wide::u8x16;

/// How many bytes a step looks at. Most strings of a record are shorter, so that one step finds their end.
pub(super) const WIDTH: usize = 32;

/// The `WIDTH` bytes from `at`; none near the end of the page, where the caller goes byte by byte.
#[inline(always)]
pub(super) fn block(page: &[u8], at: usize) -> Option<&[u8; WIDTH]> {
    page.get(at..)?.first_chunk()
}

/// Marks the bytes that end a run of plain text in a string (quote, backslash, below 0x20): bit i for byte i.
#[inline(always)]
pub(super) fn stops(block: &[u8; WIDTH]) -> u32 {
    let last_control = u8x16::splat(0x1f);
    marks(block, |bytes| {
        bytes.simd_eq(u8x16::splat(b'"'))
            | bytes.simd_eq(u8x16::splat(b'\\'))
            | bytes.min(last_control).simd_eq(bytes)
    })
}

#[inline(always)]
fn marks(block: &[u8; WIDTH], test: impl Fn(u8x16) -> u8x16) -> u32 {
    let (halves, _) = block.as_chunks::<16>();
    let [low, high] = halves else { return 0 };
    test(u8x16::new(*low)).to_bitmask() | test(u8x16::new(*high)).to_bitmask() << 16
}
