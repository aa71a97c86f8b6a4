//! The vendor of the bench: static pages of 2,000 records of about 880 bytes, over raw TCP.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use crate::{Outcome, bulk, slack};

/// Records in a page.
pub(crate) const PAGE: u64 = 2_000;
/// Pages that are made; a longer read meets them again.
const DISTINCT: u64 = 250;

/// Serves until its input ends. Prints its address.
pub(crate) fn serve(records: u64) -> Outcome<()> {
    let count = records.div_ceil(PAGE);
    let pages: Arc<Vec<Vec<u8>>> = Arc::new((0..count.min(DISTINCT)).map(records_of).collect());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let pages = pages.clone();
            std::thread::spawn(move || answer(&stream, &pages, count));
        }
    });
    // The parent's end closes when it ends, however it ends.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn answer(stream: &TcpStream, pages: &[Vec<u8>], count: u64) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        if request.target.starts_with("/services/") {
            bulk::answer(stream, &request.method, &request.target, count * PAGE)?;
            continue;
        }
        if let Some(called) = request.target.strip_prefix("/api/") {
            let (method, query) = called.split_once('?').unwrap_or((called, ""));
            let in_query = url::form_urlencoded::parse(query.as_bytes());
            let in_body = url::form_urlencoded::parse(&request.body);
            let arguments: Vec<_> = in_query.into_owned().chain(in_body.into_owned()).collect();
            slack::answer(stream, method, &arguments, count * PAGE)?;
            continue;
        }
        let number: u64 = request.target.trim_start_matches("/page/").parse().unwrap_or(0);
        let records = pages.get((number % pages.len() as u64) as usize).ok_or("no such page")?;
        let last = number + 1 >= count;
        let next = if last { String::new() } else { format!("\"nextRecordsUrl\":\"/page/{}\",", number + 1) };
        let head = format!("{{\"totalSize\":{},\"done\":{last},{next}\"records\":[", count * PAGE);
        let length = head.len() + records.len() + 2;
        write!(
            writer,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             date: Fri, 20 Nov 2026 12:00:00 GMT\r\n\r\n{head}"
        )?;
        writer.write_all(records)?;
        writer.write_all(b"]}")?;
    }
    Ok(())
}

struct Request {
    method: String,
    target: String,
    body: Vec<u8>,
}

impl Request {
    /// The next one, its headers passed over; none at the end of the connection.
    fn read(reader: &mut impl BufRead) -> Outcome<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body)?;
        Ok(Some(Self { method, target, body }))
    }
}

/// The records of one page, without the brackets. As a CRM sends them: ids, names, nulls, times, text.
fn records_of(page: u64) -> Vec<u8> {
    let mut text = String::with_capacity(2 << 20);
    for index in 0..PAGE {
        let n = page * PAGE + index;
        let mix = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let word = |shift: u32| WORDS.get((mix >> shift) as usize % WORDS.len()).copied().unwrap_or("x");
        if index > 0 {
            text.push(',');
        }
        let _ = write!(
            text,
            "{{\"attributes\":{{\"type\":\"Contact\",\"url\":\"/services/data/v66.0/sobjects/Contact/003{n:012}AAA\"}},\
             \"Id\":\"003{n:012}AAA\",\"IsDeleted\":false,\"AccountId\":\"001{:012}AAA\",\"LastName\":\"{}-{:x}\",\
             \"FirstName\":\"{}\",\"Name\":\"{} {}\",\"Email\":\"{}.{:08x}@{}.example\",\"Phone\":\"+49 30 {:07}\",\
             \"MobilePhone\":null,\"Title\":\"{} {}\",\"Department\":\"{}\",\"MailingStreet\":\"{} Straße {}\",\
             \"MailingCity\":\"{}\",\"MailingPostalCode\":\"{:05}\",\"MailingCountry\":\"Österreich\",\"LeadSource\":\"Web\",\
             \"Birthdate\":null,\"Score__c\":{}.{:02},\"HasOptedOutOfEmail\":{},\"OwnerId\":\"005{:012}AAA\",\
             \"Description\":\"{} {} {} {} {} {}\",\"CreatedDate\":\"2024-03-{:02}T{:02}:15:00.000+0000\",\
             \"LastModifiedDate\":\"2025-07-{:02}T{:02}:45:10.000+0000\",\
             \"SystemModstamp\":\"2025-07-{:02}T{:02}:45:10.000+0000\"}}",
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
            word(29),
            mix % 100_000,
            mix % 10_000,
            mix % 100,
            mix.is_multiple_of(7),
            mix >> 40,
            word(1),
            word(5),
            word(9),
            word(15),
            word(21),
            word(27),
            1 + mix % 28,
            mix % 24,
            1 + mix % 28,
            mix % 24,
            1 + mix % 28,
            mix % 24,
        );
    }
    text.into_bytes()
}

pub(crate) const WORDS: [&str; 24] = [
    "Aurora",
    "Bergmann",
    "Cascade",
    "Delgado",
    "Eriksson",
    "Fontaine",
    "Grünwald",
    "Harrington",
    "Ibrahim",
    "Jankowski",
    "Kowalczyk",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okonkwo",
    "Pellegrini",
    "Quispe",
    "Rasmussen",
    "Sánchez",
    "Takahashi",
    "Underwood",
    "Vasquez",
    "Winterbourne",
    "Yamamoto",
];
