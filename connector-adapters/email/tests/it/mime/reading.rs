//! What each member of a record is made of.

use serde_json::{Value, json};

use super::{defects, record, record_with_files};

/// The record of a mail with these fields and a body.
fn fields(fields: &str) -> Value {
    record(format!("{fields}\r\n\r\nbody\r\n").as_bytes())
}

fn mailboxes(list: &str) -> Value {
    let record = fields(&format!("To: {list}"));
    let pairs = record["to"].as_array().unwrap().iter().map(|one| json!([one["name"], one["address"]]));
    Value::Array(pairs.collect())
}

#[test]
fn a_plain_mail_is_read_member_by_member() {
    let record = fields(
        "Message-ID: <1@a>\r\nDate: Thu, 15 Feb 2007 01:02:03 +0200\r\nSubject: Hello\r\nFrom: Ada <ada@a.org>\r\n\
         In-Reply-To: <0@a>\r\nReferences: <x@a>\r\n <0@a>",
    );
    assert_eq!(record["message_id"], "1@a");
    assert_eq!(record["date"], "2007-02-14T23:02:03Z");
    assert_eq!(record["subject"], "Hello");
    assert_eq!(record["from"], json!([{ "name": "Ada", "address": "ada@a.org" }]));
    assert_eq!(record["in_reply_to"], "0@a");
    assert_eq!(record["references"], json!(["x@a", "0@a"]));
    assert_eq!(record["headers"][1], json!({ "name": "Date", "value": "Thu, 15 Feb 2007 01:02:03 +0200" }));
    assert_eq!((&record["text"], &record["html"]), (&json!("body\r\n"), &Value::Null));
    assert_eq!((&record["attachments"], &record["defects"]), (&json!([]), &json!([])));
    assert_eq!(record["raw"], Value::Null);
    assert_eq!(record["raw_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn encoded_words_that_cut_a_character_are_one_text() {
    // RFC 2047 §5 forbids it, and senders do it: `é` is C3 A9.
    let record =
        fields("Subject: caf =?utf-8?B?w4M=?=\r\n =?utf-8?q?_a?= =?utf-8?q?=C3?=\r\n =?UTF-8?q?=A9?= end");
    assert_eq!(record["subject"], "caf Ã aé end");
    assert_eq!(
        record["headers"][0]["raw"],
        "caf =?utf-8?B?w4M=?=\r\n =?utf-8?q?_a?= =?utf-8?q?=C3?=\r\n =?UTF-8?q?=A9?= end"
    );
    assert!(defects(&record).is_empty());
    assert_eq!(fields("Subject: =?iso-2022-jp*ja?b?GyRCJUYbKEI=?=")["subject"], "テ");
    assert_eq!(fields("Subject: a=?utf-8?q?b?=c =?utf-8?x?b?= =?=")["subject"], "abc =?utf-8?x?b?= =?=");
}

#[test]
fn a_fold_is_one_space() {
    assert_eq!(fields("Subject: a \r\n\t b\r\n c")["subject"], "a b c");
}

#[test]
fn bytes_that_say_no_charset_are_utf_8_or_windows_1252() {
    let raw = record(b"Subject: caf\xe9 \x80\r\nX: caf\xc3\xa9\r\n\r\n\xe9");
    assert_eq!(raw["subject"], "café €");
    assert_eq!(raw["headers"][1], json!({ "name": "X", "value": "café" }));
    assert_eq!(raw["text"], "é");
    assert_eq!(defects(&raw), ["header_bytes", "charset_guessed"]);
}

#[test]
fn a_charset_that_nobody_knows_is_a_defect() {
    let read = |charset: &str, body: &[u8]| {
        let mail = [format!("Content-Type: text/plain; charset={charset}\r\n\r\n").as_bytes(), body].concat();
        let record = record(&mail);
        (record["text"].as_str().unwrap().to_owned(), defects(&record).join(","))
    };
    assert_eq!(read("x-unknown", b"caf\xe9"), ("café".to_owned(), "charset_unknown".to_owned()));
    assert_eq!(read("iso-2022-kr", b"plain"), ("plain".to_owned(), String::new()));
    assert_eq!(read("utf-7", b"+AOk-"), ("é".to_owned(), String::new()));
    assert_eq!(read("\"KS_C_5601-1987\"", b"\xbe\xc8"), ("안".to_owned(), String::new()));
    assert_eq!(read("cp932", b"\x83n"), ("ハ".to_owned(), String::new()));
    assert_eq!(read("utf-8", b"a\xff"), ("a\u{fffd}".to_owned(), "charset_bytes".to_owned()));
    assert_eq!(read("us-ascii", "é".as_bytes()), ("é".to_owned(), String::new()));
}

#[test]
fn address_lists_are_read_as_they_are_sent() {
    assert_eq!(
        mailboxes("\"Babbage, C.\" <c@b.org>, a@b.org"),
        json!([["Babbage, C.", "c@b.org"], [null, "a@b.org"]])
    );
    assert_eq!(mailboxes("a@b.org (Ada (the first))"), json!([["Ada (the first)", "a@b.org"]]));
    assert_eq!(
        mailboxes("=?utf-8?q?Ren=C3=A9?= =?utf-8?q?e,_B?= <r@b.org>"),
        json!([["Renée, B", "r@b.org"]])
    );
    assert_eq!(mailboxes("\"=?utf-8?q?Ren=C3=A9?=\" <r@b.org>"), json!([["René", "r@b.org"]]));
    assert_eq!(mailboxes("staff: a@b, c@d;, e@f"), json!([[null, "a@b"], [null, "c@d"], [null, "e@f"]]));
    assert_eq!(mailboxes("undisclosed-recipients:;"), json!([]));
    assert_eq!(mailboxes("<@relay,@other:u@b.org>"), json!([[null, "u@b.org"]]));
    assert_eq!(mailboxes("\"john doe\"@b.org"), json!([[null, "\"john doe\"@b.org"]]));
    assert_eq!(mailboxes("Ada <a@b.org, c@d.org"), json!([["Ada", "a@b.org"], [null, "c@d.org"]]));
    assert_eq!(mailboxes("Ada Lovelace a@b.org"), json!([["Ada Lovelace", "a@b.org"]]));
    assert_eq!(mailboxes("user @ b.org"), json!([[null, "user@b.org"]]));
    assert_eq!(mailboxes("root (Cron)"), json!([["Cron", "root"]]));
    assert_eq!(mailboxes("Nobody, <>, ,"), json!([["Nobody", null]]));
}

#[test]
fn all_addresses_of_a_repeated_field_count_and_the_first_of_what_is_one() {
    let record = fields("To: a@b\r\nTo: c@d\r\nSubject: one\r\nSubject: two");
    assert_eq!(record["to"].as_array().unwrap().len(), 2);
    assert_eq!(record["subject"], "one");
    assert_eq!(defects(&record), ["header_repeated", "header_repeated"]);
}

#[test]
fn dates_are_instants_or_null() {
    let date = |text: &str| fields(&format!("Date: {text}"))["date"].clone();
    assert_eq!(date("15 Feb 07 01:02 EST"), "2007-02-15T06:02:00Z");
    assert_eq!(date("Thu, 15 Feb 2007 01:02:60 -0000 (comment)"), "2007-02-15T01:02:59Z");
    for none in ["", "yesterday", "31 Feb 2007 01:02:03 +0000", "15 Feb 2007"] {
        assert_eq!(date(none), Value::Null, "{none}");
    }
    assert_eq!(defects(&fields("Date: yesterday")), ["date"]);
}

#[test]
fn names_of_files_are_decoded_and_no_paths() {
    let name = |parameters: &str| {
        let mail = format!(
            "Content-Type: a/b; name=fallback\r\nContent-Disposition: attachment; {parameters}\r\n\r\n"
        );
        record(mail.as_bytes())["attachments"][0]["filename"].clone()
    };
    assert_eq!(name("filename=plain.txt"), "plain.txt");
    assert_eq!(name("filename=\"=?utf-8?q?=C3=A9.txt?=\""), "é.txt");
    assert_eq!(name("filename=x.txt; filename*=utf-8'en'%C3%A9.txt"), "é.txt");
    assert_eq!(name("filename*1*=%A9; filename*2=\".txt\"; filename*0*=utf-8''%C3"), "é.txt");
    assert_eq!(name("filename=my file.txt"), "my file.txt");
    assert_eq!(name("filename=\"..\\\\..\\\\/etc/passwd\""), "passwd");
    assert_eq!(name("filename=\"C:\\dir\\file.txt\""), "file.txt");
    assert_eq!(name("filename=\"a\u{202e}gpj.exe\""), "agpj.exe");
    assert_eq!(name("filename*=utf-8''a%00b%0d.txt"), "ab.txt");
    assert_eq!(name("filename=\"..\""), "fallback");
    assert_eq!(name("other=x"), "fallback");
    let long = name(&format!("filename=\"{}.pdf\"", "é".repeat(400)));
    let long = long.as_str().unwrap();
    assert!(long.len() <= 255 && long.ends_with("é.pdf"), "{}", long.len());
}

#[test]
fn texts_are_bodies_and_the_rest_is_attached() {
    let record = record(
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\npreamble\r\n--m\r\n\
        Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nplain\r\n--a\r\n\
        Content-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--r\r\n\
        Content-Type: image/png\r\nContent-ID: <i@a>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n--r--\r\n--a\r\n\
        Content-Type: text/calendar\r\n\r\nBEGIN\r\n--a--\r\n--m\r\n\
        Content-Type: text/plain\r\nContent-Disposition: attachment; filename=n.txt\r\n\r\nattached\r\n--m\r\n\
        \r\nfooter\r\n--m--\r\nepilogue\r\n",
    );
    assert_eq!(record["text"], "plain\nfooter");
    assert_eq!(record["html"], "<p>html");
    let seen: Vec<Value> = record["attachments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            json!([one["content_type"], one["inline"], one["content_id"], one["filename"], one["size"]])
        })
        .collect();
    assert_eq!(
        seen,
        [
            json!(["image/png", true, "i@a", null, 6]),
            json!(["text/calendar", false, null, null, 5]),
            json!(["text/plain", false, null, "n.txt", 8]),
        ]
    );
    assert!(defects(&record).is_empty(), "{:?}", record["defects"]);
}

#[test]
fn a_message_inside_is_an_attachment_and_a_message() {
    let record = record(
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\ntext of the inner\r\n--i\r\n\
        Content-Type: a/b\r\n\r\nbytes\r\n--m\r\n\r\ntext of the outer\r\n--m--\r\n",
    );
    assert_eq!(record["text"], "text of the outer");
    let attachment = &record["attachments"][0];
    assert_eq!(attachment["content_type"], "message/rfc822");
    assert_eq!(attachment["message"]["subject"], "inner");
    assert_eq!(attachment["message"]["text"], "text of the inner");
    assert_eq!(attachment["message"]["attachments"][0]["content_type"], "a/b");
    assert_eq!(attachment["message"].get("raw_sha256"), None);
    assert_eq!(record["defects"], json!([{ "kind": "boundary_not_closed", "where": "part 1" }]));
}

#[test]
fn encodings_are_decoded_as_far_as_they_go() {
    let text = |encoding: &str, body: &str| {
        let record = record(format!("Content-Transfer-Encoding: {encoding}\r\n\r\n{body}").as_bytes());
        (record["text"].as_str().unwrap().to_owned(), defects(&record).join(","))
    };
    assert_eq!(text("BASE64 (comment)", "Y2Fm\r\nw6k=\r\n"), ("café".to_owned(), String::new()));
    assert_eq!(text("base64", "Y2Fm=\r\nw6k"), ("café".to_owned(), String::new()));
    assert_eq!(text("base64", "Y2Fm\r\nY2F*m\r\n"), ("cafcaf".to_owned(), "encoding".to_owned()));
    assert_eq!(
        text("base64", "This is, in fact, text."),
        ("This is, in fact, text.".to_owned(), "encoding".to_owned())
    );
    assert_eq!(
        text("quoted-printable", "caf=C3=\r\n=A9 \t\r\nb=3d=3D"),
        ("café\r\nb==".to_owned(), String::new())
    );
    assert_eq!(text("quoted-printable", "a=XYb="), ("a=XYb".to_owned(), "encoding".to_owned()));
    assert_eq!(text("x-uuencode", "begin 644 a\r\n#0V%T\r\n`\r\nend\r\n"), ("Cat".to_owned(), String::new()));
    assert_eq!(text("x-nobody", "as it is"), ("as it is".to_owned(), "encoding_unknown".to_owned()));
}

#[test]
fn a_field_that_is_folded_without_indentation_does_not_hide_the_others() {
    let broken = fields("Subject: a\r\nbroken line\r\nFrom: a@b");
    assert_eq!(broken["from"][0]["address"], "a@b");
    assert_eq!(defects(&broken), ["header_line"]);
    let mbox = fields("From ada@a.org Thu Feb 15 01:02:03 2007\r\nSubject: a");
    assert_eq!(mbox["subject"], "a");
    let unseparated = record(b"Subject: a\r\nThis is the text\r\nand goes on.\r\n");
    assert_eq!(unseparated["text"], "This is the text\r\nand goes on.\r\n");
    assert_eq!(defects(&unseparated), ["header_end"]);
}

#[test]
fn files_are_handed_over_once_and_named_everywhere() {
    let part = "--m\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n";
    let other = "--m\r\nContent-Type: a/b\r\n\r\nother\r\n";
    let mail = format!("Content-Type: multipart/mixed; boundary=m\r\n\r\n{part}{other}{part}--m--\r\n");
    let (record, files) = record_with_files(mail.as_bytes());
    assert_eq!(files.len(), 2);
    assert_eq!(files[0].1, [0, 1, 2]);
    for attachment in record["attachments"].as_array().unwrap() {
        assert_eq!(attachment["file"], attachment["sha256"]);
    }
}
