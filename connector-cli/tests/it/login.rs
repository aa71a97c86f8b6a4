//! A person signs in, from outside: the binary, a browser, an org.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use connector_testkit::{
    fault::Fault,
    salesforce::{FakeOrg, SignIn},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr},
};

use crate::desk::{Desk, Outcome, finish, signal, start};

/// The desk's template, with a way to sign in that needs a person.
async fn desk() -> Desk {
    let sign_in = SignIn { rotate_refresh_tokens: true, ..SignIn::default() };
    let desk = Desk::new(FakeOrg::builder().contacts(30).sign_in(sign_in)).await;
    let text = fs::read_to_string(desk.path("t.yaml")).unwrap();
    let (url, client_id) = (desk.org.url(), &desk.org.credentials().client_id);
    let auth = format!(
        "  login_url: {url}\n  auth: {{ refresh_token: {{ client_id: \"{client_id}\", client_secret: \"${{secret:sf}}\" }} }}"
    );
    let lines = text.lines().map(|line| if line.contains("auth:") { auth.as_str() } else { line });
    fs::write(desk.path("t.yaml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    desk
}

/// Starts to sign in; answers the address that it shows.
async fn login(desk: &Desk, more: &[&str]) -> (Child, BufReader<ChildStderr>, String) {
    address(desk.start(&[&["--json", "login", "-c", "t.yaml"], more].concat())).await
}

async fn address(mut child: Child) -> (Child, BufReader<ChildStderr>, String) {
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("sign_in_at") {
        line.clear();
        assert_ne!(soon(err.read_line(&mut line)).await.unwrap(), 0, "it ends without an address");
    }
    let shown: Value = serde_json::from_str(&line).unwrap();
    (child, err, shown["sign_in_at"].as_str().unwrap().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "another process takes real time; this is only its end")]
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it does not take so long")
}

async fn end(child: Child, mut err: BufReader<ChildStderr>) -> Outcome {
    let mut outcome = finish(child).await;
    soon(err.read_to_string(&mut outcome.err)).await.unwrap();
    outcome
}

/// Signs in, as a person does who agrees.
async fn sign_in(desk: &Desk) -> Outcome {
    let (child, err, url) = login(desk, &[]).await;
    assert_eq!(browse(&url).await.0, 200);
    end(child, err).await
}

async fn until(is_so: impl Fn() -> bool) {
    soon(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Changes the template.
fn edit(desk: &Desk, from: &str, to: &str) {
    let text = fs::read_to_string(desk.path("t.yaml")).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    fs::write(desk.path("t.yaml"), text.replace(from, to)).unwrap();
}

/// A browser, which follows where it is sent.
async fn browse(url: &str) -> (u16, String) {
    let response = soon(reqwest::Client::new().get(url).send()).await.unwrap();
    (response.status().as_u16(), soon(response.text()).await.unwrap())
}

#[tokio::test]
async fn a_person_signs_in_once_and_every_later_run_needs_nobody() {
    let desk = desk().await;
    let before = desk.connector(&["run"]).await.exits(1).document();
    assert_eq!(before["error"]["class"], "Auth", "{before:#}");
    assert!(before.to_string().contains("connector login -c FILE"), "{before:#}");

    let (child, err, url) = login(&desk, &[]).await;
    let redirect = reqwest::Url::parse(&url).unwrap();
    let redirect = redirect.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    assert!(redirect.starts_with("http://127.0.0.1:") && redirect.ends_with("/callback"), "{redirect}");
    // Somebody else's page, which cannot know the state.
    assert_eq!(browse(&format!("{redirect}?code=evil&state=guess")).await.0, 400);
    let (status, page) = browse(&url).await;
    assert_eq!(status, 200, "{page}");
    let outcome = end(child, err).await.exits(0);
    let document = outcome.document();
    assert_eq!(document["status"], "succeeded", "{document:#}");
    assert_eq!(document["connection"], "acme-crm");
    assert_eq!(document["signed_in_to"], desk.org.url());
    assert!(document["identity"].as_str().unwrap().contains("/id/00D"), "{document:#}");
    assert_eq!(document["scopes"], json!(["api", "refresh_token"]));

    for _ in 0..2 {
        desk.org.expire_tokens();
        let run = desk.connector(&["run"]).await.exits(0).document();
        assert_eq!(run["status"], "succeeded", "{run:#}");
    }
    desk.assert_each_contact_once().await;

    // Neither the registry nor what was printed holds a token.
    for file in ["connector.db", "connector.db-wal"] {
        let bytes = fs::read(desk.path(file)).unwrap_or_default();
        assert!(
            !bytes.windows(7).any(|window| window == b"5Aep861"),
            "{file} holds a refresh token in the clear"
        );
    }
    assert!(!outcome.out.contains("5Aep861") && !outcome.err.contains("5Aep861"), "{outcome:?}");
}

#[tokio::test]
async fn a_refusal_of_the_person_is_class_auth_with_the_vendors_code() {
    let desk = desk().await;
    let (child, err, url) = login(&desk, &["--redirect-uri", "http://localhost:0/OauthRedirect"]).await;
    let url = reqwest::Url::parse(&url).unwrap();
    let field = |name: &str| url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
    let back = field("redirect_uri");
    assert!(back.starts_with("http://localhost:") && back.ends_with("/OauthRedirect"), "{back}");
    browse(&format!("{back}?error=access_denied&state={}", field("state"))).await;
    let document = end(child, err).await.exits(1).document();
    assert_eq!(document["error"]["class"], "Auth", "{document:#}");
    assert!(document.to_string().contains("access_denied"), "{document:#}");
}

#[tokio::test]
async fn where_nobody_has_to_sign_in_login_says_so() {
    let desk = Desk::new(FakeOrg::builder().contacts(1)).await;
    let document = desk.connector(&["login"]).await.exits(2).document();
    assert!(document.to_string().contains("nobody has to sign in"), "{document:#}");
    let document =
        desk.connector(&["login", "--redirect-uri", "http://10.0.0.1:1/"]).await.exits(2).document();
    assert_eq!(document["error"]["class"], "Config", "{document:#}");
}

/// The vendor has taken the refresh token, and its answer is on the way.
async fn stopped_in_the_exchange(desk: &Desk, arguments: &[&str]) -> Outcome {
    let tokens = desk.org.counters().tokens;
    let slow = Fault::SlowBody { bytes: 24, every: Duration::from_millis(50) };
    desk.org.faults().on("/services/oauth2/token").always().then(slow);
    let child = desk.start(&[&["--json"], arguments, &["-c", "t.yaml"]].concat());
    until(|| desk.org.counters().tokens > tokens).await;
    signal(&child, "-TERM");
    let outcome = finish(child).await;
    desk.org.faults().clear();
    outcome
}

#[tokio::test]
async fn a_run_that_is_stopped_in_an_exchange_keeps_the_token_that_comes_of_it() {
    let desk = desk().await;
    sign_in(&desk).await.exits(0);
    for _ in 0..2 {
        let stopped = stopped_in_the_exchange(&desk, &["run"]).await.exits(0).document();
        assert_eq!(stopped["status"], "stopped", "{stopped:#}");
    }
    // The vendor takes each refresh token once, and revokes all when one comes back.
    let next = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(next["status"], "succeeded", "{next:#}");
}

#[tokio::test]
async fn a_command_that_has_given_up_keeps_the_token_that_comes_all_the_same() {
    let desk = desk().await;
    sign_in(&desk).await.exits(0);
    let tokens = desk.org.counters().tokens;
    edit(&desk, "network:", "resilience: { deadline: 200ms, timeout: 100ms }\nnetwork:");
    let slow = Fault::SlowBody { bytes: 24, every: Duration::from_millis(50) };
    desk.org.faults().on("/services/oauth2/token").always().then(slow);
    desk.connector(&["discover"]).await.exits(1);
    assert_eq!(desk.org.counters().tokens, tokens + 1, "it was asked for, and once");
    desk.org.faults().clear();
    edit(&desk, "resilience: { deadline: 200ms, timeout: 100ms }\n", "");
    let next = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(next["status"], "succeeded", "{next:#}");
}

#[tokio::test]
async fn a_sign_in_to_another_org_is_refused_and_keeps_nothing() {
    let desk = desk().await;
    let signed_in = FakeOrg::builder().sign_in(SignIn { rotate_refresh_tokens: true, ..SignIn::default() });
    let other = signed_in.start().await.unwrap();
    sign_in(&desk).await.exits(0);
    let (here, there) = (format!("login_url: {}", desk.org.url()), format!("login_url: {}", other.url()));
    edit(&desk, &here, &there);
    let refused = sign_in(&desk).await.exits(2).document();
    assert_eq!(refused["error"]["class"], "Config", "{refused:#}");
    let said = refused.to_string();
    assert!(said.contains(desk.org.url()) && said.contains(other.url()), "{said}");
    edit(&desk, &there, &here);
    let run = desk.connector(&["run"]).await.exits(0).document();
    assert_eq!(run["status"], "succeeded", "the token of before is there still: {run:#}");
}

/// A desktop that notes what it is asked to open.
fn desktop(folder: &Path) -> String {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    let script = "#!/bin/sh\nprintf '%s' \"$*\" > argv\ncp -p \"$1\" opening\nmv opening opened\n";
    fs::write(bin.join("xdg-open"), script).unwrap();
    fs::set_permissions(bin.join("xdg-open"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", bin.display())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_browser_is_opened_so_that_other_users_of_the_machine_do_not_see_the_address() {
    let desk = desk().await;
    let (folder, secret) = (desk.path(""), desk.org.credentials().client_secret.clone());
    let path = desktop(&folder);
    let env = [("CONNECTOR_SECRET_SF", secret.as_str()), ("PATH", path.as_str())];
    let child = start(&folder, &env, &["--json", "login", "--open", "-c", "t.yaml"]);
    let (child, err, url) = address(child).await;
    until(|| desk.path("opened").exists()).await;
    let argv = fs::read_to_string(desk.path("argv")).unwrap();
    assert!(!argv.contains("state") && !argv.contains("challenge") && !argv.contains(' '), "{argv}");
    assert_eq!(fs::metadata(desk.path("opened")).unwrap().permissions().mode() & 0o777, 0o600);
    let page = fs::read_to_string(desk.path("opened")).unwrap();
    assert!(page.contains(&format!("content=\"0; url={}\"", url.replace('&', "&amp;"))), "{page}");
    assert!(Path::new(&argv).exists(), "the browser may read it late");
    assert_eq!(browse(&url).await.0, 200);
    end(child, err).await.exits(0);
    assert!(!Path::new(&argv).exists(), "nobody finds it later");
}
