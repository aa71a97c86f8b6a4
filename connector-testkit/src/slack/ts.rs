//! A message's `ts`: seconds and six digits, unique in its channel, the name of the message as well as its time.

use std::fmt;

/// Microseconds since the epoch; written `1512085950.000216`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Ts(pub(super) u64);

impl Ts {
    pub(super) fn from_millis(millis: i64) -> Self {
        Self(u64::try_from(millis).unwrap_or_default().saturating_mul(1000))
    }

    /// Reads `SECONDS`, or `SECONDS.FRACTION` of up to six digits, as windows are given; none for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if seconds.is_empty() || !digits(seconds) || !digits(fraction) || fraction.len() > 6 {
            return None;
        }
        let micros: u64 = format!("{fraction:0<6}").parse().ok()?;
        Some(Self(seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?))
    }

    /// Appends it as text.
    pub(super) fn write(self, to: &mut Vec<u8>) {
        number(self.0 / 1_000_000, 1, to);
        to.push(b'.');
        number(self.0 % 1_000_000, 6, to);
    }
}

/// Appends a number of at least so many digits: by hand, since a bench reads a million messages.
pub(super) fn number(mut value: u64, width: usize, to: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while value > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
    to.extend_from_slice(&digits[at..]);
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
