//! Pages: how long they are, how they go on, and what a cursor remembers.

use std::collections::BTreeSet;

use connector_testkit::salesforce::{FakeOrg, Wire};
use serde_json::{Value, json};

use super::client::encoded;
use super::{Client, within};

const PATH: &str = "/services/data/v66.0/query?q=";

fn ids(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["Id"].as_str().expect("Id").to_owned()).collect()
}

#[test]
fn a_query_goes_on_by_next_records_url_until_done() {
    within(async {
        let org = FakeOrg::builder().contacts(4500).start().await.expect("start");
        let client = Client::new(&org);
        let first = client.query("SELECT Id FROM Contact ORDER BY SystemModstamp, Id").await.json();
        assert_eq!(first["totalSize"], 4500);
        assert_eq!(first["records"].as_array().map(Vec::len), Some(2000));
        let next = first["nextRecordsUrl"].as_str().expect("next");
        assert!(next.starts_with("/services/data/v66.0/query/01g") && next.ends_with("-2000"), "{next}");

        let (records, addresses) =
            client.all("query", "SELECT Id FROM Contact ORDER BY SystemModstamp, Id").await;
        assert_eq!(addresses.len(), 2);
        assert!(addresses[1].ends_with("-4000"));
        let read: BTreeSet<_> = ids(&records).into_iter().collect();
        assert_eq!(read, org.truth("Contact").expect("truth").into_keys().collect());
        assert_eq!(
            records[0]["attributes"],
            json!({
                "type": "Contact",
                "url": format!("/services/data/v66.0/sobjects/Contact/{}", records[0]["Id"].as_str().expect("Id")),
            })
        );
        // A page whose answer got lost can be asked for again, the last one too.
        assert_eq!(client.get(&addresses[1]).await.text, client.get(&addresses[1]).await.text);
    });
}

#[test]
fn the_batch_size_is_a_wish_within_200_and_2000() {
    within(async {
        let org = FakeOrg::builder().contacts(2500).start().await.expect("start");
        let client = Client::new(&org);
        let path = format!("{PATH}{}", encoded("SELECT Id FROM Contact"));
        for (option, rows) in [
            ("batchSize=200", 200),
            ("batchSize=1", 200),
            ("batchSize=9999", 2000),
            ("batchSize = 700", 700),
            ("x", 2000),
        ] {
            let answer =
                client.try_get(&path, &[("Sforce-Query-Options", option)]).await.expect("an answer").json();
            assert_eq!(answer["records"].as_array().map(Vec::len), Some(rows), "{option}");
            let next = answer["nextRecordsUrl"].as_str().expect("next");
            assert!(next.ends_with(&format!("-{rows}")));
            let more = client.get(next).await.json();
            assert_eq!(
                more["records"].as_array().map(Vec::len),
                Some(rows.min(2500 - rows)),
                "the cursor keeps the size"
            );
        }
    });
}

#[test]
fn query_all_shows_the_recycle_bin_and_goes_on_under_query() {
    within(async {
        let org = FakeOrg::builder().contacts(2900).deleted_contacts(400).start().await.expect("start");
        let client = Client::new(&org);
        let soql = "SELECT Id, IsDeleted FROM Contact ORDER BY Id";
        let (alive, _) = client.all("query", soql).await;
        assert_eq!(alive.len(), 2900);
        assert!(alive.iter().all(|record| record["IsDeleted"] == false));
        let (all, addresses) = client.all("queryAll", soql).await;
        assert_eq!(all.len(), 3300);
        assert!(addresses[0].contains("/query/") && !addresses[0].contains("queryAll"));
        let later_deleted = all[2000..].iter().filter(|record| record["IsDeleted"] == true).count();
        assert!(later_deleted > 0, "the second page goes on with deleted rows");
        let (bin, _) = client.all("queryAll", "SELECT Id FROM Contact WHERE IsDeleted = true").await;
        assert_eq!(bin.len(), 400);
        assert_eq!(client.query("SELECT COUNT() FROM Contact").await.json()["totalSize"], 2900);
    });
}

