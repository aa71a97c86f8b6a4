//! What an HMAC is made of: `{timestamp}.{body}`.

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Timestamp,
    Id,
    Body,
}

/// Parts, one after the other, that can be told apart again: what was signed once means one thing only.
///
/// The body stands in it once. An id has a text, or nothing, on either side, and does not hold that text. A time may stand
/// beside the body, as Zendesk has it: times that are near now are all of one length, or end with `Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

impl Template {
    /// Reads a template.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (part, after) =
                [("{timestamp}", Part::Timestamp), ("{id}", Part::Id), ("{body}", Part::Body)]
                    .into_iter()
                    .find_map(|(name, part)| Some((part, from.strip_prefix(name)?)))
                    .ok_or("holds a brace that begins none of {timestamp}, {id} and {body}")?;
            if parts.contains(&part) {
                return Err("holds a part twice");
            }
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if !parts.contains(&Part::Body) {
            return Err("does not hold {body}: anything could be sent");
        }
        let touches = |pair: &[Part]| {
            pair.contains(&Part::Id) && !pair.iter().any(|part| matches!(part, Part::Text(_)))
        };
        if parts.windows(2).any(touches) {
            return Err("has no text between {id} and what is beside it: one could pass for the other");
        }
        Ok(Self(parts))
    }

    /// Whether the time is signed.
    pub(super) fn signs_time(&self) -> bool {
        self.0.contains(&Part::Timestamp)
    }

    /// Whether the id is signed.
    pub(super) fn signs_id(&self) -> bool {
        self.0.contains(&Part::Id)
    }

    /// Whether an id can be told from what is beside it: the text after it is not found earlier, nor the one before it
    /// later. (An `a` before `aa` ends where `aa` begins, or one letter before.) At either end there is nothing to tell.
    pub(super) fn is_clear(&self, id: &str) -> bool {
        let ends = self.0.len().saturating_sub(2);
        self.0.windows(2).enumerate().all(|(at, pair)| match pair {
            [Part::Id, Part::Text(text)] if at < ends => {
                format!("{id}{text}").find(text.as_str()) == Some(id.len())
            }
            [Part::Text(text), Part::Id] if at > 0 => format!("{text}{id}").rfind(text.as_str()) == Some(0),
            _ => true,
        })
    }

    /// The bytes that are signed, part by part.
    pub(super) fn parts<'a>(&'a self, timestamp: &'a str, id: &'a str, body: &'a [u8]) -> Vec<&'a [u8]> {
        let bytes = |part: &'a Part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Timestamp => timestamp.as_bytes(),
            Part::Id => id.as_bytes(),
            Part::Body => body,
        };
        self.0.iter().map(bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(template: &str, timestamp: &str, id: &str, body: &str) -> Option<String> {
        let template = Template::parse(template).ok()?;
        let parts = template.parts(timestamp, id, body.as_bytes());
        template.is_clear(id).then(|| String::from_utf8_lossy(&parts.concat()).into_owned())
    }

    #[test]
    fn the_parts_stand_where_the_template_has_them() {
        assert_eq!(signed("{body}", "7", "a", "x").as_deref(), Some("x"));
        assert_eq!(signed("v0:{timestamp}:{body}", "7", "a", "x").as_deref(), Some("v0:7:x"));
        assert_eq!(signed("{id}.{timestamp}.{body}", "7", "a", "x").as_deref(), Some("a.7.x"));
        assert_eq!(signed("{timestamp}{body}", "7", "a", "{id}").as_deref(), Some("7{id}"));
    }

    /// All ids and bodies of a few letters: two that are signed alike are one and the same.
    #[test]
    fn what_is_signed_was_one_id_and_one_body() {
        let words: Vec<String> = (0..=4)
            .flat_map(|length| (0..1_u32 << length).map(move |bits| (length, bits)))
            .map(|(length, bits)| (0..length).map(|at| if bits >> at & 1 == 0 { 'a' } else { 'b' }).collect())
            .collect();
        for template in
            ["{id}a{body}", "{id}aa{body}", "{id}aba{body}", "{body}ab{id}", "{body}bb{id}", "a{id}b{body}"]
        {
            let mut seen = std::collections::BTreeMap::new();
            for id in words.iter().filter(|id| !id.is_empty()) {
                for body in &words {
                    if let Some(text) = signed(template, "", id, body) {
                        let before = seen.insert(text, (id, body));
                        assert_eq!(before, None, "{template}: {id} {body}");
                    }
                }
            }
            assert!(seen.len() > 10, "{template} takes next to no id");
        }
    }
}
