//! The README: each set-up in it is a connection.

use connector_host::template::{Template, Variables};
use connector_sdk::Context;

/// A secret that every scheme of the README takes.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The text with this in the place of each variable.
fn filled(text: &str) -> String {
    let mut pieces = text.split("${");
    let mut filled = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (_, rest) = piece.split_once('}').unwrap();
        filled.push_str(SECRET);
        filled.push_str(rest);
    }
    filled
}

#[tokio::test]
async fn each_set_up_of_the_readme_is_a_connection() {
    let readme = include_str!("../../README.md");
    let mut names = Vec::new();
    for block in readme.split("```yaml\n").skip(1) {
        let text = filled(block.split("```").next().unwrap());
        let template = Template::parse("README.yaml", &text).unwrap();
        let variables = Variables::new(|_| None);
        let settings = template.settings::<serde_json::Value>(&variables).await.unwrap();
        let cx = Context::builder("acme", settings.connection.as_str()).build();
        let made = template.connect(&connector_webhook::receiver(), &cx, &variables).await;
        made.unwrap_or_else(|error| panic!("{}: {error}", settings.connection.as_str()));
        names.push(settings.connection.as_str().to_owned());
    }
    for vendor in ["github", "stripe", "slack", "shopify", "standard"] {
        assert!(names.contains(&format!("acme-{vendor}")), "{names:?}");
    }
}
