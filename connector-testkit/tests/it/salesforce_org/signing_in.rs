//! The doors: which credentials open the org, and what it says to the others.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connector_testkit::salesforce::{FakeOrg, SignIn};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::client::{http, read};
use super::{Answer, Client, within};

const EXPIRED_SESSION: &str =
    r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#;

async fn token(org: &FakeOrg, fields: &[(&str, &str)]) -> Answer {
    read(http().post(format!("{}/services/oauth2/token", org.url())).form(fields)).await.expect("an answer")
}

fn refused(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    let text =
        |key: &str| json[key].as_str().unwrap_or_else(|| panic!("{key} in {}", answer.text)).to_owned();
    (answer.status, text("error"), text("error_description"))
}

#[test]
fn client_credentials_give_a_session_without_an_expiry() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let known = org.credentials().clone();
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &known.client_id),
            ("client_secret", &known.client_secret),
        ];
        let answer = token(&org, &fields).await;
        assert_eq!(answer.status, 200);
        let json = answer.json();
        // The keys of `restforce_auth_success_response.json`, and those the documentation adds.
        for key in ["access_token", "id", "instance_url", "issued_at", "signature", "scope", "token_type"] {
            assert!(json[key].is_string(), "{key} in {json}");
        }
        assert!(json.get("expires_in").is_none() && json.get("refresh_token").is_none());
        assert_eq!(json["instance_url"], org.url());

        let session = json["access_token"].as_str().expect("token").to_owned();
        let client = Client { http: http(), url: org.url().to_owned(), token: session };
        assert_eq!(client.get("/services/data/v66.0/limits").await.status, 200);
        let who = client.get("/services/oauth2/userinfo").await.json();
        assert_eq!(who["organization_id"], "00D5e0000000001EAA");
        assert_eq!(who["preferred_username"], known.username);

        let basic = http()
            .post(format!("{}/services/oauth2/token", org.url()))
            .basic_auth(&known.client_id, Some(&known.client_secret))
            .form(&[("grant_type", "client_credentials")]);
        assert_eq!(read(basic).await.expect("an answer").status, 200);
        assert_eq!(org.counters().tokens, 2);
    });
}

#[test]
fn what_does_not_fit_is_a_400_with_a_reason() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let id = org.credentials().client_id.clone();
        let secret = org.credentials().client_secret.clone();
        let grant = |kind: &'static str| ("grant_type", kind);
        for (fields, error) in [
            (
                vec![grant("client_credentials"), ("client_id", &*id), ("client_secret", "wrong")],
                "invalid_client",
            ),
            (vec![grant("client_credentials"), ("client_id", &*id)], "invalid_client"),
            (vec![grant("client_credentials"), ("client_id", "nobody")], "invalid_client_id"),
            (vec![grant("device_code"), ("client_id", &*id)], "unsupported_grant_type"),
            (
                vec![grant("password"), ("client_id", &*id), ("client_secret", &*secret)],
                "unsupported_grant_type",
            ),
            (vec![("client_id", &*id)], "invalid_request"),
            (
                vec![grant("refresh_token"), ("client_id", &*id), ("refresh_token", "made up")],
                "invalid_grant",
            ),
            (
                vec![grant("urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", "a.b.c")],
                "invalid_grant",
            ),
        ] {
            let (status, code, description) = refused(&token(&org, &fields).await);
            assert_eq!((status, code.as_str()), (400, error), "{fields:?}: {description}");
            assert!(!description.is_empty());
        }
        assert_eq!(org.counters().tokens, 0);
        let get = read(http().get(format!("{}/services/oauth2/token", org.url()))).await.expect("an answer");
        assert_eq!(get.status, 405);
    });
}

#[test]
fn the_password_grant_works_only_where_it_was_switched_on() {
    within(async {
        let sign_in = SignIn { password_grant: true, ..SignIn::default() };
        let org = FakeOrg::builder().sign_in(sign_in).start().await.expect("start");
        let known = org.credentials().clone();
        let with_token = format!("{}{}", known.password, known.security_token);
        for (password, status) in [(known.password.as_str(), 200), (&with_token, 200), ("wrong", 400)] {
            let fields = [
                ("grant_type", "password"),
                ("client_id", &known.client_id),
                ("client_secret", &known.client_secret),
                ("username", &known.username),
                ("password", password),
            ];
            assert_eq!(token(&org, &fields).await.status, status);
        }
    });
}

async fn refresh(org: &FakeOrg, refresh_token: &str) -> Answer {
    let id = &org.credentials().client_id;
    token(org, &[("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", refresh_token)]).await
}

#[test]
fn a_refresh_token_is_good_again_and_again_without_rotation() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let mine = org.issue_refresh_token();
        for _ in 0..2 {
            let answer = refresh(&org, &mine).await;
            assert_eq!(answer.status, 200);
            assert!(answer.json().get("refresh_token").is_none());
        }
        org.revoke_refresh_tokens();
        let expected = (400, "invalid_grant".to_owned(), "expired access/refresh token".to_owned());
        assert_eq!(refused(&refresh(&org, &mine).await), expected);
    });
}

