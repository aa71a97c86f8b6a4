//! No error shows what a variable brought.

use super::*;

#[tokio::test]
async fn no_error_shows_what_a_variable_brought() {
    let env = environment(&[("V", "hunter2"), ("CONNECTOR_SECRET_V", "hunter2"), ("KEY", "a\nhunter2 b")]);
    let own = |section: &str| format!("connector: a/b\ntenant: t\nname: n\n{section}\n");
    let sections = [
        // A store's section, where a secret stands in the place of what chooses.
        "secrets: \"${env:V}\"",
        "secrets: [\"${env:V}\"]",
        "secrets: [{ vault: \"${env:V}\" }]",
        "secrets: [{ vault: { address: \"${env:V}\", auth: { token: t } } }]",
        "secrets: [{ vault: { address: \"https://v.example\", auth: \"${env:V}\" } }]",
        "secrets: [{ vault: { address: \"https://v.example\", auth: { approle: \"${env:V}\" } } }]",
        "secrets: [{ vault: { address: \"https://v.example\", mount: \"../${env:V}\", auth: { token: t } } }]",
        "secrets: [{ vault: { address: \"https://v.example\", auth: { token: t }, network: { allow: [\"${env:V}\"] } } }]",
        "resilience: \"${env:V}\"",
        "resilience: { timeout: \"${env:V}\", max_body: \"${env:V}\" }",
        "resilience: { rate: \"${secret:V}\" }",
        "network: { allow: [\"${secret:V}\"] }",
        "network: { allow_http: \"${env:V}\" }",
        "streams: [\"${env:V}\"]",
        "streams: [{ name: a, mode: \"${env:V}\" }]",
        "streams: [{ name: a, since: \"${env:V}\" }]",
        "streams: [{ name: a, since: \"2026-13-01T00:00:00Z${env:V}\" }]",
        "streams: [{ name: a, on_drift: \"${env:V}\" }]",
        "streams: [{ name: \"${env:V}\" }, { name: \"${env:V}\" }]",
        "streams: [{ name: \"${env:KEY}\" }, { name: \"${env:KEY}\" }]",
        "bronze: \"${env:V}\"",
        "bronze: { path: x, commit: { bytes: \"${env:V}\", interval: \"${env:V}\" } }",
    ];
    for section in sections {
        let template =
            Template::parse("t.yaml", &own(&format!("{section}\nregistry: \"${{env:V}}\""))).unwrap();
        let failed = template.settings::<Sink>(&env).await.map(drop);
        let error = failed.expect_err(section);
        let mut shown = format!("{error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            shown.push_str(&format!("{cause:?}"));
            source = cause.source();
        }
        assert!(error.class() == Class::Config && !shown.contains("hunter2"), "{section}: {shown}");
        assert!(shown.contains("t.yaml:4"), "{section}: {shown}");
        if section.starts_with("secrets") {
            assert!(!format!("{:?}", template.secrets(&env).await.expect_err(section)).contains("hunter2"));
        }
    }
    // A connector that repeats what it was given.
    let config = with("  base_url: \"ftp://${env:V}\"\n  auth: { session: { access_token: hunter2 } }\n");
    let error = connect(&config, &env).await.map(drop).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    // Too short to be looked for, and not repeated all the same.
    let short = own("streams: [{ name: a, since: \"${env:SHORT}\" }]");
    let since = settings(&short, &environment(&[("SHORT", "x9")])).await.map(drop).unwrap_err();
    assert!(!since.to_string().contains("x9"), "{since}");
    #[cfg(not(feature = "keyring"))]
    assert_refused(
        settings(&own("secrets: [{ keyring: { service: \"${env:V}\" } }]\nregistry: \"${secret:V}\""), &env)
            .await,
        &["built without the keyring"],
    );
    // What stands in the template itself is told.
    let literal = own("streams: [{ name: a, since: 2026-13-01 }]");
    assert_refused(settings(&literal, &env).await, &["t.yaml:4:"]);
}
