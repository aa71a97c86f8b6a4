use super::*;

const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

fn signer(key: &str) -> Result<Signer> {
    let config = DkimConfig {
        domain: "football.example.com".to_owned(),
        selector: "brisbane".to_owned(),
        private_key: Secret::from(key),
    };
    config.check()
}

/// The mail of RFC 8463, A.3.
const MAIL: &[u8] = b"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\n\
    Joe.\r\n";

#[test]
fn the_body_hash_is_that_of_rfc_8463() {
    let head = memchr::memmem::find(MAIL, b"\r\n\r\n").unwrap() + 2;
    let header =
        signer(ED25519).unwrap().sign(MAIL, head, Timestamp::from_millis(1_528_637_909_000)).unwrap();
    assert!(header.contains("bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;"), "{header}");
    assert!(header.contains("a=ed25519-sha256") && header.contains("t=1528637909"), "{header}");
    assert!(header.ends_with("\r\n") && header.lines().all(|line| line.len() <= 78), "{header}");
    let names: Vec<&str> =
        header.split(" h=").nth(1).unwrap().split(';').next().unwrap().split(':').map(str::trim).collect();
    let twice = ["from", "to", "subject", "date", "message-id"];
    assert!(twice.iter().all(|name| names.iter().filter(|known| known == &name).count() == 2), "{names:?}");
    let once = ["reply-to", "cc", "content-type"];
    assert!(once.iter().all(|name| names.iter().filter(|known| known == &name).count() == 1), "{names:?}");
    assert!(!names.contains(&"sender"), "whoever passes it on to a list may add it");
}

#[test]
fn a_key_that_cannot_sign_is_refused_and_shown_nowhere() {
    for key in [
        "",
        "canary",
        "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    ] {
        let error = signer(key).unwrap_err();
        assert_eq!(error.class(), connector_sdk::Class::Config);
        assert!(
            error.message().contains("dkim.private_key") && !error.to_string().contains("canary"),
            "{error}"
        );
    }
    let oneline = ED25519.replace('\n', "\\n");
    assert!(!format!("{:?}", signer(&oneline).unwrap()).contains("MC4C"));
    let wrong =
        DkimConfig { domain: "a b".to_owned(), selector: "s".to_owned(), private_key: Secret::from(ED25519) };
    assert!(wrong.check().unwrap_err().message().contains("dkim.domain"));
    assert!(!format!("{wrong:?}").contains("MC4C"));
}