#[test]
fn under_rotation_an_old_refresh_token_revokes_everything() {
    within(async {
        let sign_in = SignIn { rotate_refresh_tokens: true, ..SignIn::default() };
        let org = FakeOrg::builder().sign_in(sign_in).start().await.expect("start");
        let first = org.issue_refresh_token();
        let answer = refresh(&org, &first).await.json();
        let second = answer["refresh_token"].as_str().expect("a new refresh token").to_owned();
        assert_ne!(first, second);
        let access = answer["access_token"].as_str().expect("token").to_owned();
        let client = Client { http: http(), url: org.url().to_owned(), token: access };
        assert_eq!(client.get("/services/data/v66.0/limits").await.status, 200);

        assert_eq!(refresh(&org, &first).await.status, 400, "single use");
        assert_eq!(client.get("/services/data/v66.0/limits").await.status, 401, "access tokens are revoked");
        assert_eq!(refresh(&org, &second).await.status, 400, "the current refresh token is revoked");
    });
}

/// A fresh RSA key: the private one to sign with, the public one as PEM.
fn key_pair() -> (EncodingKey, String) {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("key");
    let private =
        aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).expect("der");
    let public: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().expect("der");
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    };
    let private = pem("PRIVATE KEY", private.as_ref());
    (EncodingKey::from_rsa_pem(private.as_bytes()).expect("key"), pem("PUBLIC KEY", public.as_ref()))
}

#[test]
fn a_jwt_opens_only_with_the_right_key_claims_and_time() {
    within(async {
        let (private, public) = key_pair();
        let (stranger, _) = key_pair();
        let sign_in = SignIn { jwt_public_key: Some(public), ..SignIn::default() };
        let org = FakeOrg::builder().sign_in(sign_in).start().await.expect("start");
        org.set_clock(1_800_000_000_000);
        let now = 1_800_000_000_i64;
        let known = org.credentials().clone();
        let claims = |change: Value| {
            let mut claims = json!({
                "iss": known.client_id, "sub": known.username, "aud": "https://login.salesforce.com", "exp": now + 180,
            });
            for (key, value) in change.as_object().expect("an object") {
                claims[key] = value.clone();
            }
            claims
        };
        for (key, change, refusal) in [
            (&private, json!({}), None),
            (&private, json!({"exp": (now + 180).to_string()}), None),
            (&private, json!({"aud": org.url()}), None),
            (&stranger, json!({}), Some("invalid_grant")),
            (&private, json!({"iss": "nobody"}), Some("invalid_client_id")),
            (&private, json!({"sub": "nobody@acme.example"}), Some("invalid_grant")),
            (&private, json!({"aud": "https://elsewhere.example"}), Some("invalid_grant")),
            (&private, json!({"exp": now - 1}), Some("invalid_grant")),
            (&private, json!({"exp": now + 3600}), Some("invalid_grant")),
            (&private, json!({"exp": null}), Some("invalid_grant")),
        ] {
            let assertion =
                encode(&Header::new(Algorithm::RS256), &claims(change.clone()), key).expect("jwt");
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let answer = token(&org, &[("grant_type", grant), ("assertion", &assertion)]).await;
            match refusal {
                None => assert_eq!(answer.status, 200, "{change}: {}", answer.text),
                Some(error) => assert_eq!(refused(&answer).1, error, "{change}"),
            }
        }
    });
}

async fn soap(org: &FakeOrg, version: &str, password: &str) -> Answer {
    let username = &org.credentials().username;
    let body = format!(
        "<?xml version=\"1.0\"?><env:Envelope xmlns:env=\"http://schemas.xmlsoap.org/soap/envelope/\"><env:Body>\
         <n1:login xmlns:n1=\"urn:partner.soap.sforce.com\"><n1:username>{username}</n1:username>\
         <n1:password>{password}</n1:password></n1:login></env:Body></env:Envelope>"
    );
    let request =
        http().post(format!("{}/services/Soap/u/{version}", org.url())).header("SOAPAction", "login");
    read(request.body(body)).await.expect("an answer")
}

#[test]
fn a_soap_login_gives_a_session_or_a_fault() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let known = org.credentials().clone();
        let good = soap(&org, "59.0", &format!("{}{}", known.password, known.security_token)).await;
        assert_eq!(good.status, 200);
        let session =
            good.text.split("<sessionId>").nth(1).and_then(|rest| rest.split('<').next()).expect("session");
        let client = Client { http: http(), url: org.url().to_owned(), token: session.to_owned() };
        assert_eq!(client.get("/services/data/v59.0/limits").await.status, 200);
        assert!(good.text.contains(&format!("<serverUrl>{}/services/Soap/u/59.0/", org.url())));

        let bad = soap(&org, "59.0", "wrong").await;
        assert_eq!(bad.status, 500);
        assert!(bad.text.contains("<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>"), "{}", bad.text);
        let retired = soap(&org, "29.0", &known.password).await;
        assert_eq!(retired.status, 500);
        assert!(retired.text.contains("UNSUPPORTED_API_VERSION"));
    });
}

#[test]
fn a_session_ends_on_demand_or_after_its_requests() {
    within(async {
        let sign_in = SignIn { requests_per_token: Some(3), ..SignIn::default() };
        let org = FakeOrg::builder().sign_in(sign_in).start().await.expect("start");
        let mut client = Client::new(&org);
        for expected in [200, 200, 200, 401, 401] {
            assert_eq!(client.get("/services/data/v66.0/limits").await.status, expected);
        }
        client.token = org.issue_token();
        assert_eq!(client.get("/services/data/v66.0/limits").await.status, 200);
        org.expire_tokens();
        let over = client.get("/services/data/v66.0/limits").await;
        assert_eq!((over.status, over.text.as_str()), (401, EXPIRED_SESSION));
        assert_eq!(over.header("sforce-limit-info"), "");

        let without =
            read(http().get(format!("{}/services/data/v66.0/limits", org.url()))).await.expect("an answer");
        assert_eq!(without.error(), (401, "INVALID_AUTH_HEADER".to_owned()));
    });
}
