//! The mail servers: that they do what the tests of connectors rest on.

use std::{path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::{Clock as _, clock::SystemClock};
use connector_testkit::mail::{Capabilities, Dovecot, Postfix, Script, ScriptedServer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// Says lines one after another, each when the one before has been answered. Answers the last lines of the answers.
async fn talk(address: std::net::SocketAddr, lines: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut answers = Vec::new();
    for line in [""].iter().chain(lines) {
        if !line.is_empty() {
            stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        }
        let mut answer = String::new();
        loop {
            answer.clear();
            if stream.read_line(&mut answer).await.unwrap() == 0 || answer.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        answers.push(answer.trim_end().to_owned());
    }
    answers
}

#[tokio::test]
async fn a_mailbox_is_filled_flagged_emptied_renamed_and_begun_anew() {
    let Some(dovecot) = Dovecot::builder().start().await.unwrap() else { return };
    let mut anna = dovecot.session("anna@example.test").await.unwrap();
    assert_eq!(anna.append("INBOX", b"Subject: 1\r\n\r\none\r\n").await.unwrap(), 1);
    anna.append_all("INBOX", (2..=5).map(|n| format!("Subject: {n}\r\n\r\n{n}\r\n"))).await.unwrap();
    anna.store("INBOX", "2:3", "+FLAGS (\\Seen)").await.unwrap();
    anna.expunge("INBOX", "1,3").await.unwrap();
    let messages = anna.messages("INBOX").await.unwrap();
    assert_eq!(messages.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(messages[0].1, b"Subject: 2\r\n\r\n2\r\n");
    assert!(anna.flags("INBOX").await.unwrap()[0].1.contains("\\Seen"));
    anna.create("Sent &ZeVnLIqe-").await.unwrap();
    anna.rename("Sent &ZeVnLIqe-", "Old").await.unwrap();
    anna.delete("Old").await.unwrap();
    dovecot.set_uid_validity("anna@example.test", "INBOX", 77).await.unwrap();
    dovecot.set_next_uid("anna@example.test", "INBOX", 4_000_000_000).await.unwrap();
    assert_eq!(anna.status("INBOX", "UIDVALIDITY").await.unwrap(), 77);
    assert_eq!(anna.append("INBOX", b"Subject: 6\r\n\r\n").await.unwrap(), 4_000_000_000);
    let mut bert = dovecot.session("bert@example.test").await.unwrap();
    assert!(bert.messages("INBOX").await.unwrap().is_empty(), "each user has mailboxes of his own");
}

#[tokio::test]
async fn a_server_says_only_what_it_was_told_that_it_can_do() {
    for (capabilities, qresync, condstore) in [
        (Capabilities::Qresync, true, true),
        (Capabilities::Condstore, false, true),
        (Capabilities::Plain, false, false),
    ] {
        let Some(dovecot) = Dovecot::builder().capabilities(capabilities).start().await.unwrap() else {
            return;
        };
        let mut anna = dovecot.session("anna").await.unwrap();
        let said = anna.command("CAPABILITY").await.unwrap()[0].text.clone();
        assert_eq!((said.contains("QRESYNC"), said.contains("CONDSTORE")), (qresync, condstore), "{said}");
    }
}

#[tokio::test]
async fn users_have_passwords_quotas_and_tokens() {
    let odd = "p\"a\\ss ü";
    let builder = Dovecot::builder().user("odd@example.test", odd).quota("small@example.test", 20_000);
    let Some(dovecot) = builder.start().await.unwrap() else { return };
    dovecot.session_with("odd@example.test", odd).await.unwrap();
    let started = SystemClock::new();
    let refused = dovecot.session_with("anna@example.test", "wrong").await.unwrap_err();
    assert!(refused.to_string().contains("AUTHENTICATIONFAILED"), "{refused}");
    dovecot.session("anna@example.test").await.unwrap();
    assert!(started.monotonic() < Duration::from_secs(5), "a wrong password holds nobody up");
    let mut small = dovecot.session("small@example.test").await.unwrap();
    let full = small.append("INBOX", &[b'x'; 30_000]).await.unwrap_err();
    assert!(full.to_string().contains("OVERQUOTA"), "{full}");
    for (token, is_good) in [
        (dovecot.token("anna@example.test", Duration::from_secs(3600)).unwrap(), true),
        (dovecot.expired_token("anna@example.test").unwrap(), false),
    ] {
        let response = STANDARD.encode(format!("user=anna@example.test\x01auth=Bearer {token}\x01\x01"));
        let mut stream = TcpStream::connect(dovecot.address()).await.unwrap();
        stream
            .write_all(format!("a AUTHENTICATE XOAUTH2 {response}\r\n\r\nb LOGOUT\r\n").as_bytes())
            .await
            .unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard.contains("a OK"), is_good, "{heard}");
    }
}

#[tokio::test]
async fn mail_is_delivered_deferred_and_refused_as_the_test_wishes() {
    let Some(dovecot) = Dovecot::builder().start().await.unwrap() else { return };
    let Some(postfix) = Postfix::builder().without("DSN").start(&dovecot).await.unwrap() else { return };
    postfix.answers("grey@example.test", &["451 4.7.1 later"]);
    postfix.always_answers("gone@example.test", "550 5.1.1 nobody");
    postfix.answers_message("b@example.test", &["451 4.3.0 not now"]);
    let mail = ["DATA", "Subject: x\r\n\r\nbody\r\n."];
    let from = |sender: &'static str| ["EHLO me", sender];
    let rcpt = ["RCPT TO:<grey@example.test>", "RCPT TO:<gone@example.test>", "RCPT TO:<grey@example.test>"];
    let answers =
        talk(postfix.address(), &[&from("MAIL FROM:<a@example.test>")[..], &rcpt, &mail].concat()).await;
    let codes: Vec<_> = answers.iter().map(|answer| &answer[..3]).collect();
    assert_eq!(codes, ["220", "250", "250", "451", "550", "250", "354", "250"], "{answers:?}");
    assert_eq!(postfix.inbox_of(&dovecot, "grey@example.test", 1).await.unwrap().len(), 1);
    assert_eq!(postfix.named("grey@example.test"), 2);
    let again = [&from("MAIL FROM:<b@example.test>")[..], &["RCPT TO:<all@maildir.test>"], &mail].concat();
    let deferred = talk(postfix.address(), &again).await;
    assert!(deferred.last().unwrap().starts_with("451 4.3.0"), "{deferred:?}");
    assert!(talk(postfix.address(), &again).await.last().unwrap().starts_with("250"));
    assert!(postfix.maildir_of(1).await.unwrap()[0].ends_with(b"\n\nbody\n"));
    postfix.settled().await.unwrap();
    let relay = [&from("MAIL FROM:<b@example.test>")[..], &["RCPT TO:<x@elsewhere.test>"]].concat();
    let relay = talk(postfix.address(), &relay).await;
    assert!(relay.last().unwrap().starts_with("554"), "nobody relays who has not signed in");
    let early = talk(postfix.submission_address(), &["EHLO me", "AUTH PLAIN AGEAcGFzcw=="]).await;
    assert!(early[2].starts_with('5'), "{early:?}");
}

/// It is what makes it an oracle: a sender that lets a bare line break through is caught.
#[tokio::test]
async fn the_server_takes_a_dot_between_bare_line_breaks_for_the_end() {
    let Some(dovecot) = Dovecot::builder().start().await.unwrap() else { return };
    let Some(postfix) = Postfix::builder().start(&dovecot).await.unwrap() else { return };
    let smuggled = "Subject: one\r\n\r\nbody\n.\nMAIL FROM:<evil@example.test>\r\nRCPT TO:<all@maildir.test>\r\nDATA\r\n\
                    Subject: two\r\n\r\nsmuggled\r\n.";
    let lines = ["EHLO me", "MAIL FROM:<a@example.test>", "RCPT TO:<all@maildir.test>", "DATA", smuggled];
    talk(postfix.address(), &lines).await;
    assert_eq!(postfix.maildir_of(2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn nothing_is_left_of_a_server_that_was_dropped() {
    let Some(dovecot) = Dovecot::builder().start().await.unwrap() else { return };
    let Some(postfix) = Postfix::builder().start(&dovecot).await.unwrap() else { return };
    let folders = [dovecot.folder().to_owned(), postfix.folder().to_owned()];
    let addresses = [dovecot.address(), postfix.address()];
    let clock = SystemClock::new();
    drop((postfix, dovecot));
    let gone = |folder: &PathBuf| !folder.exists();
    while !folders.iter().all(gone) {
        assert!(clock.monotonic() < Duration::from_secs(20), "{folders:?} are left");
        clock.sleep(Duration::from_millis(10)).await;
    }
    for address in addresses {
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn a_script_is_followed_for_each_connection_and_what_is_wrong_is_kept() {
    let first = Script::new().say("* OK hello").hear_tagged("LOGIN").say("{tag} NO [UNAVAILABLE] not now");
    let second = Script::new().hear("EHLO").say("250 ok").hear_until("\r\n.\r\n").flood("x", 5).reset();
    let server = ScriptedServer::start([first, second]).await.unwrap();
    let mut one = BufReader::new(TcpStream::connect(server.address()).await.unwrap());
    let mut heard = String::new();
    one.read_line(&mut heard).await.unwrap();
    one.get_mut().write_all(b"A7 login a b\r\n").await.unwrap();
    one.read_line(&mut heard).await.unwrap();
    assert_eq!(heard, "* OK hello\r\nA7 NO [UNAVAILABLE] not now\r\n");
    let mut two = TcpStream::connect(server.address()).await.unwrap();
    two.write_all(b"EHLO me\r\nbody\r\n.\r\n").await.unwrap();
    let mut heard = Vec::new();
    let ended = two.read_to_end(&mut heard).await;
    assert!(ended.is_err() || heard == b"250 ok\r\nxxxxx");
    let mut three = TcpStream::connect(server.address()).await.unwrap();
    three.write_all(b"HELO me\r\n").await.unwrap();
    assert_eq!(three.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    assert_eq!(server.connections(), 3);
    assert_eq!(server.heard()[1], "EHLO me\r\nbody\r\n.\r\n");
    assert_eq!(server.wrong(), ["`HELO me` where `EHLO` was expected"]);
}
