//! Refusals: tokens, scopes, organisations, budgets, and what a test orders.

use std::time::Duration;

use connector_testkit::fault::Fault;
use connector_testkit::slack::{ChannelKind, TokenKind};

use super::{Client, builder, within};

#[test]
fn a_token_is_missing_unknown_of_the_wrong_kind_revoked_or_expired() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.start().await.unwrap();
        let client = Client::new(&ws);
        let answer = client.http.get(format!("{}/auth.test", client.base)).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), r#"{"error":"not_authed","ok":false}"#);
        assert_eq!(client.with("xoxb-made-up").get("auth.test", &[]).await.error(), "invalid_auth");
        assert_eq!(client.form("apps.connections.open", &[]).await.error(), "not_allowed_token_type");
        assert_eq!(
            client.with(ws.app_token()).get("users.list", &[]).await.error(),
            "not_allowed_token_type"
        );
        let (token, _) = ws.issue_pair();
        assert_eq!(client.with(&token).get("auth.test", &[]).await.error(), "");
        clock.advance(Duration::from_secs(43_200));
        assert_eq!(client.with(&token).get("auth.test", &[]).await.error(), "token_expired");
        assert_eq!(client.get("auth.test", &[]).await.error(), "");
        ws.faults().on("/auth.test").then(Fault::Unauthorized);
        assert_eq!(client.with(ws.user_token()).get("auth.test", &[]).await.error(), "invalid_auth");
        ws.revoke_tokens();
        assert_eq!(client.get("auth.test", &[]).await.error(), "token_revoked");
        assert_eq!(client.get("no.such.method", &[]).await.error(), "unknown_method");
        let kinds: Vec<TokenKind> = ws.requests().iter().map(|request| request.token).collect();
        assert_eq!(kinds[..4], [TokenKind::Unknown, TokenKind::Unknown, TokenKind::Bot, TokenKind::App]);
        ws.shutdown().await;
    });
}

#[test]
fn a_missing_scope_is_named_and_the_headers_say_what_is_granted() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let client = Client::new(&ws);
        ws.scopes(&["channels:read", "channels:history", "users:read"]);
        let users = client.get("users.list", &[]).await;
        assert_eq!(users.error(), "");
        assert_eq!(users.header("x-oauth-scopes"), "channels:read,channels:history,users:read");
        assert_eq!(users.header("x-accepted-oauth-scopes"), "users:read");
        assert!(
            users.body["members"]
                .as_array()
                .unwrap()
                .iter()
                .all(|user| user["profile"].get("email").is_none())
        );
        let pins = client.get("pins.list", &[]).await;
        assert_eq!((pins.error(), pins.status), ("missing_scope", 200));
        assert_eq!(
            (pins.body["needed"].as_str(), pins.body["provided"].as_str()),
            (Some("pins:read"), Some("channels:read,channels:history,users:read"))
        );
        let all = client.get("conversations.list", &[("types", "public_channel,private_channel,im")]).await;
        assert_eq!(all.body["needed"], "groups:read,im:read");
        let private = &ws.channels(ChannelKind::Private)[0];
        let history = client.get("conversations.history", &[("channel", private)]).await;
        assert_eq!(history.body["needed"], "groups:history");
        ws.shutdown().await;
    });
}

#[test]
fn an_organisations_token_has_to_name_the_workspace() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        ws.grid(true);
        let client = Client::new(&ws);
        let refused = client.get("users.list", &[]).await;
        assert_eq!(refused.error(), "missing_argument");
        assert_eq!(
            refused.body["response_metadata"]["messages"][0],
            "[ERROR] missing required field: team_id"
        );
        assert_eq!(client.get("conversations.list", &[("team_id", "T1")]).await.error(), "team_not_found");
        assert_eq!(client.get("conversations.list", &[("team_id", ws.team_id())]).await.error(), "");
        assert_eq!(client.get("auth.test", &[]).await.body["is_enterprise_install"], true);
        ws.shutdown().await;
    });
}

