//! Lists of the workspace and of its channels, against the truth.

use std::collections::BTreeMap;

use connector_sdk::Operation;
use connector_testkit::slack::{ChannelKind, FakeWorkspace};
use serde_json::{Value, json};

use super::host::{Host, config, small, start, with, within};

fn by_id(rows: Vec<Value>) -> BTreeMap<String, Value> {
    rows.into_iter().map(|row| (json!({ "id": row["id"] }).to_string(), row)).collect()
}

#[test]
fn users_usergroups_and_channels_are_as_the_vendor_has_them() {
    within(async {
        let ws = start(small().users(47).usergroups(3)).await;
        let config = config(&ws);
        for (stream, truth) in [
            ("users", ws.users_truth()),
            ("usergroups", ws.usergroups_truth()),
            ("channels", ws.channels_truth(ChannelKind::Public)),
        ] {
            let mut host = Host::new(&config, stream).await;
            host.run().await.clean();
            host.assert_is(&by_id(truth));
            assert!(host.bronze.iter().all(|row| row.operation == Operation::Snapshot));
        }
    });
}

#[test]
fn the_kinds_of_channels_are_those_that_are_configured() {
    within(async {
        let builder = FakeWorkspace::builder().channels(2).private_channels(1).direct(1, 1).messages(5);
        let ws = start(builder).await;
        let kinds = json!(["public_channel", "private_channel", "im", "mpim"]);
        let mut host = Host::new(&with(config(&ws), "channel_types", kinds), "messages").await;
        host.run().await.clean();
        let partitions: std::collections::BTreeSet<_> =
            host.bronze.iter().map(|row| row.partition.clone()).collect();
        assert_eq!(partitions.len(), 5);
        let mut host = Host::new(&config(&ws), "channels").await;
        host.run().await.clean();
        assert_eq!(host.bronze.len(), 2);
    });
}

#[test]
fn members_are_rows_of_two_ids() {
    within(async {
        let ws = start(small().users(30)).await;
        let mut host = Host::new(&config(&ws), "members").await;
        host.run().await.clean();
        let truth = ws.channels(ChannelKind::Public).into_iter().flat_map(|channel| {
            ws.members_truth(&channel)
                .into_iter()
                .map(move |user| json!({ "channel": channel, "user": user }))
        });
        host.assert_is(&truth.map(|row| (row.to_string(), row)).collect());
    });
}

#[test]
fn all_files_are_read_by_numbered_pages() {
    within(async {
        let ws = start(small().files(53)).await;
        let mut host = Host::new(&with(config(&ws), "page_size", json!(10)), "files").await;
        host.run().await.clean();
        assert_eq!(host.latest().len(), 53);
        host.assert_nothing_twice();
        assert_eq!(ws.requests_to("files.list").len(), 6);
    });
}

#[test]
fn a_list_of_users_that_is_cut_short_is_asked_for_in_full() {
    within(async {
        let ws = start(small().messages(10).users(60)).await;
        let channel = ws.channels(ChannelKind::Public)[0].clone();
        let ts = ws.truth(&channel)[3]["ts"].as_str().unwrap().to_owned();
        for user in ws.users_truth() {
            ws.react(&channel, &ts, "tada", user["id"].as_str().unwrap());
        }
        let mut host = Host::new(&config(&ws), "reactions").await;
        host.run().await.clean();
        let key = json!({ "channel": channel, "ts": ts, "name": "tada" }).to_string();
        let reaction = &host.latest()[&key];
        assert_eq!(reaction["users"].as_array().unwrap().len() as u64, reaction["count"].as_u64().unwrap());
        host.assert_nothing_twice();
    });
}

#[test]
fn an_organisations_token_says_which_workspace_is_meant() {
    within(async {
        let ws = start(small().messages(5)).await;
        ws.grid(true);
        let config = with(config(&ws), "team_id", json!(ws.team_id()));
        for stream in ["users", "usergroups", "channels", "messages", "files"] {
            Host::new(&config, stream).await.run().await.clean();
        }
        for method in ["users.list", "usergroups.list", "conversations.list", "files.list"] {
            assert!(
                ws.requests_to(method)
                    .iter()
                    .all(|request| request.argument("team_id") == Some(ws.team_id())),
                "{method}"
            );
        }
    });
}
