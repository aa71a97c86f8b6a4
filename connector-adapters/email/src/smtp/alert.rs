//! A mail that tells people of something: subject and body are made of fields.
//!
//! Each field is text, whatever it holds: in the HTML it is escaped, in the subject it is one line.

use std::fmt::Write as _;

use connector_sdk::Result;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    address::{AddressList, AddressText},
    input::{Header, Send, wrong},
};

/// Input of `alert`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alert {
    /// Who is told.
    pub(crate) to: AddressList,
    /// Who gets a copy.
    #[serde(default)]
    pub(crate) cc: AddressList,
    /// Who it is from. Default: the connection's `from`.
    #[serde(default)]
    pub(crate) from: Option<AddressText>,
    /// How bad it is. Default `warning`.
    #[serde(default)]
    pub(crate) severity: Severity,
    /// What has happened, in a line: the subject.
    pub(crate) title: String,
    /// The same in more words.
    #[serde(default)]
    pub(crate) summary: Option<String>,
    /// What there is to know, in order.
    #[serde(default)]
    pub(crate) fields: Vec<Field>,
    /// Where to look: an `https` or `http` URL.
    #[serde(default)]
    pub(crate) link: Option<String>,
    /// The Message-ID of the alert that this one follows.
    #[serde(default)]
    pub(crate) in_reply_to: Option<String>,
}

/// A fact of an alert.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    /// What it is.
    pub(crate) name: String,
    /// Its value, in as many lines as it takes.
    pub(crate) value: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// For the record.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody has to look.
    Error,
    /// Somebody has to look now.
    Critical,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Info => "#2b6cb0",
            Self::Warning => "#b7791f",
            Self::Error | Self::Critical => "#c53030",
        }
    }
}

impl Alert {
    /// The mail.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(crate) fn compose(self) -> Result<Send> {
        if self.title.trim().is_empty() {
            return Err(wrong("title", "is empty"));
        }
        if let Some(link) = &self.link {
            let is_web = url::Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
            if !is_web {
                return Err(wrong("link", "is no `https` or `http` URL"));
            }
        }
        // What comes from a log has line breaks and colours, and a subject has none.
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        let title = self.title.split(is_blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let headers = [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")];
        let important = matches!(self.severity, Severity::Error | Severity::Critical);
        let headers = headers.into_iter().chain(important.then_some(("Importance", "high")));
        let header = |(name, value): (&str, &str)| Header { name: name.to_owned(), value: value.to_owned() };
        Ok(Send {
            subject: format!("[{}] {title}", self.severity.word()),
            text: Some(self.text(&title)),
            html: Some(self.html(&title)),
            headers: headers.map(header).collect(),
            from: self.from,
            to: self.to,
            cc: self.cc,
            in_reply_to: self.in_reply_to.clone(),
            references: self.in_reply_to.into_iter().collect(),
            ..Send::default()
        })
    }

    fn text(&self, title: &str) -> String {
        let mut out = format!("{}: {title}\n", self.severity.word());
        if let Some(summary) = &self.summary {
            let _ = write!(out, "\n{summary}\n");
        }
        if !self.fields.is_empty() {
            out.push('\n');
        }
        for Field { name, value } in &self.fields {
            let _ = writeln!(out, "{name}: {}", value.trim().replace('\n', "\n    "));
        }
        if let Some(link) = &self.link {
            let _ = write!(out, "\n{link}\n");
        }
        out
    }

    fn html(&self, title: &str) -> String {
        let mut out = format!(
            "<!doctype html>\n<html><body style=\"font-family:sans-serif\">\n<h2 style=\"color:{}\">{}: {}</h2>\n",
            self.severity.colour(),
            self.severity.word(),
            escaped(title)
        );
        if let Some(summary) = &self.summary {
            let _ = writeln!(out, "<p>{}</p>", escaped(summary).replace('\n', "<br>\n"));
        }
        if !self.fields.is_empty() {
            out.push_str("<table cellpadding=\"4\">\n");
            for Field { name, value } in &self.fields {
                let value = escaped(value.trim()).replace('\n', "<br>\n");
                let _ = writeln!(
                    out,
                    "<tr><th align=\"left\" valign=\"top\">{}</th><td>{value}</td></tr>",
                    escaped(name)
                );
            }
            out.push_str("</table>\n");
        }
        if let Some(link) = &self.link {
            let link = escaped(link);
            let _ = writeln!(out, "<p><a href=\"{link}\">{link}</a></p>");
        }
        out.push_str("</body></html>\n");
        out
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alert(value: serde_json::Value) -> Result<Send> {
        serde_json::from_value::<Alert>(value).expect("parses").compose()
    }

    #[test]
    fn what_is_in_a_field_is_text_and_stays_text() {
        let mail = alert(json!({
            "to": "ops@example.com", "severity": "critical", "title": "\u{1b}[31mSync\r\nof \"acme\" failed\0",
            "summary": "<script>alert(1)</script>", "link": "https://example.com/?a=1&b=\"2",
            "fields": [{ "name": "<b>", "value": "one\ntwo & three" }],
        }))
        .unwrap();
        assert_eq!(mail.subject, "[CRITICAL] [31mSync of \"acme\" failed");
        let html = mail.html.unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>") && html.contains("&lt;b&gt;"), "{html}");
        assert!(
            html.contains("one<br>\ntwo &amp; three")
                && html.contains("href=\"https://example.com/?a=1&amp;b=&quot;2\"")
        );
        assert!(mail.text.unwrap().contains("<b>: one\n    two & three\n"));
        assert!(mail.headers.iter().any(|header| header.name == "Importance"));
    }

    #[test]
    fn an_alert_says_something_and_links_only_to_the_web() {
        for (field, value) in
            [("title", json!(" ")), ("link", json!("javascript:alert(1)")), ("link", json!("x"))]
        {
            let mut input = json!({ "to": "ops@example.com", "title": "t" });
            input[field] = value;
            assert!(alert(input).unwrap_err().message().contains(field));
        }
    }
}
