//! What is no configuration of a scheme, and which field says so.

use connector_ingress::scheme::SchemeConfig;
use connector_sdk::Class;
use connector_testkit::webhook::Kind;
use serde_json::{Value, json};

use super::{PRIVATE, PUBLIC, config, secret};

/// The field that an error names: of who is called, and of who calls.
fn fields(settings: Value) -> (Option<String>, Option<String>) {
    let config: SchemeConfig = serde_json::from_value(settings).unwrap();
    let field = |error: connector_sdk::Error| {
        assert_eq!(error.class(), Class::Config);
        let named = error.context().find(|(name, _)| *name == "field").map(|(_, value)| value.to_owned());
        let named = named.unwrap_or_else(|| panic!("{error} names no field"));
        assert!(error.message().contains(&format!("`{named}`")), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        named
    };
    (config.verifier().err().map(field), config.signer().err().map(field))
}

#[track_caller]
fn refused(settings: Value, field: &str) {
    let said = fields(settings.clone());
    assert_eq!(said, (Some(field.to_owned()), Some(field.to_owned())), "{settings}");
}

#[test]
fn a_secret_that_is_none_or_that_anybody_could_guess_is_refused() {
    for kind in Kind::ALL {
        if kind == Kind::None {
            continue;
        }
        let with = |secrets: Value| {
            let mut settings = kind.settings(&[]);
            settings["secrets"] = secrets;
            settings
        };
        refused(with(json!([])), "secrets");
        refused(with(json!([""])), "secrets");
        refused(with(json!(["  "])), "secrets");
        refused(with(json!([kind.secret(), ""])), "secrets");
        refused(with(json!(vec![kind.secret(); 17])), "secrets");
        assert_eq!(fields(with(json!(vec![kind.secret(); 16]))), (None, None));
    }
    for name in ["standard-webhooks", "svix"] {
        let with = |secret: &str| json!({ "scheme": name, "secrets": [secret] });
        for bad in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_canary!",
            "whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            // 23 bytes.
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaQ=",
            "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whpk_",
            "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4A",
            "whsk_6Xb/dCcHpPea",
            // The public key belongs to another seed.
            "whsk_7Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
        ] {
            refused(with(bad), "secrets");
        }
        // Each side has its own key.
        assert_eq!(fields(with(PUBLIC)), (None, Some("secrets".to_owned())));
        assert_eq!(fields(with(PRIVATE)), (Some("secrets".to_owned()), None));
        // Copied without its padding, as the libraries take it, too; and a seed alone.
        assert_eq!(fields(with(PUBLIC.trim_end_matches('='))), (None, Some("secrets".to_owned())));
        let seed = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
        assert_eq!(fields(with(seed)), (Some("secrets".to_owned()), None));
    }
    // Five seeds: each would be tried with each signature, or signed with.
    let many = |prefix: &str, key: &str| {
        let keys: Vec<String> = (0..5).map(|_| format!("{prefix}{key}")).collect();
        json!({ "scheme": "svix", "secrets": keys })
    };
    let seed = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    assert_eq!(fields(many("whsk_", seed)).1.as_deref(), Some("secrets"));
    assert_eq!(fields(many("", PUBLIC)).0.as_deref(), Some("secrets"));
    for bad in ["no-colon", "name:", "name:pass\u{7}word"] {
        refused(json!({ "scheme": "basic", "secrets": [bad] }), "secrets");
    }
    for bad in ["two words", "té", "tab\t"] {
        refused(json!({ "scheme": "bearer", "secrets": [bad] }), "secrets");
    }
    // Who gives a secret believes that it is asked for.
    refused(json!({ "scheme": "none", "secrets": ["canary"] }), "secrets");
}

