//! A Salesforce of the bench that knows one object and one Bulk job: its results are static pages of CSV.

use std::{
    fmt::Write as _,
    io::Write,
    net::TcpStream,
    sync::{Arc, OnceLock},
};

use crate::{Outcome, pages::WORDS};

/// Rows of a page of results.
const PAGE: u64 = 25_000;
/// Pages that are made; a longer read meets them again.
const DISTINCT: u64 = 8;
/// Pages that one list names, as the vendor does.
const LISTED: u64 = 5;
const BASE: &str = "/services/data/v66.0";
const JOB: &str = "7505e000000001AAAA";
const COLUMNS: [(&str, &str); 20] = [
    ("Id", "id"),
    ("IsDeleted", "boolean"),
    ("AccountId", "reference"),
    ("LastName", "string"),
    ("FirstName", "string"),
    ("Name", "string"),
    ("Email", "email"),
    ("Phone", "phone"),
    ("MobilePhone", "phone"),
    ("Title", "string"),
    ("Department", "string"),
    ("MailingStreet", "textarea"),
    ("MailingCity", "string"),
    ("MailingPostalCode", "string"),
    ("MailingCountry", "string"),
    ("Score__c", "double"),
    ("HasOptedOutOfEmail", "boolean"),
    ("Description", "textarea"),
    ("CreatedDate", "datetime"),
    ("SystemModstamp", "datetime"),
];

/// Answers one request of the REST or Bulk API.
pub(crate) fn answer(mut stream: &TcpStream, method: &str, target: &str, records: u64) -> Outcome<()> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix(BASE).unwrap_or(path);
    let json = match (method, path) {
        ("DELETE", _) => {
            stream.write_all(b"HTTP/1.1 204 No Content\r\ndate: Fri, 20 Nov 2026 12:00:00 GMT\r\n\r\n")?;
            return Ok(());
        }
        (_, "/sobjects") => r#"{"sobjects":[{"name":"Contact","queryable":true,"retrieveable":true,"replicateable":true}]}"#.to_owned(),
        (_, "/sobjects/Contact/describe") => describe(),
        (_, "/query" | "/queryAll") if query.contains("COUNT") => {
            format!(r#"{{"totalSize":{records},"done":true,"records":[]}}"#)
        }
        (_, "/query" | "/queryAll") => {
            r#"{"totalSize":1,"done":true,"records":[{"Id":"003000000000000AAA","IsDeleted":false,"SystemModstamp":"2025-07-01T00:45:10.000+0000"}]}"#
                .to_owned()
        }
        ("POST", "/jobs/query") => format!(r#"{{"id":"{JOB}","state":"UploadComplete"}}"#),
        _ if path == format!("/jobs/query/{JOB}") => {
            format!(r#"{{"id":"{JOB}","state":"JobComplete","numberRecordsProcessed":{records}}}"#)
        }
        _ if path.ends_with("/resultPages") => list(query, records),
        _ if path.ends_with("/results") => return page(stream, query, records),
        _ => "{}".to_owned(),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Fri, 20 Nov 2026 12:00:00 GMT\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    )?;
    Ok(())
}

fn describe() -> String {
    let field = |(name, kind): &(&str, &str)| {
        format!(
            r#"{{"name":"{name}","type":"{kind}","nillable":{},"filterable":true,"sortable":true}}"#,
            *name != "SystemModstamp"
        )
    };
    let fields: Vec<String> = COLUMNS.iter().map(field).collect();
    format!(r#"{{"name":"Contact","queryable":true,"fields":[{}]}}"#, fields.join(","))
}

fn list(query: &str, records: u64) -> String {
    let from: u64 = query.strip_prefix("locator=").and_then(|from| from.parse().ok()).unwrap_or(0);
    let count = records.div_ceil(PAGE);
    let to = (from + LISTED).min(count);
    let address = |page| format!(r#"{{"resultUrl":"{BASE}/jobs/query/{JOB}/results?locator={page}"}}"#);
    let pages: Vec<String> = (from..to).map(address).collect();
    let next = if to < count {
        format!(r#""nextRecordUrl":"{BASE}/jobs/query/{JOB}/resultPages?locator={to}","#)
    } else {
        String::new()
    };
    format!(r#"{{"resultPages":[{}],{next}"done":{}}}"#, pages.join(","), to == count)
}

fn page(mut stream: &TcpStream, query: &str, records: u64) -> Outcome<()> {
    static PAGES: OnceLock<Vec<Arc<Vec<u8>>>> = OnceLock::new();
    let pages = PAGES.get_or_init(|| (0..DISTINCT).map(|page| Arc::new(rows_of(page))).collect());
    let number: u64 = query.strip_prefix("locator=").and_then(|page| page.parse().ok()).unwrap_or(0);
    let body = pages.get((number % DISTINCT) as usize).ok_or("no such page")?;
    let rows = PAGE.min(records - number * PAGE);
    if rows != PAGE {
        return Err("records have to fill their pages".into());
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/csv; charset=UTF-8\r\nSforce-NumberOfRecords: {rows}\r\n\
         date: Fri, 20 Nov 2026 12:00:00 GMT\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    Ok(())
}

/// One page with its header row: about 380 bytes a row.
fn rows_of(page: u64) -> Vec<u8> {
    let names: Vec<String> = COLUMNS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let mut text = names.join(",");
    text.push('\n');
    for index in 0..PAGE {
        let n = page * PAGE + index;
        let mix = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let word = |shift: u32| WORDS.get((mix >> shift) as usize % WORDS.len()).copied().unwrap_or("x");
        let _ = writeln!(
            text,
            "\"003{n:012}AAA\",\"false\",\"001{:012}AAA\",\"{}-{:x}\",\"{}\",\"{} {}\",\"{}.{:08x}@{}.example\",\
             \"+49 30 {:07}\",\"\",\"{} \"\"{}\"\"\",\"{}\",\"{} Straße {}\n{}\",\"{}\",\"{:05}\",\"Österreich\",\"{}.{:02}\",\
             \"{}\",\"{} {} {}\",\"2024-03-{:02}T{:02}:15:00.000Z\",\"2025-07-{:02}T{:02}:45:10.000Z\"",
            mix >> 30,
            word(3),
            mix >> 44,
            word(7),
            word(7),
            word(3),
            word(7),
            mix >> 32,
            word(11),
            mix % 10_000_000,
            word(13),
            word(17),
            word(19),
            word(23),
            mix % 300,
            word(31),
            word(29),
            mix % 100_000,
            mix % 10_000,
            mix % 100,
            mix.is_multiple_of(7),
            word(1),
            word(5),
            word(9),
            1 + mix % 28,
            mix % 24,
            1 + mix % 28,
            mix % 24,
        );
    }
    text.into_bytes()
}
