//! Definitions, connections, runs, schemas, alerts, receipts, actions: what a host looks up later.

use connector_host::registry::{
    ActionRecord, CompatAlert, ConnectionRecord, Definition, RunRecord, SchemaVersion, StreamKey,
};
use connector_sdk::{Class, Clock, Timestamp};
use serde_json::json;

use super::{Bench, LEASE, commit, key, on_both};

on_both!(
    a_definition_is_replaced_by_the_same_version,
    a_connection_is_replaced_by_the_same_name,
    runs_are_listed_newest_first,
    a_run_whose_start_was_never_noted_is_noted_at_its_end,
    the_newest_schema_is_the_one_that_counts,
    a_version_of_a_schema_stays_what_it_is,
    the_same_alert_again_is_the_same_row,
    a_receipt_is_found_by_its_run,
    an_action_with_a_known_key_is_answered_with_what_is_known,
    an_answer_without_an_intent_is_a_bug,
    c_86_a_tenant_sees_nothing_of_another,
);

fn run(name: &str, started_at: i64) -> RunRecord {
    RunRecord {
        tenant: "acme".into(),
        connection: "acme-crm".into(),
        run: name.into(),
        status: "running".into(),
        started_at: Timestamp::from_millis(started_at),
        finished_at: None,
        document: json!({ "run_id": name }),
    }
}

fn alert(run: &str, field: &str, raised_at: i64) -> CompatAlert {
    CompatAlert {
        tenant: "acme".into(),
        connection: "acme-crm".into(),
        stream: "Contact".into(),
        run: run.into(),
        field: field.into(),
        change: "added".into(),
        policy: "evolve".into(),
        detail: json!({ "to": "string" }),
        raised_at: Timestamp::from_millis(raised_at),
    }
}

fn action(key: &str) -> ActionRecord {
    ActionRecord {
        tenant: "acme".into(),
        connection: "acme-crm".into(),
        key: key.into(),
        name: "create".into(),
        input_hash: "12ab".into(),
        status: "intended".into(),
        answer: None,
        started_at: Timestamp::from_millis(5),
        finished_at: None,
    }
}

fn definition(connector: &str, version: &str) -> Definition {
    Definition {
        connector: connector.into(),
        version: version.into(),
        manifest: json!({ "system": connector }),
        config_schema: json!({ "type": "object" }),
        registered_at: Timestamp::from_millis(7),
    }
}

fn connection(name: &str) -> ConnectionRecord {
    ConnectionRecord {
        tenant: "acme".into(),
        connection: name.into(),
        connector: "desk/rest".into(),
        config: json!({ "token": "${secret:desk}" }),
        updated_at: Timestamp::from_millis(9),
    }
}

fn schema(version: u64, fingerprint: &str) -> SchemaVersion {
    SchemaVersion {
        version,
        fingerprint: fingerprint.into(),
        spec: json!({ "name": "Contact", "version": version }),
        seen_at: Timestamp::from_millis(11),
    }
}

async fn a_definition_is_replaced_by_the_same_version(bench: Bench) {
    let mut again = definition("desk/rest", "0.1.0");
    for known in [&again, &definition("crm/rest", "2.0.0"), &definition("desk/rest", "0.0.9")] {
        bench.registry.define(known).await.unwrap();
    }
    again.manifest = json!({ "system": "desk", "title": "Desk" });
    bench.registry.define(&again).await.unwrap();
    let expected = [definition("crm/rest", "2.0.0"), definition("desk/rest", "0.0.9"), again];
    assert_eq!(bench.registry.definitions().await.unwrap(), expected);
}

async fn a_connection_is_replaced_by_the_same_name(bench: Bench) {
    let mut again = connection("b");
    bench.registry.put_connection(&again).await.unwrap();
    bench.registry.put_connection(&connection("a")).await.unwrap();
    again.config = json!({});
    bench.registry.put_connection(&again).await.unwrap();
    assert_eq!(bench.registry.connections(&"acme".into()).await.unwrap(), [connection("a"), again]);
}

async fn runs_are_listed_newest_first(bench: Bench) {
    for (name, at) in [("one", 10), ("three", 30), ("two", 20), ("also three", 30)] {
        bench.registry.start_run(&run(name, at)).await.unwrap();
    }
    let mut ended = run("two", 20);
    ended.status = "succeeded".into();
    ended.finished_at = Some(Timestamp::from_millis(25));
    ended.document = json!({ "run_id": "two", "status": "succeeded" });
    bench.registry.finish_run(&ended).await.unwrap();
    let expected = [run("three", 30), run("also three", 30), ended];
    assert_eq!(bench.registry.runs(&"acme".into(), &"acme-crm".into(), 3).await.unwrap(), expected);
    assert_eq!(bench.registry.runs(&"acme".into(), &"acme-crm".into(), usize::MAX).await.unwrap().len(), 4);
    assert!(bench.registry.runs(&"acme".into(), &"other".into(), 3).await.unwrap().is_empty());
}

async fn a_run_whose_start_was_never_noted_is_noted_at_its_end(bench: Bench) {
    bench.registry.finish_run(&run("one", 1)).await.unwrap();
    assert_eq!(bench.registry.runs(&"acme".into(), &"acme-crm".into(), 9).await.unwrap(), [run("one", 1)]);
}

async fn the_newest_schema_is_the_one_that_counts(bench: Bench) {
    assert!(bench.registry.schema(&key("Contact")).await.unwrap().is_none());
    let lease = bench.claim("Contact").await;
    for version in [1, 10, 9] {
        bench.registry.add_schema(&lease, &schema(version, &format!("f{version}"))).await.unwrap();
    }
    assert_eq!(bench.registry.schema(&key("Contact")).await.unwrap(), Some(schema(10, "f10")));
    assert!(bench.registry.schema(&key("Account")).await.unwrap().is_none());
}

