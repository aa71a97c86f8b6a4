//! What is known of the servers of large vendors.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::auth::Vendor;

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Profile {
    /// By the host's name.
    #[default]
    Auto,
    /// Gmail and Google Workspace.
    Gmail,
    /// Microsoft 365 and outlook.com.
    Microsoft,
    /// iCloud.
    Icloud,
    /// Yahoo and AOL.
    Yahoo,
    /// Any other.
    Generic,
}

/// Whose server it is, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Gmail,
    Microsoft,
    Icloud,
    Yahoo,
    Generic,
}

impl Profile {
    /// Whose server it is, by this name where nothing else is said.
    pub(crate) fn known(self, host: &str) -> Known {
        let host = host.to_ascii_lowercase();
        let is = |suffix: &str| {
            host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        match self {
            Self::Gmail => Known::Gmail,
            Self::Microsoft => Known::Microsoft,
            Self::Icloud => Known::Icloud,
            Self::Yahoo => Known::Yahoo,
            Self::Generic => Known::Generic,
            Self::Auto if is("gmail.com") || is("googlemail.com") => Known::Gmail,
            Self::Auto if is("office365.com") || is("outlook.com") || is("office.com") => Known::Microsoft,
            Self::Auto if is("mail.me.com") || is("icloud.com") => Known::Icloud,
            Self::Auto if is("mail.yahoo.com") || is("aol.com") => Known::Yahoo,
            Self::Auto => Known::Generic,
        }
    }
}

impl Known {
    /// Connections that an account may have by default. Gmail allows 15 in all (imapsync#61), and people read their
    /// mail meanwhile.
    pub(crate) fn connections(self) -> u32 {
        4
    }

    /// Whether SASL-IR is used where it is offered.
    pub(crate) fn has_sasl_ir(self) -> bool {
        true
    }

    /// Where tokens are given, and which scopes there are.
    pub(crate) fn oauth(self) -> Option<Vendor> {
        match self {
            // Google, "IMAP, POP, and SMTP": one scope for all of mail.
            Self::Gmail => Some(Vendor {
                token_url: "https://oauth2.googleapis.com/token",
                authorize_url: "https://accounts.google.com/o/oauth2/v2/auth",
                scopes: &["https://mail.google.com/"],
                app_scope: None,
                parameters: &[("access_type", "offline"), ("prompt", "consent")],
            }),
            // Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth".
            Self::Microsoft => Some(Vendor {
                token_url: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
                authorize_url: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
                scopes: &["https://outlook.office.com/IMAP.AccessAsUser.All", "offline_access"],
                app_scope: Some("https://outlook.office365.com/.default"),
                parameters: &[],
            }),
            Self::Icloud | Self::Yahoo | Self::Generic => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_known_by_the_name_of_its_host_unless_it_is_said() {
        for (host, known) in [
            ("imap.gmail.com", Known::Gmail),
            ("IMAP.Googlemail.com", Known::Gmail),
            ("outlook.office365.com", Known::Microsoft),
            ("imap-mail.outlook.com", Known::Microsoft),
            ("imap.mail.me.com", Known::Icloud),
            ("imap.mail.yahoo.com", Known::Yahoo),
            ("imap.notgmail.com", Known::Generic),
            ("gmail.com.evil.example", Known::Generic),
        ] {
            assert_eq!(Profile::Auto.known(host), known, "{host}");
        }
        assert_eq!(Profile::Generic.known("imap.gmail.com"), Known::Generic);
    }
}
