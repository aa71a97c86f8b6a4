use proptest::prelude::*;

use super::*;

/// Each holds `hunter2`, or words of it, where a secret stands.
const ATTACKS: [&str; 84] = [
    "https://hunter2@host/",
    "https://me:hunter2@host:8443/path?x=1",
    "https://me:p@hunter2@host",
    "https://me:hunter2/hunter2@host/path",
    "next=https%3A%2F%2Fme%3Ahunter2%40host%2F",
    "postgres://me:hunter2@10.0.0.1:5432/db",
    "GET /x?a=1&sig=hunter2 failed",
    "https://host/?X-Amz-Signature=hunter2&b=1",
    "https://host/?X-AMZ-SECURITY-TOKEN=hunter2",
    "https://host/?X-Amz-Credential=hunter2",
    "/?token=hunter2",
    "/?key=hunter2",
    "/?a=1&key=hunter2",
    "/?secret_key=hunter2",
    "/?subscription-key=hunter2",
    "/?a=1&amp;api-key=hunter2&amp;b",
    "/?token=a%26hunter2",
    "/?token=a,hunter2;hunter2)hunter2",
    "/callback?code=hunter2&state=1",
    "url=%2Fcallback%3Fcode%3Dhunter2%26state%3D1",
    "token%3Dhunter2",
    "token%253Dhunter2%2526a",
    "grant_type=refresh_token&refresh_token=hunter2",
    "client_id=me&client_secret=hunter2",
    "client_secret='hunter2'",
    "client-secret: hunter2",
    "clientSecret = hunter2",
    "aws_secret_access_key=hunter2",
    "AWS_SECRET_ACCESS_KEY: hunter2",
    "private_key=hunter2",
    "private-key: hunter2",
    "api-key=hunter2",
    "apiKey: hunter2",
    "X-Api-Key: hunter2",
    "x-functions-key: hunter2",
    "Ocp-Apim-Subscription-Key: hunter2",
    "X-Vault-Token: hunter2",
    "sessionid=hunter2",
    "session_id: hunter2",
    "JSESSIONID=hunter2; theme=x",
    "Cookie: a=hunter2; b=hunter2",
    "Set-Cookie: a=b; c=hunter2",
    "passwd=hunter2",
    "pwd: hunter2",
    "user.password=hunter2",
    "password1=hunter2",
    "password_confirmation=hunter2",
    "user[password]=hunter2",
    "password: hunter2",
    "password : hunter2",
    "password => 'hunter2'",
    "Server=x;User Id=sa;Password=hunter2;hunter2",
    "password=\"a b, hunter2; hunter2)\"",
    "passphrase: a b hunter2",
    "assertion=hunter2;",
    "client_assertion=hunter2",
    "SAMLResponse=hunter2",
    "code_verifier=hunter2",
    "Authorization: Bearer hunter2",
    "Authorization: Token hunter2",
    "Authorization: hunter2",
    "Authorization: AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=hunter2",
    "Authorization: Digest username=\"me\", response=\"hunter2\"",
    "curl -H 'Authorization: Token hunter2' -u me:hunter2",
    "Proxy-Authorization:  hunter2",
    "authorization=hunter2",
    "Bearer  hunter2",
    "bearer\thunter2",
    "Bearer+hunter2",
    "Bearer%20hunter2",
    "Basic aHVudGVyMg==hunter2, and",
    "login --password hunter2 --api-key=hunter2",
    r#"{"access_token":"hunter2","a":1}"#,
    r#"{"Password" : "hunter2"}"#,
    r#"{"password":"a\"hunter2"}"#,
    r#"{"password":"a, b hunter2"}"#,
    r#"{"tokens":["a","hunter2"],"secret":{"value":"hunter2"}}"#,
    r#"{"name":"password","value":"hunter2"}"#,
    r#""{\"client_secret\":\"hunter2\",\"a\":1}""#,
    r#"\\\"token\\\":\\\"a\\\\\\\"hunter2\\\""#,
    r#"{"token\u0022:\u0022hunter2\u0022}"#,
    "password=&quot;hunter2&quot;",
    "<soap:Header><sf:sessionId>hunter2</sf:sessionId><password type=\"x\">hunter2</password>",
    "-----BEGIN RSA PRIVATE KEY-----\nhunter2\nhunter2\n-----END RSA PRIVATE KEY-----",
];

