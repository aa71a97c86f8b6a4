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
        let mut is_open = false;
        for (at, place) in next.iter_mut().enumerate() {
            let is_reached = reached.get(at) == Some(&true);
            let before = at.checked_sub(1).and_then(|before| name.get(before));
            match char {
                '*' => is_open |= is_reached,
                '%' => is_open = is_reached || (is_open && before.copied() != delimiter),
                char => {
                    let was_reached = at > 0 && reached.get(at - 1) == Some(&true);
                    is_open = was_reached && before == Some(&char);
                }
            }
            *place = is_open;
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
        assert!(
            selects(&["%"], "a")
                && !selects(&["%"], "a/b")
                && selects(&["%/%"], "a/b")
                && selects(&["a%c"], "abc")
        );
        assert!(selects(&["%a%/b"], "xay/b") && !selects(&["%a%b"], "a/b") && selects(&["%/"], "a/"));
        let long = "*a".repeat(200);
        assert!(!selects(&[&long], &"a".repeat(190)), "and it ends");
        let (long, name) = ("*%".repeat(500), "a".repeat(4_000));
        assert!(selects(&[&long], &name) && !selects(&[&format!("{long}b")], &name), "and that soon");
    }
}
