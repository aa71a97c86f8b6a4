//! Which refresh token is used, of those that the store and the configuration hold.

use connector_sdk::{
    Class, Secret,
    auth::{RefreshToken, TokenSource},
    secret::TokenStore as _,
};

use super::{
    Bench, granted,
    rotation::{rotating, source, used},
};

#[tokio::test]
async fn processes_with_another_configured_token_leave_the_live_one_alone() {
    let answers = ["r-2", "q-2", "r-3", "q-3", "r-4"].map(|next| rotating("t", next));
    let bench = Bench::new(answers).await;
    for configured in ["r-1", "q-1", "r-1", "q-1", "r-1"] {
        source(&bench, configured).token(&bench.cx).await.unwrap();
    }
    assert_eq!(used(&bench), ["r-1", "q-1", "r-2", "q-2", "r-3"], "none of them was sent twice");
}

#[tokio::test]
async fn a_row_of_the_earlier_form_is_read_and_no_other_descent_takes_its_place() {
    let earlier = Bench::new([rotating("t", "r-7")]).await;
    source(&earlier, "r-1").token(&earlier.cx).await.unwrap();
    let row = earlier.store.get("refresh_token").await.unwrap().unwrap();
    let fields: serde_json::Value = serde_json::from_str(row.expose()).unwrap();
    assert_eq!(fields.as_object().unwrap().len(), 2, "the form of the first descent is the earlier one");
    let bench = Bench::new(["q-2", "r-8", "r-9"].map(|next| rotating("t", next))).await;
    bench.store.put("refresh_token", row).await.unwrap();
    for configured in ["q-1", "r-1"] {
        source(&bench, configured).token(&bench.cx).await.unwrap();
    }
    // Nobody has signed in since the configured one was taken out.
    RefreshToken::from_store(bench.endpoint(), "client", None).token(&bench.cx).await.unwrap();
    source(&bench, "r-1").token(&bench.cx).await.unwrap_err();
    assert_eq!(used(&bench), ["q-1", "r-7", "r-8", "r-9"]);
}

#[tokio::test]
async fn a_row_of_a_form_that_is_not_known_is_not_sent_to_the_vendor() {
    let bench = Bench::new([]).await;
    bench.store.put("refresh_token", Secret::from(r#"{"tokens":["canary-7f3a9c"]}"#)).await.unwrap();
    let error = source(&bench, "r-1").token(&bench.cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error}");
    assert!(used(&bench).is_empty() && !format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
}

#[tokio::test]
async fn what_a_host_put_into_the_store_as_it_is_is_followed_by_its_own_successors() {
    let bench = Bench::new(["x-2", "x-3", "y-2"].map(|next| rotating("t", next))).await;
    for put in [Some("x-1"), None, Some("y-1")] {
        if let Some(token) = put {
            bench.store.put("refresh_token", Secret::from(token)).await.unwrap();
        }
        source(&bench, "r-1").token(&bench.cx).await.unwrap();
    }
    assert_eq!(used(&bench), ["x-1", "x-2", "y-1"]);
}

#[tokio::test]
async fn a_refresh_token_that_a_host_put_into_the_store_as_it_is_wins() {
    let bench = Bench::new([granted("t-1", "")]).await;
    bench.store.put("refresh_token", Secret::from("from-login")).await.unwrap();
    source(&bench, "r-1").token(&bench.cx).await.unwrap();
    assert_eq!(used(&bench), ["from-login"]);
}

#[tokio::test]
async fn two_sources_of_one_connection_keep_theirs_under_two_names() {
    let bench = Bench::new([rotating("t-1", "r-2"), rotating("u-1", "q-2")]).await;
    source(&bench, "r-1").token(&bench.cx).await.unwrap();
    source(&bench, "q-1").stored_as("other").token(&bench.cx).await.unwrap();
    assert!(bench.store.get("refresh_token").await.unwrap().unwrap().expose().contains("r-2"));
    assert!(bench.store.get("other").await.unwrap().unwrap().expose().contains("q-2"));
}
