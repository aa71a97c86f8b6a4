//! Which mailboxes are read: patterns of names, as LIST has them (RFC 9051, 6.3.9).

/// Whether a mailbox of this name is read: a pattern takes it in, and none that begins with `!` leaves it out. Where
/// all of them leave out, the others are taken in.
pub(super) fn selects(patterns: &[String], name: &str, delimiter: Option<char>) -> bool {
    let matches_one = |pattern: &str| matches(pattern, name, delimiter);
    let (out, taken): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.starts_with('!'));
    let is_in = taken.is_empty() || taken.iter().any(|pattern| matches_one(pattern));
    is_in && !out.iter().any(|pattern| matches_one(pattern.trim_start_matches('!')))
}

/// `*` is anything, `%` anything within a level. It takes time in proportion to pattern times name.
fn matches(pattern: &str, name: &str, delimiter: Option<char>) -> bool {
    let inbox = |text: &str| text.eq_ignore_ascii_case("INBOX");
    if inbox(pattern) && inbox(name) {
        return true;
    }
    let name: Vec<char> = name.chars().collect();
    // Which beginnings of the name the pattern so far can be.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for char in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        for (at, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
            match char {
                '*' => next.iter_mut().skip(at).for_each(|place| *place = true),
                '%' => {
                    let level = name.iter().skip(at).take_while(|char| Some(**char) != delimiter).count();
                    next.iter_mut().skip(at).take(level + 1).for_each(|place| *place = true);
                }
                char if name.get(at) == Some(&char) => {
                    if let Some(place) = next.get_mut(at + 1) {
                        *place = true;
                    }
                }
                _ => {}
            }
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    #[test]
    fn patterns_are_those_of_list_and_some_leave_out() {
        let selects = |patterns: &[&str], name: &str| {
            let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            super::selects(&patterns, name, Some('/'))
        };
        assert!(selects(&["inbox"], "INBOX") && !selects(&["INBOX"], "INBOX/a"));
        assert!(selects(&["a/%"], "a/b") && !selects(&["a/%"], "a/b/c") && selects(&["a/*"], "a/b/c"));
        assert!(selects(&["*b*"], "abc") && !selects(&["*d*"], "abc") && selects(&["*"], ""));
        assert!(selects(&["!Spam"], "INBOX") && !selects(&["!Spam"], "Spam"));
        assert!(selects(&["*", "!Lists/*"], "Work") && !selects(&["*", "!Lists/*"], "Lists/rust"));
        assert!(selects(&["Entwürfe"], "Entwürfe") && !selects(&["sent"], "Sent"));
        let long = "*a".repeat(200);
        assert!(!selects(&[&long], &"a".repeat(190)), "and it ends");
    }
}
