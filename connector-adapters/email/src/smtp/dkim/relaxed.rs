//! The relaxed forms of headers and of a body (RFC 6376, 3.4.2 and 3.4.4).

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Spaces become one, and none stand at the end.
fn squeezed(line: &[u8], out: &mut Vec<u8>) {
    let mut gap = false;
    for &byte in line {
        if is_space(byte) {
            gap = true;
        } else {
            if gap {
                out.push(b' ');
            }
            gap = false;
            out.push(byte);
        }
    }
}

/// `name:value` in the relaxed form, without an end.
pub(super) fn header(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = name.trim_end().to_ascii_lowercase().into_bytes();
    out.push(b':');
    let unfolded: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let start = unfolded.iter().position(|byte| !is_space(*byte)).unwrap_or(unfolded.len());
    squeezed(unfolded.get(start..).unwrap_or_default(), &mut out);
    out
}

/// All headers in the relaxed form, with their names in lower case, in order.
pub(super) fn headers(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    let mut whole: Vec<u8> = Vec::new();
    let mut flush = |whole: &mut Vec<u8>| {
        if let Some(colon) = memchr::memchr(b':', whole) {
            let name = String::from_utf8_lossy(&whole[..colon]).trim_end().to_ascii_lowercase();
            let relaxed = header(&name, &whole[colon + 1..]);
            out.push((name, relaxed));
        }
        whole.clear();
    };
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if !line.first().is_some_and(|byte| is_space(*byte)) {
            flush(&mut whole);
        }
        whole.extend_from_slice(line);
    }
    flush(&mut whole);
    out
}

/// The body in the relaxed form: no empty lines at its end.
pub(super) fn body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut empty = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(|byte| is_space(*byte)) {
            empty += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty) {
            out.extend_from_slice(b"\r\n");
        }
        squeezed(line, &mut out);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6376, 3.4.5.
    #[test]
    fn the_example_of_the_standard_comes_out_as_it_has_it() {
        let found = headers(b"A: X\r\nB : Y\t\r\n\tZ  \r\n");
        let found: Vec<_> = found.iter().map(|(_, text)| text.as_slice()).collect();
        assert_eq!(found, [&b"a:X"[..], b"b:Y Z"]);
        assert_eq!(body(b" C \r\nD \t E\r\n\r\n\r\n"), b" C\r\nD E\r\n");
        assert_eq!(body(b""), b"");
        assert_eq!(body(b"\r\n\r\n"), b"");
        assert_eq!(body(b"a\r\n\r\nb"), b"a\r\n\r\nb\r\n");
    }
}
