//! Which known name did someone mean?

/// The known name nearest to `name`, if one is near enough to be meant.
///
/// ```
/// use connector_host::template::nearest;
/// assert_eq!(nearest("strems", ["streams", "secrets"]), Some("streams"));
/// assert_eq!(nearest("colour", ["streams", "secrets"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|known| (distance(&name.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= near)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// What to say after naming an unknown `name`: the nearest known one, or all of them.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<String> = known.into_iter().map(|known| format!("`{known}`")).collect();
    match all.len() {
        0 => "there are none".to_owned(),
        1..=20 => format!("known are {}", all.join(", ")),
        count => format!("there are {count}, such as {}", all.get(..5).unwrap_or_default().join(", ")),
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let (mut two_back, mut back): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=to.len()).collect());
    let mut before = None;
    for (row, a) in from.chars().enumerate() {
        let mut here = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&back, column) + usize::from(a != *b))
                .min(at(&back, column + 1) + 1)
                .min(at(&here, column) + 1);
            let swapped = column > 0 && before == Some(*b) && to.get(column - 1) == Some(&a);
            if swapped {
                best = best.min(at(&two_back, column - 1) + 1);
            }
            here.push(best);
        }
        before = Some(a);
        two_back = std::mem::replace(&mut back, here);
    }
    back.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_book() {
        for (from, to, expected) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("conetnt", "content", 1),
            ("ü", "u", 1),
        ] {
            assert_eq!(distance(from, to), expected, "{from} → {to}");
        }
    }

    #[test]
    fn what_is_not_near_is_not_suggested() {
        assert_eq!(nearest("Contcat", ["Account", "Contact"]), Some("Contact"));
        assert_eq!(nearest("contact", ["Contact"]), Some("Contact"));
        assert_eq!(nearest("x", ["abc"]), None);
        assert_eq!(suggestion("zzz", ["a", "b"]), "known are `a`, `b`");
    }
}
