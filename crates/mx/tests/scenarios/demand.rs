//! What the sender asks of TLS: REQUIRETLS, and `TLS-Required: No`.

use super::{Case, plain};
use crate::support::relay;
use mailwright_mx::TlsRule;

pub(super) const CASES: &[Case] = &[
    Case {
        what: "REQUIRETLS: DANE will do",
        setup: plain,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "secure TLSA 3 1 1"),
        ],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:25/dane:mx1.test",
    },
    Case {
        what: "REQUIRETLS: a name that DNSSEC vouches for will do, with a verified certificate",
        setup: plain,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "secure none"),
        ],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "REQUIRETLS: a name that MTA-STS vouches for will do",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "A 192.0.2.1"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "enforce mx1.test"),
        ],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "REQUIRETLS: in testing as well",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "A 192.0.2.1"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "testing mx1.test"),
        ],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "REQUIRETLS: but only hosts that are listed",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "A 192.0.2.1"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "testing other.test"),
        ],
        to: "requiretls b.test",
        route: "550 5.7.10",
    },
    Case {
        what: "REQUIRETLS: an unsigned zone without MTA-STS will not do",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test"), ("A mx1.test", "A 192.0.2.1")],
        to: "requiretls b.test",
        route: "550 5.7.10",
    },
    Case {
        what: "REQUIRETLS: unusable TLSA records leave the usual certificates",
        setup: plain,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "secure TLSA 1 1 1"),
        ],
        to: "requiretls b.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "REQUIRETLS: a failed lookup is no refusal",
        setup: plain,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
        ],
        to: "requiretls b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "REQUIRETLS: a failed lookup of the MX is no refusal",
        setup: plain,
        rows: &[("MX b.test", "servfail")],
        to: "requiretls b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "REQUIRETLS: the domain itself is a sure name",
        setup: plain,
        rows: &[("MX b.test", "none"), ("A b.test", "A 192.0.2.9")],
        to: "requiretls b.test",
        route: "b.test@192.0.2.9:25/verified",
    },
    Case {
        what: "REQUIRETLS: an address has no name",
        setup: plain,
        rows: &[],
        to: "requiretls [192.0.2.7]",
        route: "550 5.7.10",
    },
    Case {
        what: "REQUIRETLS: a relay by name is the operator's word",
        setup: plain,
        rows: &[("A mx1.test", "A 192.0.2.1")],
        to: "requiretls relay mx1.test",
        route: "mx1.test@192.0.2.1:25/verified",
    },
    Case {
        what: "REQUIRETLS: a relay by address has no name",
        setup: plain,
        rows: &[],
        to: "requiretls relay 192.0.2.7",
        route: "550 5.7.10",
    },
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
        what: "TLS-Required: No: past DANE",
        setup: plain,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "secure TLSA 3 1 1"),
        ],
        to: "tlsoptional b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "TLS-Required: No: past TLSA records that cannot be looked up",
        setup: plain,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
        ],
        to: "tlsoptional b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "TLS-Required: No: past MTA-STS",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "A 192.0.2.1"),
            ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
            ("HTTPS b.test", "enforce other.test"),
        ],
        to: "tlsoptional b.test",
        route: "mx1.test@192.0.2.1:25",
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
