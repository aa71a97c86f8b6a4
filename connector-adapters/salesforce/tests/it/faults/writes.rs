//! Every kind of trouble at every request that writes, and what it may never do: write twice, say that it was done when
//! it was not, or say that it was not done when it was.

use connector_salesforce::{Client, Composite, IngestOperation, SalesforceConfig};
use connector_sdk::{Class, Error};
use connector_testkit::fault::{Kind, Trouble};
use serde_json::{Value, json};

use super::table::{Scene, Site, Times, is_answer, is_line, kinds, site_of};
use crate::host;

/// Something that is written, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
    Upsert,
    Delete,
    CreateMany,
    UpsertMany,
    Composite,
    /// The job is made, filled, closed, looked at, read: one after the other.
    Ingest(&'static str, &'static str),
}

const VERBS: [Verb; 12] = [
    Verb::Create,
    Verb::Update,
    Verb::Upsert,
    Verb::Delete,
    Verb::CreateMany,
    Verb::UpsertMany,
    Verb::Composite,
    Verb::Ingest("POST", "/jobs/ingest"),
    Verb::Ingest("PUT", "/batches"),
    Verb::Ingest("PATCH", "/jobs/ingest/"),
    Verb::Ingest("GET", "/jobs/ingest/"),
    Verb::Ingest("GET", "/successfulResults"),
];

/// Rows that are to be written at once.
const ROWS: usize = 3;
const NAME: &str = "Written";

impl Verb {
    fn site(self) -> Site {
        let (method, path) = match self {
            Self::Create => ("POST", "/sobjects/Contact"),
            Self::Update => ("PATCH", "/sobjects/Contact/003"),
            Self::Upsert => ("PATCH", "/sobjects/Contact/External_Id__c"),
            Self::Delete => ("DELETE", "/sobjects/Contact/003"),
            Self::CreateMany => ("POST", "/composite/sobjects"),
            Self::UpsertMany => ("PATCH", "/composite/sobjects"),
            Self::Composite => ("POST", "/composite"),
            Self::Ingest(method, path) => (method, path),
        };
        site_of("write", method, path)
    }

    /// How many rows it writes.
    fn rows(self) -> usize {
        match self {
            Self::CreateMany | Self::UpsertMany | Self::Composite | Self::Ingest(..) => ROWS,
            _ => 1,
        }
    }

    /// Does it. What became of each row.
    async fn act(self, client: &Client, id: &str) -> Vec<Result<(), Error>> {
        let row = |number: usize| json!({ "LastName": NAME, "External_Id__c": format!("w-{number}") });
        let rows = || (0..ROWS).map(row).collect::<Vec<_>>();
        let all = |error: Error| vec![Err(error)];
        let named = json!({ "LastName": NAME });
        match self {
            Self::Create => vec![client.create("Contact", row(0)).await.map(drop)],
            Self::Update => vec![client.update("Contact", id, named).await],
            Self::Upsert => vec![client.upsert("Contact", "External_Id__c", "w-0", named).await.map(drop)],
            Self::Delete => vec![client.delete("Contact", id).await],
            Self::CreateMany => match client.create_many("Contact", rows()).await {
                Ok(outcomes) => outcomes.into_iter().map(|outcome| outcome.map(drop)).collect(),
                Err(error) => all(error),
            },
            Self::UpsertMany => match client.upsert_many("Contact", "External_Id__c", rows()).await {
                Ok(outcomes) => outcomes.into_iter().map(|outcome| outcome.map(drop)).collect(),
                Err(error) => all(error),
            },
            Self::Composite => {
                let parts = (0..ROWS).fold(Composite::all_or_none(), |parts, number| {
                    parts.create(&format!("r{number}"), "Contact", row(number))
                });
                match client.composite(parts).await {
                    Ok(outcomes) => outcomes.into_iter().map(|(_, outcome)| outcome.map(drop)).collect(),
                    Err(error) => all(error),
                }
            }
            Self::Ingest(..) => {
                let ingest = match client.ingest("Contact", IngestOperation::Insert, rows()).await {
                    Ok(ingest) => ingest,
                    Err(error) => return all(error),
                };
                match ingest.finish().await {
                    Ok(done) if done.failed.is_empty() && done.unprocessed.is_empty() => {
                        done.saved.into_iter().map(|_| Ok(())).collect()
                    }
                    Ok(done) => panic!("{done:?}"),
                    Err(error) => all(error),
                }
            }
        }
    }
}

/// What is wrong with a verb in this trouble, if anything is.
async fn tried(kind: &'static Kind, verb: Verb) -> Result<(), String> {
    let trouble: Trouble = (kind.trouble)();
    let scene = Scene::of(&trouble).await;
    let config: SalesforceConfig = serde_json::from_value(scene.config.clone()).unwrap();
    let client = Client::connect(&config, &scene.cx).unwrap();
    let id = scene.org.insert("Contact", &json!({ "LastName": "Before" })).unwrap();
    let rule = scene.strike(&trouble, verb.site(), Times::Once);
    let outcomes = verb.act(&client, &id).await;
    if rule.is_none_or(|rule| scene.org.faults().fired_by(rule) == 0) {
        return Err("it never happened".to_owned());
    }
    let truth = scene.org.truth("Contact").unwrap();
    let written = if verb == Verb::Delete {
        usize::from(truth[&id]["IsDeleted"] == Value::Bool(true))
    } else {
        truth.values().filter(|row| row["LastName"] == NAME).count()
    };
    let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let errors: Vec<&Error> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    // A job of its own says what it has not done when it is asked again.
    let may_have = errors.iter().any(|error| error.class() == Class::Ambiguous)
        || matches!(verb, Verb::Ingest(..)) && !errors.is_empty()
        // What may be repeated may also have been done before it failed for good.
        || matches!(verb, Verb::Update | Verb::Upsert | Verb::UpsertMany | Verb::Delete) && !errors.is_empty();
    if written > verb.rows() {
        return Err(format!("{written} rows of {}: written twice ({errors:?})", verb.rows()));
    }
    if written < succeeded || errors.is_empty() && written != verb.rows() {
        return Err(format!("said to be done: {succeeded}; done: {written}"));
    }
    if written > succeeded && !may_have {
        return Err(format!("done: {written}; said to be done: {succeeded}, and of the rest {errors:?}"));
    }
    if errors.iter().any(|error| error.class() == Class::Bug) {
        return Err(format!("{errors:?}"));
    }
    let said = format!("{errors:?}");
    if said.contains(&scene.org.credentials().client_secret) || said.contains(NAME) {
        return Err(format!("the error tells what it should not: {said}"));
    }
    Ok(())
}

fn go_through(wanted: &[&'static Kind]) {
    let broken: Vec<String> = wanted
        .iter()
        .flat_map(|kind| {
            host::within(futures_util::future::join_all(VERBS.map(|verb| async move {
                let outcome = match tokio::spawn(tried(kind, verb)).await {
                    Ok(outcome) => outcome,
                    Err(panicked) => Err(panicked.to_string()),
                };
                outcome.err().map(|wrong| format!("{} × {verb:?}: {wrong}", kind.name))
            })))
        })
        .flatten()
        .collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn no_answer_that_goes_wrong_writes_twice_or_lies_about_what_was_written_part_1() {
    go_through(&kinds(is_answer)[..17]);
}

#[test]
fn no_answer_that_goes_wrong_writes_twice_or_lies_about_what_was_written_part_2() {
    go_through(&kinds(is_answer)[17..]);
}

#[test]
fn no_connection_that_goes_wrong_writes_twice_or_lies_about_what_was_written() {
    go_through(&kinds(is_line));
}
