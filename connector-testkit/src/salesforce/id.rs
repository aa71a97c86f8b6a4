//! Record ids: 15 characters that count in base 62, and 3 that make them safe where case is lost.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECK: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// What stands between the object's prefix and the running number: the org's instance.
const INSTANCE: &str = "5e000000";

/// The 18-character id of an object's record. Ids of one object sort as bytes in the order of their numbers.
pub(super) fn record_id(prefix: &str, number: u32) -> String {
    let mut tail = [b'0'; 4];
    let mut rest = number;
    for digit in tail.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    let mut id = String::with_capacity(18);
    id.push_str(prefix);
    id.push_str(INSTANCE);
    id.extend(tail.iter().map(|digit| char::from(*digit)));
    let suffix = suffix(&id);
    id.extend(suffix);
    id
}

/// The number of a record's id (15 or 18 characters), where it is one of this prefix and this org.
pub(super) fn number(prefix: &str, id: &str) -> Option<u32> {
    let full = full_length(id)?;
    let digits = full.get(..15)?.strip_prefix(prefix)?.strip_prefix(INSTANCE)?;
    digits.bytes().try_fold(0_u32, |number, digit| {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        Some(number * 62 + u32::try_from(value).ok()?)
    })
}

/// An id in its 18-character form; none where it is no id at all.
pub(super) fn full_length(id: &str) -> Option<String> {
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match id.len() {
        15 => Some(id.chars().chain(suffix(id)).collect()),
        18 => {
            // In the long form case does not matter: the suffix says which letters are capitals.
            let restored = restore_case(id)?;
            Some(restored.chars().chain(suffix(&restored)).collect())
        }
        _ => None,
    }
}

/// Three check characters, each for five of the fifteen: bit `i` is set where character `i` is a capital.
fn suffix(id: &str) -> [char; 3] {
    let mut suffix = ['A'; 3];
    for (check, five) in suffix.iter_mut().zip(id.as_bytes().chunks(5)) {
        let bits = five
            .iter()
            .enumerate()
            .fold(0_usize, |bits, (at, byte)| bits | (usize::from(byte.is_ascii_uppercase()) << at));
        *check = char::from(CHECK[bits & 31]);
    }
    suffix
}

fn restore_case(id: &str) -> Option<String> {
    let (short, suffix) = id.split_at_checked(15)?;
    let mut restored = String::with_capacity(15);
    for (five, check) in short.as_bytes().chunks(5).zip(suffix.bytes()) {
        let bits = CHECK.iter().position(|known| *known == check.to_ascii_uppercase())?;
        for (at, byte) in five.iter().enumerate() {
            let capital = bits & (1 << at) != 0;
            restored.push(char::from(if capital {
                byte.to_ascii_uppercase()
            } else {
                byte.to_ascii_lowercase()
            }));
        }
    }
    Some(restored)
}

#[cfg(test)]
mod tests {
    use super::{full_length, number, record_id};

    #[test]
    fn the_suffix_is_the_one_the_vendor_computes() {
        // Ids of a real org, as published in recorded answers.
        for (short, long) in [
            ("0012300000bVTq1", "0012300000bVTq1AAG"),
            ("0012300000bVTph", "0012300000bVTphAAG"),
            ("003q000000KvQ2D", "003q000000KvQ2DAAV"),
            ("701E0000000JuFH", "701E0000000JuFHIA0"),
        ] {
            assert_eq!(full_length(short).as_deref(), Some(long));
            assert_eq!(full_length(&long.to_lowercase()).as_deref(), Some(long));
        }
    }

    #[test]
    fn ids_sort_by_number_and_give_it_back() {
        let ids: Vec<_> = [0, 1, 9, 10, 35, 36, 61, 62, 3843, 3844, 200_000, 14_776_335]
            .map(|number| record_id("003", number))
            .to_vec();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.len() == 18));
        assert_eq!(number("003", &ids[10]), Some(200_000));
        assert_eq!(number("003", &ids[10][..15]), Some(200_000));
        assert_eq!(number("001", &ids[10]), None);
        assert_eq!(number("003", "nonsense"), None);
    }
}
