//! Those with settings; the others are in `demand.txt`.

use super::Case;
use crate::support::relay;
use mailwright_mx::TlsRule;

pub(super) const CASES: &[Case] = &[
    Case {
        what: "REQUIRETLS: more than the operator's cleartext",
        setup: |config| {
            config
                .smart_hosts
                .push(relay("mx1.test", 25).with_tls(TlsRule::Cleartext));
        },
        rows: &[("A mx1.test", "A 192.0.2.1")],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "REQUIRETLS: more than the operator's opportunistic",
        setup: |config| {
            config
                .smart_hosts
                .push(relay("mx1.test", 25).with_tls(TlsRule::Opportunistic));
        },
        rows: &[("A mx1.test", "A 192.0.2.1")],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "REQUIRETLS: more than the operator's encrypted",
        setup: |config| {
            config
                .smart_hosts
                .push(relay("mx1.test", 25).with_tls(TlsRule::Encrypted));
        },
        rows: &[("A mx1.test", "A 192.0.2.1")],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "REQUIRETLS: implicit TLS stays implicit",
        setup: |config| {
            config
                .smart_hosts
                .push(relay("mx1.test", 465).with_tls(TlsRule::Implicit));
        },
        rows: &[("A mx1.test", "A 192.0.2.1")],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:465/implicit",
    },
    Case {
        what: "TLS-Required: No: not past the operator",
        setup: |config| {
            config.add_rule(
                crate::support::name("b.test"),
                mailwright_mx::Rule::by_mx(TlsRule::Verified),
            );
        },
        rows: &[("MX b.test", "MX 10 mx1.test"), ("A mx1.test", "A 192.0.2.1")],
        to: "tlsoptional b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
];