/// Nothing of these is a secret.
const HARMLESS: [&str; 40] = [
    "",
    "https://host:8443/path?part=1&code_page=utf8#top",
    "https://host:8443/a@b",
    "https://[::1]:8443/a@b",
    "No such column 'Key' on entity 'Contact': code=5, mail me@acme.example",
    "the token is missing; basic authentication and bearer tokens are refused",
    "Basic Authentication is not enabled for this org.",
    "ä → ü ://",
    "token= and secret=",
    "INVALID_SESSION_ID: Session expired or invalid",
    "[{\"message\":\"Session expired or invalid\",\"errorCode\":\"INVALID_SESSION_ID\"}]",
    "invalid_grant: expired access/refresh token",
    "invalid_client_secret: the app has another",
    "unsupported_token: no such kind",
    "errorCode: MALFORMED_QUERY, statusCode: 400, postal_code: 8001",
    "unexpected token: '<' at 1:5",
    "token: expired",
    "password: must not be empty",
    "{\"token\":null,\"secret\":true}",
    "primary_key=Id, foreign-key: AccountId, sortKey=LastModifiedDate",
    "Idempotency-Key: 0f8fad5b",
    "nextPageToken=3, page_token: 4, continuation-token: 5",
    "max_tokens=100 total_tokens: 5",
    "monkey=1, hockey: 2, turkey = 3",
    "token_type=Bearer&expires_in=3600&scope=api",
    "token_endpoint: https://login.example/token",
    "no field `key` in `config`",
    "secret::redacted and Token::new are functions",
    "the signature does not match what we calculated",
    "MALFORMED_QUERY: unexpected token: 'FORM'",
    "REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.",
    "entity is deleted: 003000000000001AAA",
    "code: 42; state: open",
    "a 100 % match, 50% of it, %zz and %",
    "C:\\Users\\me\\file.txt and \\n",
    "-----BEGIN CERTIFICATE-----",
    "<faultcode>sf:INVALID_FIELD</faultcode><faultstring>x</faultstring>",
    "key: value, session: 7, auth: none",
    "sobject=Contact&fields=Id,Name",
    "retry after 5 s (attempt 2 of 3)",
];

#[test]
fn secrets_are_hidden_by_their_place_however_they_are_written() {
    let shown = |text: &&&str| redacted(text).contains("hunter2") || !redacted(text).contains(HIDDEN);
    let shown: Vec<_> =
        ATTACKS.iter().filter(shown).map(|text| format!("{text} → {}", redacted(text))).collect();
    assert!(shown.is_empty(), "{shown:#?}");
    for text in ATTACKS.map(redacted) {
        assert_eq!(redacted(&text), text, "twice is once");
    }
}

#[test]
fn other_words_stay_as_they_are() {
    let changed: Vec<_> =
        HARMLESS.iter().map(|text| (redacted(text), *text)).filter(|(shown, text)| shown != text).collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn what_stands_around_a_secret_stays() {
    for (text, expected) in [
        ("GET /x?a=1&sig=s3cr3t&b=2 failed", "GET /x?a=1&sig=[secret]&b=2 failed"),
        (r#"{"token":"s3cr3t","a":1}"#, r#"{"token":"[secret]","a":1}"#),
        (r#"{\"token\":\"s3cr3t\",\"a\":1}"#, r#"{\"token\":\"[secret]\",\"a\":1}"#),
        ("token%3Ds3cr3t%26a%3D1", "token%3D[secret]%26a%3D1"),
        ("X-Api-Key: s3cr3t\nHost: x", "X-Api-Key: [secret]\nHost: x"),
        ("Authorization: Token a b\nHost: x", "Authorization: [secret]\nHost: x"),
        ("curl -H 'Authorization: Token a b' x", "curl -H 'Authorization: [secret]' x"),
        ("Bearer s3cr3t, and more", "Bearer [secret], and more"),
        ("<sessionId>00Dx</sessionId><a>b</a>", "<sessionId>[secret]</sessionId><a>b</a>"),
        ("session 00D000000000001!AQ0a.b_c is over", "session [secret] is over"),
        ("ä token=s3cr3t ü", "ä token=[secret] ü"),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

/// Of the length of a large answer: in the square of the length, one of these takes minutes.
#[test]
fn it_takes_time_in_proportion_to_the_length() {
    for part in [
        "token",
        "token ",
        "token=",
        "token=!",
        "token: is ",
        "token=is%20",
        "authorization: is ",
        "\"password\", \"value\", ",
        "<password ",
        "<password><",
        "://a:b",
        "://a:b@",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY",
        "%25",
        "%",
        "\\",
        "\\\"",
        "\"token\":\"",
        "token:[",
        "bearer ",
        "bearer a:",
        "--password ",
        "-u a",
        "&",
        "&quot;",
        "00D000000000001!",
        "eyJ.",
    ] {
        let text = part.repeat(60_000 / part.len());
        assert!(redacted(&text).len() <= 10 * text.len(), "{part}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_it_and_what_is_hidden_stays_hidden(text in ".{0,60}", value in "[a-z]{3}[0-9]{9}") {
        let shown = redacted(&format!("{text}?access_token={value}&x={text}"));
        prop_assert!(!shown.contains(&value), "{}", shown);
    }

    #[test]
    fn no_encoding_breaks_it(text in r#"[%\\&;":=u0253Dd26quot<>/@ tokenpass-]{0,80}"#) {
        let _ = redacted(&text);
    }
}
