//! Project Wycheproof's vectors for Ed25519, from the fixtures of webhooks.

use serde::Deserialize;

use super::{PrivateKey, PublicKey, PublicKeys};
use crate::scheme::{
    encoding::{base64, unbase64},
    wycheproof::{self, bytes},
};

#[derive(Debug, Deserialize)]
struct File {
    #[serde(rename = "testGroups")]
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    #[serde(rename = "publicKey")]
    key: Key,
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize)]
struct Key {
    pk: String,
}

#[derive(Debug, Deserialize)]
struct Test {
    #[serde(rename = "tcId")]
    id: u32,
    msg: String,
    sig: String,
    result: String,
}

#[test]
fn ed25519_is_as_wycheproof_says_and_a_signature_has_one_form() {
    let Some(file) = wycheproof::read::<File>("ed25519_test.json") else { return };
    let (mut count, mut taken) = (0, 0);
    for group in file.groups {
        let key = PublicKeys(vec![PublicKey::new(&bytes(&group.key.pk)).expect("a key")]);
        for test in group.tests {
            // By the way that a signature goes: in base64, of one length.
            let signature: Option<[u8; 64]> = unbase64(&base64(&bytes(&test.sig)));
            let said = signature.is_some_and(|signature| key.have_signed(&[&bytes(&test.msg)], &[signature]));
            assert_eq!(said, test.result == "valid", "{}", test.id);
            (count, taken) = (count + 1, taken + usize::from(said));
        }
    }
    assert!(count >= 150 && taken >= 60, "{count} tests, {taken} taken");
}

#[test]
fn a_private_key_is_a_seed_alone_or_with_its_public_key() {
    // RFC 8032, section 7.1, test 2.
    let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    let expected = bytes(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    for bytes in [seed.clone(), [&*seed, &*public].concat()] {
        let key = PrivateKey::new(&bytes).expect("a key");
        assert_eq!(key.sign(&[b"\x72"]).expect("signs").as_slice(), expected);
    }
    for bytes in [&seed[..31], &[&*seed, &seed[..1]].concat(), &[&*seed, &*seed].concat(), &[]] {
        assert!(PrivateKey::new(bytes).is_err());
    }
}
