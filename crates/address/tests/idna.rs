//! A-labels and U-labels: known answers, and what holds for every domain.

use mailwright_address::{Domain, EmailAddress};
use proptest::prelude::*;

fn domain(text: &str) -> Domain {
    text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

#[test]
fn known_domains_have_their_a_labels() {
    for (unicode, ascii) in [
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.Example", "xn--bcher-kva.example"),
        // Decomposed: u and U+0308.
        ("bu\u{308}cher.example", "xn--bcher-kva.example"),
        ("faß.de", "xn--fa-hia.de"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp"),
        ("испытание.рф", "xn--80akhbyknj4f.xn--p1ai"),
        ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"),
        ("ａｂｃ.example", "abc.example"),
        ("Mail.Example.ORG", "mail.example.org"),
        ("r3---sn-4g5e.example", "r3---sn-4g5e.example"),
        ("1.2.3.4", "1.2.3.4"),
    ] {
        let converted = domain(unicode)
            .to_ascii()
            .unwrap_or_else(|e| panic!("{unicode}: {e}"));
        assert_eq!(converted.as_str(), ascii);
        assert!(domain(unicode).same_as(&domain(ascii)) && domain(ascii).same_as(&domain(unicode)));
        assert!(domain(ascii).same_as(&domain(&ascii.to_uppercase())));
    }
    for (ascii, unicode) in [
        ("XN--Bcher-Kva.Example", "bücher.example"),
        ("xn--r8jz45g.xn--zckzah", "例え.テスト"),
        ("xn--fa-hia.de", "faß.de"),
        ("plain.Example", "plain.example"),
    ] {
        assert_eq!(domain(ascii).to_unicode().unwrap().as_str(), unicode);
    }
}

#[test]
fn what_has_no_other_form_says_so() {
    let long = "ü".repeat(100);
    for not in [
        // A leading combining mark, an unassigned character, a joiner where nothing joins, mixed directions.
        "\u{308}a.example",
        "\u{378}.example",
        "a\u{200d}b.example",
        "\u{5d0}a1ü.example",
        &long,
    ] {
        assert!(domain(not).to_ascii().is_err(), "{not}");
        assert!(domain(not).same_as(&domain(not)));
        assert!(!domain(not).same_as(&domain("b.example")));
    }
    // Stands for nothing, but may well be in somebody's DNS.
    assert_eq!(
        domain("XN--a-9999999.test").to_ascii().unwrap().as_str(),
        "xn--a-9999999.test"
    );
    assert!(domain("xn--a-9999999.test").to_unicode().is_err());
    // Two hundred and fifty-three octets fit into the DNS, and not one more.
    let labels = |last: usize| format!("{}ü.{}", "abcdefgh.".repeat(26), "z".repeat(last));
    assert_eq!(domain(&labels(11)).to_ascii().map(|d| d.as_str().len()), Ok(253));
    assert!(domain(&labels(12)).to_ascii().is_err());
    assert!(!domain("bücher.example").same_as(&domain("xn--bcher-kvb.example")));
    assert!(!domain("faß.de").same_as(&domain("fass.de")));
}

#[test]
fn addresses_keep_their_local_part() {
    let ascii = |text: &str| {
        EmailAddress::parse(text)
            .unwrap()
            .to_ascii_domain()
            .map(|a| a.to_string())
    };
    assert_eq!(
        ascii("\"a b\"@Bücher.test"),
        Ok("\"a b\"@xn--bcher-kva.test".into())
    );
    assert_eq!(ascii("grün@bücher.test"), Ok("grün@xn--bcher-kva.test".into()));
    assert_eq!(ascii("a@[IPv6:0::1]"), Ok("a@[IPv6:0::1]".into()));
    assert!(ascii("a@\u{308}a.test").is_err());
}

proptest! {
    #[test]
    fn conversion_stops_where_it_arrived(text in "[a-zA-Z0-9äÖßéñ例ПривётΣςα\u{301}\u{308}.-]{1,30}|\\PC{1,20}") {
        if let Ok(domain) = Domain::parse(&text)
            && let Ok(ascii) = domain.to_ascii()
        {
            prop_assert!(ascii.is_ascii() && ascii.as_str().len() <= 253);
            let again = ascii.to_ascii().unwrap();
            prop_assert_eq!(again.as_str(), ascii.as_str());
            prop_assert!(domain.same_as(&ascii));
            if let Ok(unicode) = ascii.to_unicode() {
                prop_assert_eq!(unicode.to_ascii(), Ok(ascii));
                prop_assert!(unicode.same_as(&domain));
            }
        }
    }
}
