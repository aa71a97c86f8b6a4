//! To which hosts a client may send requests, and with them its credentials.

use url::Url;

use crate::{Error, Result};

/// The hosts that a connection names.
///
/// ```
/// use connector_sdk::http::{Hosts, Url};
/// let mut hosts = Hosts::default();
/// hosts.allow("*.example.com").unwrap();
/// let holds = |url: &str| hosts.holds(&url.parse::<Url>().unwrap());
/// assert!(holds("https://acme.example.com/path"));
/// assert!(!holds("https://example.com/") && !holds("https://acme.example.com.evil.net/"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    origins: Vec<Url>,
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    /// `*.suffix`, kept as `.suffix`: hosts below it, not itself.
    Below(String),
}

impl Hosts {
    /// Lets requests go to the origin of this URL.
    pub fn allow_origin(&mut self, url: Url) {
        self.origins.push(url);
    }

    /// Lets requests go to a host, or to all below `*.suffix`, on any port.
    ///
    /// # Errors
    /// Config when it is neither.
    pub fn allow(&mut self, pattern: &str) -> Result<()> {
        let lower = pattern.trim().to_ascii_lowercase();
        let (name, below) = lower.strip_prefix("*.").map_or((lower.as_str(), false), |name| (name, true));
        // What the URL parser makes of it is what it will be compared with (IDNA, IPv6, numbers).
        let parsed = Url::parse(&format!("https://{name}/"))
            .ok()
            .filter(|url| url.port().is_none() && url.path() == "/" && url.username().is_empty())
            .and_then(|url| url.host_str().map(str::to_owned))
            .filter(|host| !host.contains('*') && (!below || host.contains('.')))
            .ok_or_else(|| {
                Error::config(
                    "connect",
                    format!("`{pattern}` is no host such as api.example.com or *.example.com"),
                )
            })?;
        self.patterns.push(if below { Pattern::Below(format!(".{parsed}")) } else { Pattern::Exact(parsed) });
        Ok(())
    }

    /// Whether no host is named at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty() && self.patterns.is_empty()
    }

    /// Whether a request may go there.
    #[must_use]
    pub fn holds(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        self.origins.iter().any(|allowed| allowed.origin() == url.origin())
            || self.patterns.iter().any(|pattern| match pattern {
                Pattern::Exact(name) => name == host,
                Pattern::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            })
    }
}