#[test]
fn each_method_has_a_budget_of_its_own_and_posts_one_for_each_channel() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.start().await.unwrap();
        ws.tiers(true);
        let client = Client::new(&ws);
        for _ in 0..20 {
            assert_eq!(client.get("users.list", &[("limit", "1")]).await.error(), "");
            clock.advance(Duration::from_secs(1));
        }
        let refused = client.get("users.list", &[]).await;
        assert_eq!(
            (refused.status, refused.error(), refused.header("retry-after")),
            (429, "ratelimited", "40")
        );
        assert_eq!(client.get("conversations.list", &[]).await.error(), "");
        clock.advance(Duration::from_secs(40));
        assert_eq!(client.get("users.list", &[]).await.error(), "");
        let channels = ws.channels(ChannelKind::Public);
        for channel in &channels {
            assert_eq!(
                client.form("chat.postMessage", &[("channel", channel), ("text", "a")]).await.error(),
                ""
            );
        }
        let again = client.form("chat.postMessage", &[("channel", &channels[0]), ("text", "b")]).await;
        assert_eq!((again.status, again.header("retry-after")), (429, "1"));
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            client.form("chat.postMessage", &[("channel", &channels[0]), ("text", "b")]).await.error(),
            ""
        );
        assert_eq!((ws.limited(), ws.posts().len()), (2, 5));
        ws.shutdown().await;
    });
}

#[test]
fn the_slow_cohort_gets_one_request_a_minute_and_fifteen_objects() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.start().await.unwrap();
        ws.slow_cohort(true);
        let client = Client::new(&ws);
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let ask = [("channel", channel.as_str()), ("limit", "200")];
        let page = client.get("conversations.history", &ask).await.body;
        assert_eq!((page["messages"].as_array().unwrap().len(), &page["has_more"]), (15, &true.into()));
        let refused = client.get("conversations.history", &ask).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "60"));
        // The budget of replies is its own, and other methods are not slowed.
        let parent = ws.threads(&channel)[0].clone();
        let thread = [("channel", channel.as_str()), ("ts", parent.as_str())];
        assert_eq!(client.get("conversations.replies", &thread).await.error(), "");
        assert_eq!(client.get("users.list", &[]).await.error(), "");
        assert_eq!(client.get("users.list", &[]).await.error(), "");
        clock.advance(Duration::from_secs(60));
        assert_eq!(client.get("conversations.history", &ask).await.error(), "");
        ws.shutdown().await;
    });
}

#[test]
fn channels_that_may_not_be_read_or_joined_say_why() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let client = Client::new(&ws);
        let public = ws.channels(ChannelKind::Public);
        let history =
            async |channel: &str| client.get("conversations.history", &[("channel", channel)]).await;
        let join = async |channel: &str| client.form("conversations.join", &[("channel", channel)]).await;
        ws.join(&public[0], false);
        assert_eq!(history(&public[0]).await.error(), "not_in_channel");
        let joined = join(&public[0]).await;
        assert_eq!((joined.error(), joined.body.get("warning")), ("", None));
        assert_eq!(history(&public[0]).await.error(), "");
        assert_eq!(join(&public[0]).await.body["warning"], "already_in_channel");
        ws.join(&public[1], false);
        ws.archive(&public[1], true);
        assert_eq!(join(&public[1]).await.error(), "is_archived");
        ws.archive(&public[2], true);
        assert_eq!(history(&public[2]).await.error(), "");
        let private = &ws.channels(ChannelKind::Private)[0];
        ws.join(private, false);
        assert_eq!(history(private).await.error(), "channel_not_found");
        assert_eq!(join(private).await.error(), "channel_not_found");
        let mut listed = Vec::new();
        for types in ["public_channel", "private_channel", "im", "mpim"] {
            listed.push(
                client.get("conversations.list", &[("types", types)]).await.body["channels"]
                    .as_array()
                    .unwrap()
                    .len(),
            );
        }
        assert_eq!(listed, [4, 0, 1, 1]);
        ws.shutdown().await;
    });
}

#[test]
fn a_test_orders_refusals_before_and_after_the_work() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let client = Client::new(&ws);
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let post = [("channel", channel.as_str()), ("text", "once")];
        ws.refuse("chat.postMessage", "service_unavailable");
        ws.refuse_after("chat.postMessage", "fatal_error");
        assert_eq!(client.form("chat.postMessage", &post).await.error(), "service_unavailable");
        assert_eq!(ws.posts().len(), 0);
        assert_eq!(client.form("chat.postMessage", &post).await.error(), "fatal_error");
        assert_eq!((ws.posts().len(), ws.truth(&channel).len()), (1, 101));
        ws.faults().on("/chat.postMessage").then(Fault::ResetAfter { bytes: 0 });
        let lost = client
            .http
            .post(format!("{}/chat.postMessage", client.base))
            .bearer_auth(&client.token)
            .form(&post);
        assert!(
            lost.send().await.and_then(reqwest::Response::error_for_status).is_err() || ws.posts().len() == 2
        );
        assert_eq!(ws.posts().len(), 2);
        let logged = ws.requests_to("chat.postMessage");
        assert_eq!(logged[1].error.as_deref(), Some("fatal_error"));
        assert_eq!(logged[0].argument("text"), Some("once"));
        ws.shutdown().await;
    });
}