#[test]
fn what_does_not_fit_the_scheme_is_refused() {
    let base = |more: Value| {
        let mut settings = json!({ "scheme": "github", "secrets": ["s"] });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    refused(base(json!({ "tolerance": "5m" })), "tolerance");
    refused(base(json!({ "id_header": "X-Id" })), "id_header");
    refused(base(json!({ "hmac": { "header": "X-Signature" } })), "hmac");
    refused(base(json!({ "scheme": "hmac" })), "hmac");
    refused(base(json!({ "scheme": "slack", "tolerance": "0s" })), "tolerance");
    refused(base(json!({ "scheme": "slack", "tolerance": "25h" })), "tolerance");
    refused(base(json!({ "scheme": "bearer", "id_header": "no header" })), "id_header");
    refused(base(json!({ "scheme": "bearer", "id_header": "Content-Length" })), "id_header");
    assert_eq!(fields(base(json!({ "scheme": "slack", "tolerance": "1d" }))), (None, None));
}

#[test]
fn case_83_a_tolerance_that_is_no_length_of_time_is_none() {
    for bad in [
        json!("NaN"),
        json!(""),
        json!("five minutes"),
        json!("-5m"),
        json!(300),
        json!(300.0),
        json!("1e9s"),
    ] {
        let settings = json!({ "scheme": "slack", "secrets": ["s"], "tolerance": bad });
        assert!(serde_json::from_value::<SchemeConfig>(settings).is_err(), "{bad}");
    }
    refused(json!({ "scheme": "slack", "secrets": ["s"], "tolerance": "9999999d" }), "tolerance");
}

#[test]
fn an_hmac_that_proves_less_than_it_seems_to_is_refused() {
    let with = |hmac: Value| {
        let mut all = json!({ "header": "X-Signature" });
        all.as_object_mut().unwrap().extend(hmac.as_object().unwrap().clone());
        json!({ "scheme": "hmac", "secrets": ["s"], "id_header": "X-Id", "hmac": all })
    };
    for (hmac, field) in [
        (json!({ "header": "" }), "hmac.header"),
        (json!({ "header": "no header" }), "hmac.header"),
        (json!({ "header": "Host" }), "hmac.header"),
        (json!({ "header": "x-id" }), "hmac.header"),
        (json!({ "prefix": "sha256= " }), "hmac.prefix"),
        (json!({ "prefix": "é" }), "hmac.prefix"),
        (json!({ "signed": "" }), "hmac.signed"),
        (json!({ "signed": "{timestamp}", "timestamp_header": "X-Time" }), "hmac.signed"),
        (json!({ "signed": "{body}{body}" }), "hmac.signed"),
        (json!({ "signed": "{body" }), "hmac.signed"),
        (json!({ "signed": "body}" }), "hmac.signed"),
        (json!({ "signed": "{url}{body}" }), "hmac.signed"),
        (json!({ "signed": "{{body}}" }), "hmac.signed"),
        (json!({ "signed": "{id}{body}" }), "hmac.signed"),
        (json!({ "signed": "{timestamp}{id}.{body}", "timestamp_header": "X-Time" }), "hmac.signed"),
        (json!({ "signed": "{timestamp}.{body}" }), "hmac.timestamp_header"),
        (json!({ "timestamp_header": "X-Time" }), "hmac.timestamp_header"),
        (json!({ "signed": "{timestamp}.{body}", "timestamp_header": "X Time" }), "hmac.timestamp_header"),
        (json!({ "signed": "{timestamp}.{body}", "timestamp_header": "X-Signature" }), "hmac.header"),
    ] {
        refused(with(hmac), field);
    }
    let mut without = with(json!({ "signed": "{id}.{body}" }));
    without.as_object_mut().unwrap().remove("id_header");
    refused(without, "id_header");
    let fits = json!({ "signed": "a{timestamp}{body}.{id}", "timestamp_header": "X-Time", "hash": "sha512" });
    assert_eq!(fields(with(fits)), (None, None));
    for unknown in [json!({ "hash": "sha1" }), json!({ "encoding": "binary" }), json!({ "more": 1 })] {
        assert!(serde_json::from_value::<SchemeConfig>(with(unknown)).is_err());
    }
}

#[test]
fn a_scheme_shows_no_secret() {
    for kind in Kind::ALL {
        let secrets: &[&str] = match kind {
            Kind::StandardWebhooks | Kind::Svix => &[kind.secret(), "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"],
            Kind::Basic => &["name:canary"],
            Kind::None => &[],
            _ => &["canary"],
        };
        let config = config(kind, secrets);
        let shown = format!("{config:?} {:?} {:?}", config.verifier().unwrap(), config.signer().unwrap());
        for part in ["canary", "Y2FuYXJ5", "MfKQ9r8G", "99, 97, 110"] {
            assert!(!shown.contains(part), "{kind:?}: {shown}");
        }
    }
    let mut asymmetric = config(Kind::Svix, &[]);
    asymmetric.secrets = vec![secret(PRIVATE)];
    let shown = format!("{:?}", asymmetric.signer().unwrap());
    assert!(!shown.contains("6Xb/") && !shown.contains("233, 118"), "{shown}");
}