#[test]
fn the_eleventh_cursor_of_a_user_drops_the_oldest() {
    within(async {
        let org = FakeOrg::builder().contacts(300).start().await.expect("start");
        let client = Client::new(&org);
        let path = format!("{PATH}{}", encoded("SELECT Id FROM Contact"));
        let mut next = Vec::new();
        for _ in 0..11 {
            let page =
                client.try_get(&path, &[("Sforce-Query-Options", "batchSize=200")]).await.expect("an answer");
            next.push(page.json()["nextRecordsUrl"].as_str().expect("next").to_owned());
        }
        // Queries of one page need no cursor and push none out.
        for _ in 0..20 {
            client.query("SELECT Id FROM Contact LIMIT 5").await;
        }
        let gone = (400, "INVALID_QUERY_LOCATOR".to_owned());
        assert_eq!(client.get(&next[0]).await.error(), gone);
        for address in &next[1..] {
            assert_eq!(client.get(address).await.status, 200);
        }
        org.drop_cursors();
        assert_eq!(client.get(&next[10]).await.error(), gone);
        for locator in
            ["", "x", "01g5e0000000001AAA", "01g5e0000000001AAA-x", "01g5e0000000001AAA-99999", "-"]
        {
            let answer = client.get(&format!("/services/data/v66.0/query/{locator}")).await;
            assert_eq!(answer.status, 400, "{locator}");
        }
    });
}

#[test]
fn a_cursor_keeps_the_rows_as_they_were() {
    within(async {
        let org = FakeOrg::builder().contacts(2300).start().await.expect("start");
        let client = Client::new(&org);
        let soql = "SELECT Id, Title, SystemModstamp FROM Contact ORDER BY SystemModstamp, Id";
        let before = org.truth("Contact").expect("truth");
        let first = client.query(soql).await.json();
        let next = first["nextRecordsUrl"].as_str().expect("next").to_owned();
        let touched = org.touch("Contact", 2300).expect("touch");
        org.delete("Contact", &touched[0]).expect("delete");
        org.hard_delete("Contact", &touched[1]).expect("hard delete");
        let second = client.get(&next).await.json();
        assert_eq!(second["records"].as_array().map(Vec::len), Some(300));
        for record in second["records"].as_array().expect("records") {
            let row = &before[record["Id"].as_str().expect("Id")];
            assert_eq!(
                (&record["Title"], &record["SystemModstamp"]),
                (&row["Title"], &row["SystemModstamp"])
            );
        }
        assert_eq!(client.query("SELECT COUNT() FROM Contact").await.json()["totalSize"], 2298);
    });
}

#[test]
fn a_row_that_changes_between_two_queries_moves_to_the_end() {
    within(async {
        let org = FakeOrg::builder().contacts(50).start().await.expect("start");
        let client = Client::new(&org);
        let soql = "SELECT Id FROM Contact ORDER BY SystemModstamp, Id";
        let before = ids(&client.all("query", soql).await.0);
        org.update("Contact", &before[3], &json!({"Title": "moved"})).expect("update");
        let after = ids(&client.all("query", soql).await.0);
        assert_eq!(after.last(), Some(&before[3]));
        assert_eq!(after.len(), 50);
        assert_eq!(after[3], before[4]);
    });
}

#[test]
fn ragged_pages_hold_everything_once_and_their_addresses_never_repeat() {
    within(async {
        let wire = Wire { ragged_pages: true, ..Wire::default() };
        let org = FakeOrg::builder().contacts(5000).wire(wire).start().await.expect("start");
        let client = Client::new(&org);
        let path = format!("{PATH}{}", encoded("SELECT Id FROM Contact ORDER BY Id"));
        let mut page =
            client.try_get(&path, &[("Sforce-Query-Options", "batchSize=200")]).await.expect("page").json();
        let (mut read, mut sizes, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        loop {
            let records = page["records"].as_array().expect("records");
            sizes.push(records.len());
            read.extend(ids(records));
            if page["done"] == true {
                break;
            }
            let next = page["nextRecordsUrl"].as_str().expect("next").to_owned();
            assert!(seen.insert(next.clone()), "{next} came twice");
            page = client.get(&next).await.json();
        }
        assert_eq!(read, org.truth("Contact").expect("truth").into_keys().collect::<Vec<_>>());
        assert!(sizes.contains(&0) && sizes.contains(&1) && sizes.contains(&200), "{sizes:?}");
        assert!(!sizes.windows(2).any(|pair| pair == [0, 0]));
    });
}