async fn a_version_of_a_schema_stays_what_it_is(bench: Bench) {
    let lease = bench.claim("Contact").await;
    bench.registry.add_schema(&lease, &schema(1, "f")).await.unwrap();
    let mut later = schema(1, "f");
    later.seen_at = Timestamp::from_millis(99);
    bench.registry.add_schema(&lease, &later).await.expect("the same one again changes nothing");
    let error = bench.registry.add_schema(&lease, &schema(1, "g")).await.unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert_eq!(bench.registry.schema(&key("Contact")).await.unwrap(), Some(schema(1, "f")));
}

async fn the_same_alert_again_is_the_same_row(bench: Bench) {
    bench.registry.alert(&alert("run 1", "email", 10)).await.unwrap();
    let mut again = alert("run 1", "email", 20);
    again.detail = json!({ "to": "integer" });
    bench.registry.alert(&again).await.unwrap();
    bench.registry.alert(&alert("run 2", "email", 30)).await.unwrap();
    bench.registry.alert(&alert("run 1", "phone", 10)).await.unwrap();
    let expected = [alert("run 2", "email", 30), alert("run 1", "email", 10), alert("run 1", "phone", 10)];
    assert_eq!(bench.registry.alerts(&"acme".into(), &"acme-crm".into(), 9).await.unwrap(), expected);
    assert_eq!(bench.registry.alerts(&"acme".into(), &"acme-crm".into(), 1).await.unwrap(), expected[..1]);
}

async fn a_receipt_is_found_by_its_run(bench: Bench) {
    assert!(bench.registry.receipt(&"acme".into(), &"1".into()).await.unwrap().is_none());
    for receipt in [json!({ "records": 1 }), json!({ "records": 2 })] {
        bench.registry.put_receipt(&"acme".into(), &"1".into(), &receipt).await.unwrap();
        assert_eq!(bench.registry.receipt(&"acme".into(), &"1".into()).await.unwrap(), Some(receipt));
    }
}

async fn an_action_with_a_known_key_is_answered_with_what_is_known(bench: Bench) {
    assert!(bench.registry.begin_action(&action("k")).await.unwrap().is_none());
    let mut other = action("k");
    other.input_hash = "another input".into();
    assert_eq!(bench.registry.begin_action(&other).await.unwrap(), Some(action("k")));
    let mut done = action("k");
    done.status = "succeeded".into();
    done.answer = Some(json!({ "id": "003A" }));
    done.finished_at = Some(Timestamp::from_millis(8));
    bench.registry.finish_action(&done).await.unwrap();
    assert_eq!(bench.registry.begin_action(&action("k")).await.unwrap(), Some(done));
    assert!(bench.registry.begin_action(&action("another key")).await.unwrap().is_none());
}

async fn an_answer_without_an_intent_is_a_bug(bench: Bench) {
    let error = bench.registry.finish_action(&action("k")).await.unwrap_err();
    assert_eq!(error.class(), Class::Bug);
}

async fn c_86_a_tenant_sees_nothing_of_another(bench: Bench) {
    let acme = bench.claim("Contact").await;
    let registry = &bench.registry;
    registry.checkpoint(&acme, &[commit("p", 3)]).await.unwrap();
    registry.add_schema(&acme, &schema(1, "f")).await.unwrap();
    registry.put_connection(&connection("acme-crm")).await.unwrap();
    registry.start_run(&run("1", 1)).await.unwrap();
    registry.alert(&alert("1", "email", 1)).await.unwrap();
    registry.put_receipt(&acme.tenant, &"1".into(), &json!({})).await.unwrap();
    registry.begin_action(&action("k")).await.unwrap();
    registry.put_token(&acme.tenant, &acme.connection, "refresh", b"sealed").await.unwrap();

    // Another tenant, whose names are all the same; and names that run into each other.
    for (tenant, connection) in
        [("evil", "acme-crm"), ("acme", "other"), ("acmeacme", "-crm"), ("", "acme-crm")]
    {
        let theirs = StreamKey::new(tenant, connection, "Contact");
        let (tenant, connection) = (&theirs.tenant, &theirs.connection);
        assert!(registry.load(tenant, connection, &theirs.stream).await.unwrap().partitions.is_empty());
        assert!(registry.states(tenant, connection).await.unwrap().is_empty());
        assert!(registry.schema(&theirs).await.unwrap().is_none());
        assert!(registry.runs(tenant, connection, 9).await.unwrap().is_empty());
        assert!(registry.alerts(tenant, connection, 9).await.unwrap().is_empty());
        assert!(registry.token(tenant, connection, "refresh").await.unwrap().is_none());
        if tenant.as_str() != "acme" {
            assert!(registry.connections(tenant).await.unwrap().is_empty());
            assert!(registry.receipt(tenant, &"1".into()).await.unwrap().is_none());
        }
        let mut same_key = action("k");
        (same_key.tenant, same_key.connection) = (tenant.clone(), connection.clone());
        assert!(registry.begin_action(&same_key).await.unwrap().is_none());
        let claim = registry.claim(&theirs, "their run", LEASE).await.unwrap();
        assert_eq!((claim.lease.fence, claim.takeover), (1, false), "the stream of that name is another one");
        registry.reset(&claim.lease).await.unwrap();
    }
    assert_eq!(bench.load("Contact").await.partitions["p"].sequence, 3);
    assert_eq!(bench.clock.now(), Timestamp::from_millis(1_000_000));
}
