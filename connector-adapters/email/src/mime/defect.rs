//! What is wrong in a mail, or was cut: said in the record, never a failed run.

use super::json;

/// What is said of one message at most; then only counted.
const MOST: usize = 64;

/// How much of the offending bytes is shown.
const LONGEST_DETAIL: usize = 200;

/// The defects of one message.
#[derive(Debug, Default)]
pub(super) struct Defects {
    json: Vec<u8>,
    count: usize,
}

impl Defects {
    /// Adds `{kind, where}` and a detail if there is one.
    #[cold]
    pub(super) fn add(&mut self, kind: &str, place: &str, detail: Option<&str>) {
        self.count += 1;
        if self.count > MOST {
            return;
        }
        if self.count > 1 {
            self.json.push(b',');
        }
        self.json.extend_from_slice(b"{\"kind\":");
        json::string(&mut self.json, kind);
        self.json.extend_from_slice(b",\"where\":");
        json::string(&mut self.json, place);
        if let Some(detail) = detail {
            self.json.extend_from_slice(b",\"detail\":");
            let end = (0..=LONGEST_DETAIL.min(detail.len())).rev().find(|end| detail.is_char_boundary(*end));
            json::string(&mut self.json, &detail[..end.unwrap_or(0)]);
        }
        self.json.push(b'}');
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Writes the array.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        out.extend_from_slice(&self.json);
        if self.count > MOST {
            out.extend_from_slice(b",{\"kind\":\"more_defects\",\"where\":\"message\",\"detail\":\"");
            json::number(out, (self.count - MOST) as u64);
            out.extend_from_slice(b" more\"}");
        }
        out.push(b']');
    }
}
