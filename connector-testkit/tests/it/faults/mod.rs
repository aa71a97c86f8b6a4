//! The catalogue of trouble: what stands in the documents, what a client meets on the wire.

mod proxy;
mod wire;

use connector_testkit::fault::{KINDS, Outcome};

fn said(outcome: Outcome) -> String {
    match outcome {
        Outcome::Recovers => "recovers".to_owned(),
        Outcome::Fails(class) => class.to_string(),
    }
}

#[test]
fn the_page_of_faults_is_the_catalogue() {
    let page = std::fs::read_to_string(crate::tidy::root().join("docs/spec/faults.md")).unwrap();
    let written: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let known: Vec<String> = KINDS
        .iter()
        .map(|kind| {
            format!("| `{}` | {} | {} | {} |", kind.name, kind.wire, said(kind.once), said(kind.lasting))
        })
        .collect();
    assert_eq!(written, known, "docs/spec/faults.md; it should hold:\n{}\n", known.join("\n"));
}
