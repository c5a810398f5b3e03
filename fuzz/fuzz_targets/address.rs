//! Addresses: what parses prints as it was, without controls, and parses again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_address::{AddressLiteral, Domain, EmailAddress, ForwardPath, Host, ReversePath};
use std::fmt::Display;
use std::str::FromStr;

fn check<T: FromStr + Display + PartialEq + std::fmt::Debug>(text: &str)
where
    T::Err: std::fmt::Debug,
{
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        assert!(!printed.chars().any(char::is_control), "{printed:?}");
        assert_eq!(printed.parse::<T>().expect("what prints parses"), value);
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check::<Domain>(text);
    check::<AddressLiteral>(text);
    check::<Host>(text);
    check::<EmailAddress>(text);
    check::<ReversePath>(text);
    check::<ForwardPath>(text);
    if let Ok((path, rest)) = ReversePath::parse_prefix(text) {
        assert!(text.ends_with(rest) && path.to_string().len() <= text.len());
    }
    let _ = ForwardPath::parse_prefix(text);
    if let Ok(domain) = Domain::parse(text) {
        if let Ok(ascii) = domain.to_ascii() {
            assert!(ascii.is_ascii() && ascii.same_as(&domain));
            assert_eq!(ascii.to_ascii(), Ok(ascii));
        }
        let _ = domain.to_unicode();
    }
    if let Ok(address) = EmailAddress::parse(text) {
        let user = address.without_detail('+');
        assert_eq!(
            user.as_str()
                .parse::<EmailAddress>()
                .expect("the user is an address"),
            user
        );
        assert!(!address.lookup_key().chars().any(char::is_control));
        let _ = address.to_ascii_domain();
    }
    if let Some((local, domain)) = text.rsplit_once('@') {
        if let (Ok(host), Ok(whole)) = (Host::parse(domain), EmailAddress::parse(text)) {
            assert_eq!(
                EmailAddress::new(&whole.unquoted_local_part(), host).expect("a local part prints"),
                whole,
                "{local}"
            );
        }
    }
});
