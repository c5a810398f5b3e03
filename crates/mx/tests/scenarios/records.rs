//! Those with settings; the others are in `records.txt`.

use super::{A1, Case};
use mailwright_mx::Families;

pub(super) const CASES: &[Case] = &[
    Case {
        what: "both families, IPv6 first",
        setup: |config| config.families = Families::PreferIpv6,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            A1,
            ("AAAA mx1.test", "AAAA 2001:db8::1"),
        ],
        to: "b.test",
        route: "mx1.test@[2001:db8::1]:25 mx1.test@192.0.2.1:25",
    },
    Case {
        what: "IPv4 only, by configuration",
        setup: |config| config.families = Families::Ipv4Only,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            A1,
            ("AAAA mx1.test", "AAAA 2001:db8::1"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "IPv6 only, by configuration, and there is none",
        setup: |config| config.families = Families::Ipv6Only,
        rows: &[("MX b.test", "MX 10 mx1.test"), A1],
        to: "b.test",
        route: "550 5.4.4",
    },
    Case {
        what: "another port",
        setup: |config| config.port = 2525,
        rows: &[("MX b.test", "MX 10 mx1.test"), A1],
        to: "b.test",
        route: "mx1.test@192.0.2.1:2525",
    },
];
