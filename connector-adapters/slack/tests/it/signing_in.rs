//! Whose token it is, and how it is renewed.

use std::sync::Arc;

use connector_sdk::{
    Class, Context, Error, Network,
    secret::{MemoryTokens, TokenStore},
};
use connector_testkit::slack::{FakeWorkspace, TokenKind};
use serde_json::{Value, json};

use super::host::{Host, config, connect, context, small, start, with, within};

fn oauth(ws: &FakeWorkspace) -> Value {
    let known = ws.oauth();
    let auth = json!({ "oauth": {
        "client_id": known.client_id, "client_secret": known.client_secret, "refresh_token": known.refresh_token,
    } });
    with(config(ws), "auth", auth)
}

#[test]
fn it_says_who_it_is_and_what_it_may_do() {
    within(async {
        let ws = start(small()).await;
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        let identity = connector.authenticate(&cx).await.unwrap();
        assert_eq!(identity.account.as_deref(), Some(ws.team_id()));
        assert!(!identity.subject.is_empty());
        let mut granted = ws.granted();
        granted.sort();
        let mut scopes = identity.scopes.clone();
        scopes.sort();
        assert_eq!(scopes, granted);
        assert!(connector.scopes(&"messages".into()).contains(&"channels:history".to_owned()));
    });
}

#[test]
fn a_token_that_rotates_is_renewed_once_for_all_and_its_successor_is_kept() {
    within(async {
        let ws = start(small().messages(200)).await;
        let config = oauth(&ws);
        let tokens: Arc<dyn TokenStore> = Arc::new(MemoryTokens::default());
        for round in 1..=3 {
            let cx = keeping(&tokens);
            let mut host = Host::new(&config, "messages").await;
            host.connector = connect(&config, &cx).unwrap();
            host.cx = cx;
            host.run().await.clean();
            host.assert_holds_messages(&ws);
            assert_eq!(ws.requests_to("oauth.v2.access").len(), round, "one refresh for each process");
        }
    });
}

fn keeping(tokens: &Arc<dyn TokenStore>) -> Context {
    Context::builder("acme", "acme-chat")
        .network(Network::loopback())
        .clock(connector_testkit::clock::FastClock::shared())
        .tokens(Arc::clone(tokens))
        .build()
}

/// Whose tokens the pages of history were asked for with, in the order of asking, each run of them once.
fn readers(ws: &FakeWorkspace) -> Vec<TokenKind> {
    let mut kinds: Vec<_> =
        ws.requests_to("conversations.history").iter().map(|request| request.token).collect();
    kinds.dedup();
    kinds
}

#[test]
fn a_users_token_reads_as_that_user() {
    within(async {
        let ws = start(small().messages(30)).await;
        let config = with(config(&ws), "auth", json!({ "user_token": { "token": ws.user_token() } }));
        let mut host = Host::new(&config, "messages").await;
        host.run().await.clean();
        host.assert_holds_messages(&ws);
        assert_eq!(readers(&ws), [TokenKind::User]);
        assert!(ws.requests().iter().all(|request| request.token == TokenKind::User));
        let identity = host.connector.authenticate(&host.cx).await.unwrap();
        assert_ne!(identity.subject, ws.bot_user());
    });
}

#[test]
fn the_pairs_of_the_bot_and_of_a_user_rotate_apart() {
    within(async {
        let ws = start(small().messages(30)).await;
        let known = ws.oauth();
        let as_user = with(
            config(&ws),
            "auth",
            json!({ "oauth": {
            "client_id": known.client_id, "client_secret": known.client_secret,
            "refresh_token": known.user_refresh_token,
        } }),
        );
        let tokens: Arc<dyn TokenStore> = Arc::new(MemoryTokens::default());
        let mut refreshes = 0;
        // Each is refreshed by turns, in processes of their own, over one store.
        for _ in 0..3 {
            for config in [&oauth(&ws), &as_user] {
                let cx = keeping(&tokens);
                let mut host = Host::new(&self::config(&ws), "messages").await;
                (host.connector, host.cx) = (connect(config, &cx).unwrap(), cx);
                host.run().await.clean();
                host.assert_holds_messages(&ws);
                refreshes += 1;
                let asked = ws.requests_to("oauth.v2.access");
                assert_eq!(asked.len(), refreshes, "one refresh for each process");
                assert!(asked.iter().all(|request| request.error.is_none()), "{asked:#?}");
            }
        }
        assert_eq!(readers(&ws), [TokenKind::Bot, TokenKind::User].repeat(3));
    });
}

#[test]
fn a_token_that_is_revoked_is_of_class_auth_and_shown_nowhere() {
    within(async {
        let ws = start(small()).await;
        ws.revoke_tokens();
        let cx = context();
        let connector = connect(&config(&ws), &cx).unwrap();
        let error = connector.authenticate(&cx).await.unwrap_err();
        assert_eq!(connector_slack::error_code(&error), Some("token_revoked"));
        assert_eq!(error.class(), Class::Auth);
        assert_hides(&error, &[ws.bot_token()]);
        // A refresh is refused as well.
        let connector = connect(&oauth(&ws), &cx).unwrap();
        let error = connector.authenticate(&cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Auth);
        let known = ws.oauth();
        assert_hides(&error, &[&known.refresh_token, &known.client_secret]);
    });
}

/// None of these is in anything that an error says: to people, to logs, to the registry, in any of its causes.
#[track_caller]
fn assert_hides(error: &Error, secrets: &[&str]) {
    let mut said = vec![format!("{error}"), format!("{error:?}"), format!("{error:#?}")];
    said.push(serde_json::to_string(error).unwrap());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        said.extend([format!("{cause}"), format!("{cause:?}")]);
        source = cause.source();
    }
    assert!(said.iter().all(|text| !text.is_empty()));
    for (text, secret) in said.iter().flat_map(|text| secrets.iter().map(move |secret| (text, secret))) {
        assert!(!secret.is_empty() && !text.contains(secret), "{}", text.replace(secret, "<the secret>"));
    }
}
