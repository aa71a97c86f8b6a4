//! Being let in: over TLS, with a password and with a token, and not at all.

use std::time::Duration;

use connector_sdk::{Class, contract::ActionStatus};
use connector_testkit::{
    fault::Flaw,
    mail::{Postfix, Script, ScriptedServer},
    vendor::{
        Vendor,
        axum::{Json, Router, routing::post},
    },
};
use serde_json::{Value, json};

use super::host::{
    FILED, FROM, config, connect, context, greeting, mail, scripted, secure, send_once, servers, trusting,
    within,
};

#[test]
fn it_signs_in_over_tls_from_the_first_byte_and_after_starttls() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        let cx = trusting(postfix.authority_file());
        let token = dovecot.token(FROM, Duration::from_secs(3600)).unwrap();
        for (tls, address) in
            [("implicit", postfix.tls_address()), ("starttls", postfix.submission_address())]
        {
            let mut bearer = secure(address, tls);
            bearer["auth"] = json!({ "oauthbearer": { "username": FROM, "access_token": token } });
            let mut google = secure(address, tls);
            google["auth"] = json!({ "xoauth2": { "username": FROM, "access_token": token } });
            for config in [secure(address, tls), bearer, google] {
                let connector = connect(&config, &cx).unwrap();
                let identity = connector.authenticate(&cx).await.unwrap();
                assert_eq!(
                    (identity.subject.as_str(), identity.account.as_deref()),
                    (FROM, Some("localhost"))
                );
                let outcome = send_once(&config, &cx, mail(json!(FILED))).await.unwrap();
                assert_eq!(outcome.status, ActionStatus::Succeeded);
            }
        }
        assert_eq!(postfix.maildir_of(6).await.unwrap().len(), 6);
        assert!(postfix.asked().iter().all(|asked| asked.user == FROM));
        assert!(postfix.log().contains("sasl_method=SCRAM-SHA-256"), "the best that is offered");
    });
}

#[test]
fn a_wrong_password_is_class_auth_at_once_and_shown_nowhere() {
    within(async {
        let Some((_dovecot, postfix)) = servers().await else { return };
        let cx = trusting(postfix.authority_file());
        let mut config = secure(postfix.tls_address(), "implicit");
        config["auth"]["password"]["password"] = json!("canary-7f3a9c");
        let error = connect(&config, &cx).unwrap().authenticate(&cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Auth, "{error:?}");
        assert!(!format!("{error:?} {:?}", connect(&config, &cx).unwrap().actions()).contains("canary"));
        let outcome = send_once(&config, &cx, mail(json!(FILED))).await.unwrap_err();
        assert_eq!(outcome.class(), Class::Auth);
        let mut config = secure(postfix.tls_address(), "implicit");
        config.as_object_mut().unwrap().remove("auth");
        let outcome = send_once(&config, &cx, mail(json!("x@elsewhere.test"))).await.unwrap();
        assert_eq!(outcome.status, ActionStatus::Failed, "who does not sign in does not relay");
        let error = send_once(&config_in_clear(&postfix), &cx, mail(json!(FILED))).await.unwrap();
        assert_eq!(error.output["recipients"][0]["class"], "Config", "{:?}", error.output);
    });
}

/// The port where TLS is required, in the clear.
fn config_in_clear(postfix: &Postfix) -> Value {
    config(postfix.submission_address())
}

#[test]
fn a_certificate_that_nobody_should_trust_ends_it_before_a_word_was_said() {
    within(async {
        let Some((dovecot, _)) = servers().await else { return };
        for flaw in [Flaw::Expired, Flaw::OtherHost, Flaw::UnknownAuthority, Flaw::SelfSigned] {
            let postfix = Postfix::builder().certificate(flaw).start(&dovecot).await.unwrap().unwrap();
            let cx = trusting(postfix.authority_file());
            for (tls, address) in
                [("implicit", postfix.tls_address()), ("starttls", postfix.submission_address())]
            {
                let error = send_once(&secure(address, tls), &cx, mail(json!(FILED))).await.unwrap_err();
                assert_eq!(error.class(), Class::Config, "{flaw:?} {tls}: {error:?}");
            }
            assert!(!postfix.log().contains("sasl_method"));
        }
    });
}

#[test]
fn starttls_that_was_chosen_is_not_given_up_and_what_is_said_before_it_is_not_believed() {
    within(async {
        let cx = context();
        let with = |server: &ScriptedServer| secure(server.address(), "starttls");
        let stripped = scripted(greeting(&["AUTH PLAIN LOGIN"]).stall()).await;
        let error = send_once(&with(&stripped), &cx, mail(json!(FILED))).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(!stripped.heard()[0].contains("AUTH"), "{:?}", stripped.heard());
        let injected =
            greeting(&["STARTTLS"]).hear("STARTTLS").say_bytes("220 go on\r\n250 AUTH PLAIN\r\n").stall();
        let injected = scripted(injected).await;
        let error = send_once(&with(&injected), &cx, mail(json!(FILED))).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(error.message().contains("somebody may stand between"), "{error}");
        let refused =
            scripted(greeting(&["STARTTLS"]).hear("STARTTLS").say("454 4.7.0 not now").hear("QUIT")).await;
        let error = send_once(&with(&refused), &cx, mail(json!(FILED))).await.unwrap();
        assert_eq!(error.output["recipients"][0]["class"], "Transient");
    });
}

