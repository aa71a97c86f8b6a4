//! Who the token is, and where (`spec_auth.test.json`, `ruby_auth_test_success_exchange.json`).

use serde_json::json;

use super::gate::Call;
use super::log::TokenKind;
use super::reply::{Outcome, ok};
use super::workspace::{BOT, ENTERPRISE, TEAM};

pub(super) fn test(call: &Call<'_>) -> Outcome {
    let data = call.workspace.data();
    let mut answer = json!({
        "url": "https://acme.slack.com/", "team": "Slack Softball Team", "user": "connector", "team_id": TEAM,
        "user_id": call.user(&data), "is_enterprise_install": data.grid,
    });
    if call.kind == TokenKind::Bot {
        answer["bot_id"] = json!(BOT);
    }
    if data.grid {
        // An organisation's token belongs to no workspace; what stands in its place is not recorded.
        answer["enterprise_id"] = json!(ENTERPRISE);
        answer["team"] = json!("Acme Org");
        answer["team_id"] = json!(ENTERPRISE);
    }
    ok(answer)
}

/// team.info: no example is among the fixtures; the common fields.
pub(super) fn team(call: &Call<'_>) -> Outcome {
    let enterprise = call.workspace.data().grid.then_some(ENTERPRISE);
    ok(json!({
        "team": {
            "id": TEAM, "name": "Slack Softball Team", "domain": "acme", "email_domain": "acme.example",
            "icon": { "image_default": true }, "enterprise_id": enterprise,
        },
    }))
}
