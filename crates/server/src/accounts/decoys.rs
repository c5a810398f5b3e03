//! What passwords are checked against that no account has: whoever guesses names learns nothing from the work it takes
//!
//! An unknown name costs what an account costs. Where accounts have hashes of different costs, as after a change of
//! `[password_hash]`, unknown names are spread over these costs as the accounts are, each name always at the same.

use crate::config::PasswordHashing;
use argon2::Params;
use argon2::password_hash::phc::PasswordHash;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::hmac;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hashes that no password has.
#[derive(Debug, Default)]
pub(super) struct Decoys {
    /// Up to which number each is taken.
    all: Vec<(u64, Arc<str>)>,
}

impl Decoys {
    /// Decoys as costly as these hashes; without any, as hashes are to be.
    pub(super) fn new<'a>(
        hashes: impl Iterator<Item = &'a str>,
        usual: PasswordHashing,
        key: &[u8; 32],
    ) -> Self {
        let mut costs: BTreeMap<String, u64> = BTreeMap::new();
        for cost in hashes.filter_map(cost_of) {
            *costs.entry(cost).or_default() += 1;
        }
        if costs.is_empty() {
            let PasswordHashing {
                memory,
                passes,
                lanes,
                ..
            } = usual;
            costs.insert(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}"), 1);
        }
        let mut total = 0;
        let all = costs.into_iter().map(|(cost, times)| {
            total += times;
            // The same at every reload, as the hash of an account is.
            let octets = sign(key, &cost);
            let (salt, hash) = (&octets[..16], sign(key, &format!("{cost}$")));
            let text = |octets: &[u8]| STANDARD_NO_PAD.encode(octets);
            (total, format!("{cost}${}${}", text(salt), text(&hash)).into())
        });
        Self { all: all.collect() }
    }

    /// The one for a name.
    pub(super) fn for_name(&self, name: &str, key: &[u8; 32]) -> Arc<str> {
        let total = self.all.last().map_or(1, |(end, _)| *end);
        let mut octets = [0; 8];
        octets.copy_from_slice(&sign(key, name)[..8]);
        let number = u64::from_be_bytes(octets) % total;
        let found = self.all.iter().find(|(end, _)| number < *end);
        found.map_or_else(|| "".into(), |(_, hash)| hash.clone())
    }
}

/// Algorithm, version and parameters of a hash, as they stand in it.
fn cost_of(hash: &str) -> Option<String> {
    let parsed = PasswordHash::new(hash).ok()?;
    let params = Params::try_from(&parsed).ok()?;
    let version = parsed.version.unwrap_or(19);
    Some(format!(
        "${}$v={version}$m={},t={},p={}",
        parsed.algorithm,
        params.m_cost(),
        params.t_cost(),
        params.p_cost()
    ))
}

fn sign(key: &[u8; 32], text: &str) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut octets = [0; 32];
    octets.copy_from_slice(tag.as_ref());
    octets
}

#[cfg(test)]
mod tests {
    use super::super::password;
    use super::*;
    use mailwright_sasl::Secret;

    const KEY: &[u8; 32] = &[7; 32];

    fn hash(memory: u32) -> String {
        format!(
            "$argon2id$v=19$m={memory},t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
        )
    }

    #[test]
    fn decoys_are_spread_as_the_hashes_of_accounts_are() {
        let accounts: Vec<_> = [8192, 8192, 8192, 19456].map(hash).to_vec();
        let decoys = Decoys::new(
            accounts.iter().map(String::as_str),
            PasswordHashing::default(),
            KEY,
        );
        let names: Vec<_> = (0..4000).map(|n| format!("name{n}@a.test")).collect();
        let cheap = names
            .iter()
            .filter(|name| decoys.for_name(name, KEY).contains("m=8192,"))
            .count();
        // Three quarters: 3000, and a deviation of 27.
        assert!((2700..3300).contains(&cheap), "{cheap}");
        let again = Decoys::new(
            accounts.iter().map(String::as_str),
            PasswordHashing::default(),
            KEY,
        );
        for name in &names {
            let decoy = decoys.for_name(name, KEY);
            assert_eq!(decoy, again.for_name(name, KEY));
            assert!(PasswordHash::new(&decoy).is_ok(), "{decoy}");
            assert!(!accounts.iter().any(|hash| **hash == *decoy));
        }
    }

    #[test]
    fn a_decoy_is_checked_like_a_hash_and_never_right() {
        let mut hashing = PasswordHashing::default();
        (hashing.memory, hashing.passes) = (8 * 1024, 1);
        let (password, mut memory) = (Secret::from("s3cret"), password::Memory::new());
        let real = password::hash(&password, hashing);
        let decoy = Decoys::new([&*real].into_iter(), PasswordHashing::default(), KEY).for_name("x", KEY);
        let costs = |hash: &str| hash.rsplitn(3, '$').nth(2).expect("its parameters").to_owned();
        assert_eq!((costs(&decoy), decoy.len()), (costs(&real), real.len()));
        let computed = password::computed(&password, &decoy, &mut memory);
        assert_eq!(computed, Some(false), "it is computed");
        assert_eq!(password::computed(&password, &real, &mut memory), Some(true));
        assert!(!password::is_weaker(&decoy, hashing));
    }

    #[test]
    fn without_accounts_a_decoy_costs_what_hashes_are_to_cost() {
        let decoys = Decoys::new(["nonsense"].into_iter(), PasswordHashing::default(), KEY);
        let decoy = decoys.for_name("anybody", KEY);
        assert!(decoy.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{decoy}");
    }
}
