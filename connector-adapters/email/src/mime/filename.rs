//! Names of attachments: what a sender writes is not a path on our disk.

/// What a directory entry may have on most file systems.
const LONGEST: usize = 255;

/// The last part of a name, without NUL, control characters and what turns the direction of writing (`exe.gpj` shown as
/// `jpg.exe`); 255 bytes at most, the extension kept. `None` where nothing is left.
pub(super) fn safe(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = last.chars().filter(|character| !hidden(*character)).collect();
    let trimmed = clean.trim().trim_end_matches('.');
    if trimmed.is_empty() {
        return None;
    }
    if trimmed.len() != clean.len() {
        clean = trimmed.to_owned();
    }
    if clean.len() > LONGEST {
        let extension = clean.rfind('.').map_or("", |dot| &clean[dot..]);
        let extension = if extension.len() <= 32 { extension.to_owned() } else { String::new() };
        let mut end = LONGEST - extension.len();
        while !clean.is_char_boundary(end) {
            end -= 1;
        }
        clean.truncate(end);
        clean.push_str(&extension);
    }
    Some(clean)
}

/// Unicode's controls, and its marks and overrides of direction (UAX #9), zero-width and tag characters.
fn hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}
