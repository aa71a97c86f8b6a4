//! Bodies that were compressed on the way: taken only where the configuration says so, after their proof, within the size
//! of a body.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, StatusCode, header};

use super::Answer;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// What the headers say.
    ///
    /// # Errors
    /// 415 for what is not taken.
    pub(super) fn of(headers: &HeaderMap, takes_gzip: bool) -> Result<Self, Answer> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Ok(Self::Identity) };
        let is = |name: &str| value.as_bytes().eq_ignore_ascii_case(name.as_bytes());
        match values.next() {
            None if is("identity") => Ok(Self::Identity),
            None if takes_gzip && (is("gzip") || is("x-gzip")) => Ok(Self::Gzip),
            _ => {
                let why = match takes_gzip {
                    true => "bodies are taken as they are, or as gzip",
                    false => "bodies are taken as they are, without an encoding",
                };
                Err(Answer::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
            }
        }
    }

    /// The body as it was before.
    ///
    /// # Errors
    /// 400 when it is damaged, 413 when it is larger than that.
    pub(super) fn undo(self, body: Bytes, most: usize) -> Result<Bytes, Answer> {
        if self == Self::Identity {
            return Ok(body);
        }
        let mut decoder = MultiGzDecoder::new(Capped { bytes: Vec::new(), most });
        let unfolded = decoder.write_all(&body).and_then(|()| decoder.finish());
        match unfolded {
            Ok(capped) => Ok(capped.bytes.into()),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Err(Answer::refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too large when it is unfolded",
            )),
            Err(_) => Err(Answer::refused(StatusCode::BAD_REQUEST, "the body is no gzip")),
        }
    }
}

/// Takes so many bytes and no more.
struct Capped {
    bytes: Vec<u8>,
    most: usize,
}

impl std::io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use http::HeaderValue;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn status(answer: Result<Bytes, Answer>) -> u16 {
        answer.map_or_else(|answer| answer.status.as_u16(), |_| 200)
    }

    #[test]
    fn a_body_unfolds_to_its_size_and_not_to_a_bomb() {
        let most = 1000;
        assert_eq!(Encoding::Gzip.undo(gzip(b"a body"), most).unwrap(), "a body");
        let members = [gzip(b"one, "), gzip(b"two")].concat();
        assert_eq!(Encoding::Gzip.undo(members.into(), most).unwrap(), "one, two");
        assert_eq!(status(Encoding::Gzip.undo(gzip(&[b'x'; 1000]), most)), 200);
        assert_eq!(status(Encoding::Gzip.undo(gzip(&[b'x'; 1001]), most)), 413);
        assert_eq!(status(Encoding::Gzip.undo(gzip(&vec![0; 10 << 20]), most)), 413);
        for damaged in [Bytes::from_static(b"no gzip"), gzip(b"a body").slice(..15), Bytes::new()] {
            assert_eq!(status(Encoding::Gzip.undo(damaged.clone(), most)), 400, "{damaged:?}");
        }
    }

    #[test]
    fn an_encoding_is_taken_only_where_it_was_asked_for_and_only_once() {
        let of = |values: &[&'static str], takes_gzip| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Encoding::of(&headers, takes_gzip).map_err(|answer| answer.status.as_u16())
        };
        assert_eq!(of(&[], false), Ok(Encoding::Identity));
        assert_eq!(of(&["identity"], false), Ok(Encoding::Identity));
        assert_eq!(of(&["gzip"], false), Err(415));
        assert_eq!(of(&["GZip"], true), Ok(Encoding::Gzip));
        for odd in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"], &[""], &["deflate"]] {
            assert_eq!(of(odd, true), Err(415), "{odd:?}");
        }
    }
}
