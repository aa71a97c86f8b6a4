//! Drawing the data: times with ties, and words that break careless code.

use crate::random::Random;

use super::datetime;
use super::id;
use super::row::RowBuilder;

/// How far back the data reach, in seconds: three years.
const SPAN: u64 = 3 * 365 * 24 * 3600;

/// The times of one row, in milliseconds, whole seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamps {
    pub(super) created: i64,
    pub(super) modified: i64,
    pub(super) modstamp: i64,
}

/// Times for `count` rows, the last one at `newest`.
///
/// In the order of `modstamp` rows come in groups that share one second, as bulk loads leave them: mostly
/// one row, at times hundreds. One group lies across row 2,000, the end of the first page; from 8,000 rows on
/// one is larger than a page. Rows do not come in the order of their ids: two in five were changed later.
pub(super) fn timeline(random: &mut Random, count: usize, newest: i64) -> Vec<Stamps> {
    let sorted = sorted_times(random, count, newest);
    let mut order: Vec<usize> = (0..count).collect();
    for row in 0..count {
        if random.percent(40) {
            let later = row + usize::try_from(random.below((count - row) as u64)).unwrap_or_default();
            order.swap(row, later);
        }
    }
    order
        .iter()
        .zip(&sorted)
        .map(|(place, drawn)| {
            let modstamp = sorted[*place];
            let created = (*drawn).min(modstamp);
            // A system change moves SystemModstamp alone.
            let modified = if random.percent(5) { created } else { modstamp };
            Stamps { created, modified, modstamp }
        })
        .collect()
}

fn sorted_times(random: &mut Random, count: usize, newest: i64) -> Vec<i64> {
    let mut groups = Vec::new();
    let mut rows = 0;
    while rows < count {
        let drawn = match random.below(100) {
            0..70 => 1,
            70..90 => 2 + random.below(4),
            90..99 => 10 + random.below(50),
            _ => 200 + random.below(200),
        };
        let mut size = usize::try_from(drawn).unwrap_or(1);
        if rows < 2000 && rows + size >= 1990 {
            size = 2010 - rows;
        } else if count >= 8000 && rows < count / 2 && rows + size >= count / 2 {
            size = 2500;
        }
        let size = size.min(count - rows);
        groups.push(size);
        rows += size;
    }
    let gaps: Vec<u64> = groups.iter().map(|_| 1 + random.below(1000)).collect();
    let total: u64 = gaps.iter().skip(1).sum();
    // Every group has its own second, so many groups reach further back than the span.
    let span = SPAN.max(groups.len() as u64 * 2);
    let mut passed = 0;
    let mut times = Vec::with_capacity(count);
    let mut last = i64::MIN;
    for (number, (size, gap)) in groups.iter().zip(&gaps).enumerate() {
        passed += if number == 0 { 0 } else { *gap };
        let back = u128::from(span) * u128::from(total - passed) / u128::from(total.max(1));
        let at = newest - i64::try_from(back).unwrap_or_default() * 1000;
        last = at.max(last.saturating_add(1000));
        times.extend(std::iter::repeat_n(last, *size));
    }
    // Rounding may have pushed the last groups past the end by a few seconds.
    let over = times.last().map_or(0, |last| last - newest).max(0);
    times.iter().map(|at| at - over).collect()
}

/// Which of `total` rows are deleted.
pub(super) fn deleted(random: &mut Random, total: usize, count: usize) -> Vec<bool> {
    let mut flags = vec![false; total];
    let mut left = count.min(total);
    while left > 0 {
        let at = usize::try_from(random.below(total as u64)).unwrap_or_default();
        if !flags[at] {
            flags[at] = true;
            left -= 1;
        }
    }
    flags
}

/// The values that every seeded row ends with: owner, and who wrote it when.
pub(super) fn audit(random: &mut Random, builder: &mut RowBuilder, stamps: &Stamps, users: u32) {
    let user = |random: &mut Random| id::record_id("005", draw_slot(random, users));
    builder.plain(&user(random));
    builder.plain(&datetime::text(stamps.created));
    builder.plain(&user(random));
    builder.plain(&datetime::text(stamps.modified));
    builder.plain(&user(random));
    builder.plain(&datetime::text(stamps.modstamp));
}

/// One of the first `count` rows of a table.
pub(super) fn draw_slot(random: &mut Random, count: u32) -> u32 {
    u32::try_from(random.below(u64::from(count))).unwrap_or_default()
}

pub(super) const FIRST_NAMES: [&str; 24] = [
    "Anna",
    "Zoë",
    "José",
    "Łukasz",
    "Søren",
    "Mehmet",
    "Olga",
    "François",
    "Aoife",
    "Nguyễn",
    "Jürgen",
    "Siân",
    "Иван",
    "Ελένη",
    "美咲",
    "志強",
    "민준",
    "राज",
    "فاطمة",
    "נועה",
    "Mary-Jane",
    "Jean Luc",
    "D’Arcy",
    "Bob \"Bobby\"",
];
pub(super) const LAST_NAMES: [&str; 24] = [
    "O'Brien",
    "Müller",
    "Åberg",
    "Œuvrard",
    "García Márquez",
    "Şahin",
    "Kowalczyk",
    "van der Berg",
    "Smith",
    "Nuñez",
    "Петров",
    "Παπαδόπουλος",
    "田中",
    "王",
    "김",
    "शर्मा",
    "حسن",
    "כהן",
    "Ng",
    "Straße",
    "\\Backslash",
    "Tab\tbed",
    "null",
    "Jones-Smythe",
];
pub(super) const TITLES: [&str; 10] = [
    "CEO",
    "VP, Sales & Marketing",
    "Senior Engineer",
    "Directrice générale",
    "Account Manager",
    "部長",
    "Head of \"Special\" Projects",
    "Intern 🎓",
    "Buyer",
    "Geschäftsführer",
];
pub(super) const DEPARTMENTS: [&str; 6] = ["Sales", "Engineering", "Finance", "Opérations", "IT", "客服"];
pub(super) const STREETS: [&str; 8] = [
    "1 Market St\r\nSuite 300",
    "Keizersgracht 123\nUnit B",
    "Hauptstraße 5",
    "Rue de l'Église 7",
    "本町1-2-3\r\n4階",
    "5th Ave, Apt \"B\"",
    "Ленина ул. 10",
    "10 Downing St",
];
pub(super) const PLACES: [(&str, &str, &str, &str); 8] = [
    ("San Francisco", "CA", "94105", "USA"),
    ("Amsterdam", "Noord-Holland", "1015 CJ", "Netherlands"),
    ("Köln", "NRW", "50667", "Germany"),
    ("Besançon", "", "25000", "France"),
    ("東京", "", "103-0021", "Japan"),
    ("New York", "NY", "10001", "USA"),
    ("Москва", "", "125009", "Russia"),
    ("London", "", "SW1A 2AA", "United Kingdom"),
];
pub(super) const REMARKS: [&str; 8] = [
    "Prefers e-mail over phone; asked twice for the 2024 price list.",
    "Met at the fair 🤝\nFollow up in spring 🌱 — see notes of \"Q3 review\".",
    "C:\\exports\\old crm\\contact.csv, line 4711\tneeds a check",
    "Réunion reportée; à rappeler après l'été. Très intéressé par l'offre groupée.",
    "次回の打ち合わせは来月。資料を送付済み。👩‍💻",
    "<b>VIP</b> & long-standing customer; 'handle with care'\r\nno discount without approval",
    "مهتم بالعرض الجديد — שלום",
    "Line separator\u{2028}inside, zero width\u{200b}space, combining e\u{301}.",
];
