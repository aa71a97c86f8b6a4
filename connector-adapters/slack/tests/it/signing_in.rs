//! Whose token it is, and how it is renewed.

use std::sync::Arc;

use connector_sdk::{
    Class, Context, Network,
    secret::{MemoryTokens, TokenStore},
};
use connector_testkit::slack::FakeWorkspace;
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
            let cx = Context::builder("acme", "acme-chat")
                .network(Network::loopback())
                .clock(connector_testkit::clock::FastClock::shared())
                .tokens(Arc::clone(&tokens))
                .build();
            let mut host = Host::new(&config, "messages").await;
            host.connector = connect(&config, &cx).unwrap();
            host.cx = cx;
            host.run().await.clean();
            host.assert_holds_messages(&ws);
            assert_eq!(ws.requests_to("oauth.v2.access").len(), round, "one refresh for each process");
        }
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
        assert_eq!(error.class(), Class::Auth);
        assert!(!format!("{error:?} {connector:?}", connector = "").contains(ws.bot_token()));
    });
}
