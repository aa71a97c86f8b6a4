//! Project Wycheproof's vectors for HMAC, from the fixtures of webhooks, by the way that a signature goes: written in
//! hexadecimal, read, compared.

use aws_lc_rs::hmac;
use serde::Deserialize;

use super::Keys;
use crate::scheme::{
    encoding::{Encoding, hex},
    wycheproof::{self, bytes},
};

#[derive(Debug, Deserialize)]
struct File {
    #[serde(rename = "testGroups")]
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
struct Test {
    #[serde(rename = "tcId")]
    id: u32,
    key: String,
    msg: String,
    tag: String,
    result: String,
}

fn check<const N: usize>(file: &str, algorithm: hmac::Algorithm) {
    let Some(file) = wycheproof::read::<File>(file) else { return };
    let (mut count, mut taken) = (0, 0);
    for test in file.groups.into_iter().flat_map(|group| group.tests) {
        let (key, message) = (bytes(&test.key), bytes(&test.msg));
        let keys = Keys(vec![hmac::Key::new(algorithm, &key)]);
        // Cut tags are valid to those who have agreed on them; here nobody has.
        let whole = test.tag.len() == N * 2;
        for encoding in [Encoding::Hex, Encoding::Base64] {
            let tag = encoding.decode::<N>(&encoding.encode(&bytes(&test.tag)));
            let said = tag.is_some_and(|tag| keys.have_signed(&[&message], &[tag]));
            assert_eq!(said, whole && test.result == "valid", "{} as {encoding:?}", test.id);
            taken += usize::from(said);
        }
        if test.result == "valid" {
            let tag = hex(keys.sign_once(&[&message]).expect("there is a key").as_ref());
            assert!(tag.starts_with(&test.tag), "{}", test.id);
        }
        count += 1;
    }
    assert!(count >= 170 && taken >= 60, "{count} tests, {taken} taken");
}

#[test]
fn hmac_with_sha256_is_as_wycheproof_says_and_no_cut_tag_is_taken() {
    check::<32>("hmac_sha256_test.json", hmac::HMAC_SHA256);
}

#[test]
fn hmac_with_sha512_is_as_wycheproof_says_and_no_cut_tag_is_taken() {
    check::<64>("hmac_sha512_test.json", hmac::HMAC_SHA512);
}

#[test]
fn parts_are_signed_as_if_they_were_one() {
    let keys = Keys::raw([b"k".as_slice()]);
    let whole = keys.sign(&[b"a.b.c"]);
    assert_eq!(whole[0].as_ref(), keys.sign(&[b"a", b".", b"b", b"", b".c"])[0].as_ref());
}
