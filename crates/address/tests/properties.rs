//! What holds for every text, whoever made it.

use mailwright_address::{Domain, EmailAddress, ForwardPath, Host, ReversePath};
use proptest::prelude::*;

/// Text made of the pieces that matter here, so that much of it parses.
fn near_misses() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z0-9]{1,3}".boxed(),
        2 => prop::sample::select(vec![
            "@", ".", "\"", "\\", "<", ">", ":", ",", "[", "]", "IPv6:::1", "1.2.3.4", "-", " ", "ü", "tag:x",
            "postmaster",
        ])
        .prop_map(String::from)
        .boxed(),
        1 => any::<char>().prop_map(String::from).boxed(),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn printable(text: &str) {
    assert!(
        !text
            .chars()
            .any(|c| c.is_control() || "\u{2028}\u{2029}".contains(c)),
        "{text:?}"
    );
}

/// RFC 5321 §4.1.2 in other words: `Dot-string`.
fn is_dot_string(text: &str) -> bool {
    let atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

/// RFC 5321 §4.1.2 in other words: `Domain`, with the limits of RFC 1035 §2.3.4.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 255 && text.split('.').all(label)
}

proptest! {
    #[test]
    fn ascii_addresses_are_those_of_the_grammar(
        local in "([a-z0-9]{1,9}|[-.+_=]|[ -~]){0,14}",
        domain in "([A-Za-z0-9]{1,9}|[-.]|[a-z]{64}|[!-~]){0,14}",
        behind in "[ -~]{0,9}",
    ) {
        prop_assume!(!local.starts_with('"') && !domain.starts_with('['));
        let right = is_dot_string(&local) && local.len() <= 320 && is_domain(&domain);
        let text = format!("{local}@{domain}");
        prop_assert_eq!(EmailAddress::parse(&text).is_ok(), right, "{}", text);
        prop_assert_eq!(Domain::parse(&domain).is_ok(), is_domain(&domain), "{}", domain);
        let path = format!("<{text}>{behind}");
        if right {
            let parsed = ForwardPath::parse_prefix(&path);
            prop_assert_eq!(parsed, Ok((ForwardPath::Address(text.parse().unwrap()), behind.as_str())));
        }
    }

    #[test]
    fn whatever_parses_prints_as_written(text in near_misses()) {
        if let Ok(address) = EmailAddress::parse(&text) {
            prop_assert_eq!(address.to_string(), text.clone());
            printable(&text);
            prop_assert_eq!(EmailAddress::parse(address.as_ref()), Ok(address.clone()));
            prop_assert_eq!(format!("{}@{}", address.local_part(), address.host()).parse(), Ok(address));
        }
        if let Ok(domain) = Domain::parse(&text) {
            prop_assert_eq!(domain.as_str(), &text);
            prop_assert!(!text.contains(['<', '>', '"', '\\', ' ', '@']));
            printable(&text);
        }
        if let Ok(host) = Host::parse(&text) {
            printable(&host.to_string());
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }

    #[test]
    fn whatever_path_parses_reads_the_same_again(text in near_misses(), tail in near_misses()) {
        let text = format!("<{text}>{tail}");
        if let Ok((path, rest)) = ReversePath::parse_prefix(&text) {
            prop_assert!(text.ends_with(rest));
            let printed = path.to_string();
            printable(&printed);
            // Nothing in it can end the path early, whatever is put behind it.
            let glued = format!("{printed}{tail}");
            prop_assert_eq!(ReversePath::parse_prefix(&glued), Ok((path, tail.as_str())));
        }
        if let Ok((path, _)) = ForwardPath::parse_prefix(&text) {
            let glued = format!("{path}{tail}");
            prop_assert_eq!(ForwardPath::parse_prefix(&glued), Ok((path, tail.as_str())));
        }
    }

    #[test]
    fn what_is_made_of_an_address_is_one(text in near_misses(), separator in "[+.\\\\\"@ü -]") {
        if let Ok(address) = EmailAddress::parse(&text) {
            let separator = separator.chars().next().unwrap();
            let user = address.without_detail(separator);
            prop_assert_eq!(user.as_str().parse(), Ok(user.clone()));
            prop_assert_eq!(user.host(), address.host());
            prop_assert_eq!(user.split_detail(separator), None);
            let moved = address.with_host("other.test".parse().unwrap());
            prop_assert_eq!(moved.as_str().parse(), Ok(moved.clone()));
            prop_assert_eq!(moved.local_part(), address.local_part());
            // A key is an address again, if it did not grow too long, and has itself for its key.
            if let Ok(key) = EmailAddress::parse(&address.lookup_key()) {
                prop_assert_eq!(key.lookup_key(), address.lookup_key());
            }
            printable(&address.lookup_key());
        }
    }

    #[test]
    fn every_printable_local_part_survives_building(local in "[ -~äß日]{0,30}") {
        let host: Host = "b.test".parse().unwrap();
        let built = EmailAddress::new(&local, host).unwrap();
        prop_assert_eq!(built.unquoted_local_part(), local);
        prop_assert_eq!(EmailAddress::parse(built.as_str()), Ok(built.clone()));
    }

    #[test]
    fn no_text_at_all_breaks_the_parsers(text in any::<String>()) {
        for error in [EmailAddress::parse(&text).err(), ReversePath::parse(&text).err(), Host::parse(&text).err()]
            .into_iter()
            .flatten()
        {
            prop_assert!(error.offset() <= text.len() && text.is_char_boundary(error.offset()));
        }
    }
}