#[test]
fn what_was_offered_before_tls_is_forgotten() {
    within(async {
        let script =
            greeting(&["STARTTLS", "AUTH PLAIN", "SMTPUTF8"]).hear("STARTTLS").say("220 go on").start_tls();
        let script = script
            .hear("EHLO")
            .say("250-mx.test")
            .say("250 AUTH LOGIN")
            .hear("AUTH LOGIN")
            .say("334 VXNlcm5hbWU6");
        let script = script
            .hear("c2VuZGVyQGV4YW1wbGUudGVzdA==")
            .say("334 UGFzc3dvcmQ6")
            .hear("cGFzcw==")
            .say("235 in");
        let server = scripted(script.hear("QUIT").say("221 bye")).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, server.authority_pem()).unwrap();
        let cx = trusting(file);
        connect(&secure(server.address(), "starttls"), &cx).unwrap().authenticate(&cx).await.unwrap();
        assert!(server.wrong().is_empty(), "{:?}", server.wrong());
    });
}

#[test]
fn a_token_that_has_ended_is_renewed_once_and_one_that_is_never_taken_is_class_auth() {
    within(async {
        let Some((dovecot, postfix)) = servers().await else { return };
        let tokens =
            [dovecot.expired_token(FROM).unwrap(), dovecot.token(FROM, Duration::from_secs(3600)).unwrap()];
        for (tokens, is_good) in [(tokens.to_vec(), true), (vec![tokens[0].clone(); 9], false)] {
            let given = std::sync::Arc::new(std::sync::Mutex::new(tokens.into_iter()));
            let route = post(async move || {
                let token = given.lock().unwrap().next().unwrap();
                Json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }))
            });
            let vendor = Vendor::serve(Router::new().route("/token", route)).await.unwrap();
            let mut config = secure(postfix.tls_address(), "implicit");
            config["auth"] = json!({ "xoauth2": { "username": FROM, "oauth": {
                "client_id": "id", "client_secret": "canary-secret", "refresh_token": "canary-refresh",
                "token_url": format!("{}/token", vendor.url()),
            } } });
            let cx = trusting(postfix.authority_file());
            let outcome = send_once(&config, &cx, mail(json!(FILED))).await;
            match outcome {
                Ok(outcome) => {
                    assert!(is_good && outcome.status == ActionStatus::Succeeded, "{:?}", outcome.output)
                }
                Err(error) => {
                    assert!(!is_good && error.class() == Class::Auth, "{error:?}");
                    let shown = format!("{error:?}");
                    assert!(shown.contains("token_refused") && !shown.contains("canary"), "{shown}");
                }
            }
            assert_eq!(vendor.requests(), 2, "a token, and its successor");
        }
    });
}

#[test]
fn a_server_that_says_a_secret_back_is_not_quoted() {
    within(async {
        let cx = context();
        let secret = "canary-\"7f3a9c";
        let plain = "AHNlbmRlckBleGFtcGxlLnRlc3QAY2FuYXJ5LSI3ZjNhOWM=";
        for said in [
            format!("535 5.7.8 bad password {secret}"),
            format!("535 5.7.8 AUTH PLAIN {plain} refused"),
            format!("454 4.7.0 backend lost {plain}"),
        ] {
            let script = greeting(&["AUTH PLAIN"]).hear("AUTH PLAIN").say(&said).hear("QUIT");
            let server = scripted(script).await;
            let mut config = config(server.address());
            config["auth"] = json!({ "password": { "username": FROM, "password": secret } });
            let shown = match send_once(&config, &cx, mail(json!(FILED))).await {
                Ok(outcome) => format!("{outcome:?}"),
                Err(error) => format!("{error:?} {}", serde_json::to_string(&error).unwrap()),
            };
            assert!(!shown.contains("canary") && !shown.contains(&plain[4..20]), "{shown}");
            assert!(shown.contains("[secret]"), "{shown}");
            assert!(server.heard()[0].contains(plain));
        }
        // And after it has let us in.
        let script = greeting(&["AUTH PLAIN"])
            .hear("AUTH")
            .say("235 ok")
            .hear("MAIL")
            .say(&format!("550 5.1.8 {secret}"));
        let server = scripted(Script::hear(script, "QUIT")).await;
        let mut config = config(server.address());
        config["auth"] = json!({ "password": { "username": FROM, "password": secret } });
        let outcome = send_once(&config, &cx, mail(json!(FILED))).await.unwrap();
        assert!(!format!("{outcome:?}").contains("canary"), "{outcome:?}");
    });
}

#[test]
fn a_server_that_cannot_prove_that_it_knows_the_password_gets_no_mail() {
    within(async {
        // It takes whatever it is told.
        let script = greeting(&["AUTH SCRAM-SHA-256"]).hear("AUTH SCRAM-SHA-256").say("235 welcome").stall();
        let server = scripted(script).await;
        let mut config = config(server.address());
        config["auth"] = json!({ "password": { "username": FROM, "password": "pass" } });
        let error = send_once(&config, &context(), mail(json!(FILED))).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert!(!server.heard()[0].contains("MAIL"));
    });
}
