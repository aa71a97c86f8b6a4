//! A small reader of XML that refuses whatever an assertion has no use for: comments, instructions,
//! document types, character data sections, namespaces of anybody else.

#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    pub(super) fn read(document: &str) -> Result<Self, &'static str> {
        let mut rest = document;
        let root = element(&mut rest)?;
        if rest.is_empty() { Ok(root) } else { Err("something behind the assertion") }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The text of an element that holds nothing else.
    pub(super) fn text(&self) -> Option<&str> {
        self.children.is_empty().then_some(self.text.as_str())
    }

    /// The only child of this name.
    pub(super) fn only(&self, name: &str) -> Option<&Self> {
        let mut found = self.children.iter().filter(|child| child.name == name);
        found.next().filter(|_| found.next().is_none())
    }

    /// The only one below at each step of a path such as `a/b`.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, Self::only)
    }

    /// How many there are of this name, here and below.
    pub(super) fn count(&self, name: &str) -> usize {
        usize::from(self.name == name) + self.children.iter().map(|child| child.count(name)).sum::<usize>()
    }
}

fn element(rest: &mut &str) -> Result<Element, &'static str> {
    let (tag, behind) = tag(rest.strip_prefix('<').ok_or("no element")?).ok_or("no element")?;
    if tag.starts_with(['!', '?']) {
        return Err("more than elements");
    }
    *rest = behind;
    let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
    let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut read = Element { name: name.to_owned(), ..Element::default() };
    read.attributes = self::attributes(attributes)?;
    if is_empty {
        return Ok(read);
    }
    loop {
        if let Some(behind) = rest.strip_prefix("</") {
            *rest = behind.strip_prefix(name).and_then(|rest| rest.strip_prefix('>')).ok_or("an end tag")?;
            return Ok(read);
        }
        if rest.starts_with('<') {
            read.children.push(element(rest)?);
        } else {
            let end = rest.find('<').ok_or("cut off")?;
            read.text += &unescaped(&rest[..end])?;
            *rest = &rest[end..];
        }
    }
}

/// What stands before the next `>` that is not part of a value, and what stands behind it.
fn tag(text: &str) -> Option<(&str, &str)> {
    let mut is_value = false;
    let end = text.find(|c| {
        is_value ^= c == '"';
        c == '>' && !is_value
    })?;
    Some((&text[..end], &text[end + 1..]))
}

fn attributes(mut rest: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut read = Vec::new();
    while !rest.trim().is_empty() {
        let (name, value) = rest.trim_start().split_once("=\"").ok_or("an attribute")?;
        let (value, behind) = value.split_once('"').ok_or("an attribute")?;
        if name.starts_with("xmlns")
            && ![
                ("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion"),
                ("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#"),
            ]
            .contains(&(name, value))
        {
            return Err("a namespace");
        }
        read.push((name.to_owned(), unescaped(value)?));
        rest = behind;
    }
    Ok(read)
}

fn unescaped(text: &str) -> Result<String, &'static str> {
    let mut pieces = text.split('&');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, behind) = piece.split_once(';').ok_or("an entity")?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#xD" | "#13" => '\r',
            "#xA" | "#10" => '\n',
            "#x9" | "#9" => '\t',
            _ => return Err("an entity"),
        });
        plain += behind;
    }
    Ok(plain)
}
