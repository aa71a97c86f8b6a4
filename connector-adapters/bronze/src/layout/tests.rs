use std::collections::BTreeSet;

use super::*;

#[test]
fn names_become_portable_components() {
    for (name, expected) in [
        ("Contact", "Contact"),
        ("acme-crm", "acme-crm"),
        ("My_Object__c", "My_Object__c"),
        ("v1.2", "v1.2"),
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        ("/etc", "%2Fetc"),
        ("a\\b", "a%5Cb"),
        ("C:", "C%3A"),
        (".hidden", "%2Ehidden"),
        ("_commits", "%5Fcommits"),
        ("trailing.", "trailing%2E"),
        ("trailing ", "trailing%20"),
        ("x.tmp", "x%2Etmp"),
        ("x.tmp.y", "x.tmp.y"),
        ("50%", "50%25"),
        ("%2E", "%252E"),
        ("a=b", "a%3Db"),
        ("line\nbreak\0", "line%0Abreak%00"),
        ("Größe", "Gr%C3%B6%C3%9Fe"),
        ("con", "%63on"),
        ("NUL.txt", "%4EUL.txt"),
        ("COM1", "%43OM1"),
        ("CONTACT", "CONTACT"),
        ("a*?<>|\"b", "a%2A%3F%3C%3E%7C%22b"),
        ("~", "%7E"),
    ] {
        assert_eq!(component(name), expected, "{name:?}");
    }
}

#[test]
fn different_names_are_different_components_that_fit_a_file_system() {
    let long = "x".repeat(300);
    let cyrillic = "ж".repeat(120);
    let names = [
        "a",
        "A",
        "a.",
        "a..",
        ".a",
        "%61",
        "%",
        "%25",
        "",
        " ",
        "a b",
        "a+b",
        "a/b",
        "a%2Fb",
        "_a",
        "%5Fa",
        &long,
        &long[1..],
        &cyrillic,
        &cyrillic[2..],
    ];
    let components: BTreeSet<String> = names.iter().map(|name| component(name)).collect();
    assert_eq!(components.len(), names.len());
    for component in &components {
        assert!(component.len() <= MAX_COMPONENT, "{component}");
        assert!(!is_hidden(component) && !component.contains(['/', '\\']), "{component}");
    }
}

#[test]
fn every_path_stays_below_its_folder() {
    let dir = connection_dir(Path::new("/bronze"), &"..".into(), &"../..".into());
    let stream = StreamDir::new(&dir, &"../../../etc".into());
    assert_eq!(stream.path(), Path::new("/bronze/%2E%2E/%2E.%2F.%2E/%2E.%2F..%2F..%2Fetc"));
}

#[test]
fn only_names_of_our_own_form_are_ours() {
    let name = PendingName { number: 8, fence: 3, serial: 4, extension: "parquet" };
    assert_eq!(name.to_string(), "0000000008-3-4.parquet.tmp");
    assert_eq!(PendingName::parse("0000000008-3-4.parquet.tmp"), Some(name));
    for foreign in [
        "8-3-4.parquet.tmp",
        "0000000008-3-4.parquet",
        "0000000008-3.parquet.tmp",
        "notes.tmp",
        "0000000008-+3-4.x.tmp",
    ] {
        assert_eq!(PendingName::parse(foreign), None, "{foreign}");
    }
    for (name, parsed) in [
        ("7.json", Some(LogName::Entry(7))),
        ("snapshot-120.json", Some(LogName::Snapshot(120))),
        (".7.json.tmp-3", Some(LogName::Draft(3))),
        (".snapshot-120.json.tmp-3", Some(LogName::Draft(3))),
        ("07.json", None),
        ("+7.json", None),
        ("7.json.bak", None),
        ("snapshot.json", None),
        (".x.json.tmp-3", None),
        (".DS_Store", None),
    ] {
        assert_eq!(LogName::parse(name), parsed, "{name}");
    }
}
