//! What the operator decides for one domain.

use super::Case;
use crate::support::{name, relay};
use mailwright_mx::{Rule, TlsRule};

pub(super) const CASES: &[Case] = &[
    Case {
        what: "rule for mail exchangers: Cleartext, whatever is published",
        setup: |config| {
            config.add_rule(name("b.test"), Rule::by_mx(TlsRule::Cleartext));
        },
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "enforce other.test"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25/clear",
    },
    Case {
        what: "rule for mail exchangers: Opportunistic, whatever is published",
        setup: |config| {
            config.add_rule(name("b.test"), Rule::by_mx(TlsRule::Opportunistic));
        },
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "enforce other.test"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "rule for mail exchangers: Encrypted, whatever is published",
        setup: |config| {
            config.add_rule(name("b.test"), Rule::by_mx(TlsRule::Encrypted));
        },
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "enforce other.test"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25/encrypted",
    },
    Case {
        what: "rule for mail exchangers: Verified, whatever is published",
        setup: |config| {
            config.add_rule(name("b.test"), Rule::by_mx(TlsRule::Verified));
        },
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "enforce other.test"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "rule for mail exchangers: Implicit, whatever is published",
        setup: |config| {
            config.add_rule(name("b.test"), Rule::by_mx(TlsRule::Implicit));
        },
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "enforce other.test"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25/implicit",
    },
    Case {
        what: "rule for mail exchangers: automatic is as without",
        setup: |config| {
            config.add_rule(name("b.test"), Rule::by_mx(TlsRule::Automatic));
        },
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "secure TLSA 3 1 1"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25/dane:mx1.test",
    },
    Case {
        what: "a rule without relays goes past the smart host",
        setup: |config| {
            config.smart_hosts.push(relay("smart.test", 25));
            config.add_rule(name("b.test"), Rule::by_mx(TlsRule::Verified));
        },
        rows: &[("MX b.test", "MX 10 mx1.test"), ("A mx1.test", "A 192.0.2.1")],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "a rule with another port",
        setup: |config| {
            let mut rule = Rule::default();
            rule.port = Some(2525);
            config.add_rule(name("b.test"), rule);
        },
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _2525._tcp.mx1.test", "secure TLSA 3 1 1"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:2525/dane:mx1.test",
    },
    Case {
        what: "a relay at fixed addresses is not looked up",
        setup: |config| {
            let at = ["2001:db8::7".parse().unwrap(), "192.0.2.7".parse().unwrap()];
            let relay = relay("mx1.test", 25).at(at).with_tls(TlsRule::Verified);
            config.add_rule(name("b.test"), Rule::to([relay]));
        },
        rows: &[("A mx1.test", "servfail")],
        to: "b.test",
        route: "mx1.test@192.0.2.7:25/verified mx1.test@[2001:db8::7]:25/verified",
    },
    Case {
        what: "a relay at fixed addresses has no DANE",
        setup: |config| {
            let relay = relay("mx1.test", 25).at(["192.0.2.7".parse().unwrap()]);
            config.add_rule(name("b.test"), Rule::to([relay]));
        },
        rows: &[("TLSA _25._tcp.mx1.test", "secure TLSA 3 1 1")],
        to: "b.test",
        route: "mx1.test@192.0.2.7:25",
    },
    Case {
        what: "each relay by its own rule",
        setup: |config| {
            let relays = [
                relay("mx1.test", 465).with_tls(TlsRule::Implicit),
                relay("mx2.test", 25).with_tls(TlsRule::Cleartext),
            ];
            config.add_rule(name("b.test"), Rule::to(relays));
        },
        rows: &[("A mx1.test", "A 192.0.2.1"), ("A mx2.test", "A 192.0.2.2")],
        to: "b.test",
        route: "mx1.test@192.0.2.1:465/implicit mx2.test@192.0.2.2:25/clear",
    },
    Case {
        what: "a rule with subdomains holds for the domain",
        setup: |config| {
            let mut rule = Rule::to([relay("mx1.test", 25)]);
            rule.subdomains = true;
            config.add_rule(name("b.test"), rule);
            config.add_rule(name("own.b.test"), Rule::to([relay("mx2.test", 25)]));
        },
        rows: &[
            ("A mx1.test", "A 192.0.2.1"),
            ("A mx2.test", "A 192.0.2.2"),
            ("MX bb.test", "MX 10 mx2.test"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "a rule with subdomains holds below it",
        setup: |config| {
            let mut rule = Rule::to([relay("mx1.test", 25)]);
            rule.subdomains = true;
            config.add_rule(name("b.test"), rule);
            config.add_rule(name("own.b.test"), Rule::to([relay("mx2.test", 25)]));
        },
        rows: &[
            ("A mx1.test", "A 192.0.2.1"),
            ("A mx2.test", "A 192.0.2.2"),
            ("MX bb.test", "MX 10 mx2.test"),
        ],
        to: "x.y.b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "a rule of its own goes before that of the parent",
        setup: |config| {
            let mut rule = Rule::to([relay("mx1.test", 25)]);
            rule.subdomains = true;
            config.add_rule(name("b.test"), rule);
            config.add_rule(name("own.b.test"), Rule::to([relay("mx2.test", 25)]));
        },
        rows: &[
            ("A mx1.test", "A 192.0.2.1"),
            ("A mx2.test", "A 192.0.2.2"),
            ("MX bb.test", "MX 10 mx2.test"),
        ],
        to: "own.b.test",
        route: "mx2.test@192.0.2.2:25",
    },
    Case {
        what: "a rule without subdomains ends at its domain, and the search goes on above it",
        setup: |config| {
            let mut rule = Rule::to([relay("mx1.test", 25)]);
            rule.subdomains = true;
            config.add_rule(name("b.test"), rule);
            config.add_rule(name("own.b.test"), Rule::to([relay("mx2.test", 25)]));
        },
        rows: &[
            ("A mx1.test", "A 192.0.2.1"),
            ("A mx2.test", "A 192.0.2.2"),
            ("MX bb.test", "MX 10 mx2.test"),
        ],
        to: "x.own.b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "a rule with subdomains does not hold for a name that ends alike",
        setup: |config| {
            let mut rule = Rule::to([relay("mx1.test", 25)]);
            rule.subdomains = true;
            config.add_rule(name("b.test"), rule);
            config.add_rule(name("own.b.test"), Rule::to([relay("mx2.test", 25)]));
        },
        rows: &[
            ("A mx1.test", "A 192.0.2.1"),
            ("A mx2.test", "A 192.0.2.2"),
            ("MX bb.test", "MX 10 mx2.test"),
        ],
        to: "bb.test",
        route: "mx2.test@192.0.2.2:25",
    },
];
