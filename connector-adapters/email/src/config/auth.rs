//! The ways to sign in to a mail server.

use connector_sdk::{Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::wrong;

/// How to sign in; exactly one of these.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Auth {
    /// With a password: SCRAM-SHA-256 where the server offers it, else PLAIN, else LOGIN.
    Password(PasswordAuth),
    /// With an OAuth access token, as Google and Microsoft want it (SASL XOAUTH2).
    Xoauth2(TokenAuth),
    /// With an OAuth access token, as RFC 7628 has it (SASL OAUTHBEARER).
    Oauthbearer(TokenAuth),
}

/// A user and a password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordAuth {
    /// The user; mostly the address.
    pub username: String,
    /// The password. Gmail, iCloud and Yahoo want one that was made for this app.
    pub password: Secret,
}

/// A user and an OAuth access token, or how to obtain one; exactly one of the two.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenAuth {
    /// The user; mostly the address.
    pub username: String,
    /// A token that somebody else obtained. It ends, mostly within an hour.
    pub access_token: Option<Secret>,
    /// How tokens are obtained, and renewed while a run goes on.
    pub oauth: Option<Oauth>,
}

/// How access tokens are obtained.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oauth {
    /// The app's client id.
    pub client_id: String,
    /// The app's client secret; a public client has none.
    pub client_secret: Option<Secret>,
    /// The first refresh token. Its successors are kept by the host. Without it the one that `connector login` has
    /// kept is used.
    pub refresh_token: Option<Secret>,
    /// As whom the app signs in. Default `refresh_token`.
    #[serde(default)]
    pub grant: Grant,
    /// Where tokens are given. Default: Google's with profile `gmail`, Microsoft's with `microsoft`.
    pub token_url: Option<String>,
    /// Where a person allows the app. Default as that of `token_url`.
    pub authorize_url: Option<String>,
    /// The scopes that are asked for. Default: those that the profile's vendor has for mail.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// As whom an app signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// As a person who has allowed it.
    #[default]
    RefreshToken,
    /// As itself: Microsoft 365, for mailboxes that an administrator has opened to the app.
    ClientCredentials,
}

impl Auth {
    /// The user.
    pub(crate) fn username(&self) -> &str {
        match self {
            Self::Password(auth) => &auth.username,
            Self::Xoauth2(auth) | Self::Oauthbearer(auth) => &auth.username,
        }
    }

    /// Checks every field that can be checked without asking anybody.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(crate) fn check(&self) -> Result<()> {
        let user = self.username();
        if user.trim().is_empty() || user.chars().any(char::is_control) {
            return Err(wrong("auth.username", "is empty, or holds control characters"));
        }
        match self {
            Self::Password(auth) => usable("auth.password.password", &auth.password),
            Self::Xoauth2(auth) | Self::Oauthbearer(auth) => auth.check(),
        }
    }
}

impl TokenAuth {
    fn check(&self) -> Result<()> {
        match (&self.access_token, &self.oauth) {
            (Some(token), None) => usable("auth.access_token", token),
            (None, Some(oauth)) => oauth.check(),
            _ => Err(wrong("auth", "needs either `access_token` or `oauth`")),
        }
    }
}

impl Oauth {
    fn check(&self) -> Result<()> {
        if self.client_id.trim().is_empty() {
            return Err(wrong("auth.oauth.client_id", "is empty"));
        }
        for (field, secret) in [
            ("auth.oauth.client_secret", &self.client_secret),
            ("auth.oauth.refresh_token", &self.refresh_token),
        ] {
            secret.as_ref().map_or(Ok(()), |secret| usable(field, secret))?;
        }
        if self.grant == Grant::ClientCredentials && self.client_secret.is_none() {
            return Err(wrong("auth.oauth.client_secret", "is needed with `grant: client_credentials`"));
        }
        for (field, text) in
            [("auth.oauth.token_url", &self.token_url), ("auth.oauth.authorize_url", &self.authorize_url)]
        {
            if text.as_ref().is_some_and(|text| Url::parse(text).is_err()) {
                return Err(wrong(field, "is no URL"));
            }
        }
        Ok(())
    }
}

/// NUL ends the user or the password in SASL PLAIN (RFC 4616, 2), and line breaks end a command.
fn usable(field: &'static str, secret: &Secret) -> Result<()> {
    let text = secret.expose();
    if text.is_empty() || text.contains(['\0', '\r', '\n']) {
        return Err(wrong(field, "is empty, or holds line breaks or NUL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<()> {
        serde_json::from_str::<Auth>(json).expect("parses").check()
    }

    #[test]
    fn each_value_that_does_not_fit_is_named_and_no_secret_is_shown() {
        for (json, field) in [
            (r#"{"password": {"username": "", "password": "canary"}}"#, "auth.username"),
            (r#"{"password": {"username": "u", "password": "canary\n"}}"#, "auth.password.password"),
            (r#"{"xoauth2": {"username": "u"}}"#, "`auth`"),
            (
                r#"{"xoauth2": {"username": "u", "access_token": "canary", "oauth": {"client_id": "i"}}}"#,
                "`auth`",
            ),
            (r#"{"oauthbearer": {"username": "u", "oauth": {"client_id": " "}}}"#, "auth.oauth.client_id"),
            (
                r#"{"xoauth2": {"username": "u", "oauth": {"client_id": "i", "grant": "client_credentials"}}}"#,
                "auth.oauth.client_secret",
            ),
            (r#"{"xoauth2": {"username": "u", "oauth": {"client_id": "i", "token_url": "x"}}}"#, "token_url"),
        ] {
            let error = check(json).unwrap_err();
            assert_eq!(error.class(), connector_sdk::Class::Config);
            assert!(error.message().contains(field), "{json}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        assert!(check(r#"{"password": {"username": "u", "password": "a\"\\ü"}}"#).is_ok());
    }
}
