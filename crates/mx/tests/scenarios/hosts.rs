//! This host among the mail exchangers, useless records, limits.

use super::{A1, A2, A3, Case, plain};

pub(super) const CASES: &[Case] = &[
    // --- this host among the mail exchangers ---
    Case {
        what: "own host in the middle, by name",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test, 20 own.test, 30 mx3.test"), A1, A3],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "own host by its other name, in another case",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 ALIAS.own.Test, 30 mx3.test"),
            A1,
            A3,
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "own host by its address",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test, 30 mx3.test"),
            A1,
            ("A mx2.test", "A 192.0.2.99"),
            A3,
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "own host by its IPv6 address",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test, 30 mx3.test"),
            A1,
            A2,
            ("AAAA mx2.test", "AAAA 2001:db8::99"),
            A3,
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "own host by one of several addresses",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            A1,
            ("A mx2.test", "A 192.0.2.2, 192.0.2.99"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "own host by an IPv4 address mapped into IPv6",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            A1,
            ("AAAA mx2.test", "AAAA ::ffff:192.0.2.99"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "own host by a loopback address",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            A1,
            ("A mx2.test", "A 127.0.0.2"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "loopback addresses are others, by configuration",
        setup: |config| config.loopback_is_own = false,
        rows: &[("MX b.test", "MX 10 mx1.test"), ("A mx1.test", "A 127.0.0.2")],
        to: "b.test",
        route: "mx1.test@127.0.0.2:25",
    },
    Case {
        what: "hosts with the preference of the own host go with it",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test, 20 mx2.test, 20 own.test"), A1, A2],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "own host is the best",
        setup: plain,
        rows: &[("MX b.test", "MX 10 own.test, 20 mx2.test"), A2],
        to: "b.test",
        route: "554 5.4.6",
    },
    Case {
        what: "own host is the best by its address",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            ("A mx1.test", "A 192.0.2.99"),
            A2,
        ],
        to: "b.test",
        route: "554 5.4.6",
    },
    Case {
        what: "own host is all there is",
        setup: plain,
        rows: &[("MX b.test", "MX 10 own.test")],
        to: "b.test",
        route: "554 5.4.6",
    },
    Case {
        what: "own host twice, by name in the middle and by address on top",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 own.test"),
            ("A mx1.test", "A 192.0.2.99"),
        ],
        to: "b.test",
        route: "554 5.4.6",
    },
    Case {
        what: "own host, and the better one cannot be looked up",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 own.test"),
            ("A mx1.test", "servfail"),
        ],
        to: "b.test",
        route: "451 4.4.4",
    },
    Case {
        what: "own host, and the better one has no address",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 own.test"),
            ("A mx1.test", "nxdomain"),
        ],
        to: "b.test",
        route: "451 4.4.4",
    },
    Case {
        what: "own host by address, and the better one cannot be looked up",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            ("A mx1.test", "timeout"),
            ("A mx2.test", "A 192.0.2.99"),
        ],
        to: "b.test",
        route: "451 4.4.4",
    },
    // --- useless records ---
    Case {
        what: "an address in place of a host name",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 192.0.2.1, 20 mx2.test"),
            ("A 192.0.2.1", "A 192.0.2.66"),
            A2,
        ],
        to: "b.test",
        route: "mx2.test@192.0.2.2:25",
    },
    Case {
        what: "nothing but an address in place of a host name",
        setup: plain,
        rows: &[("MX b.test", "MX 10 192.0.2.1")],
        to: "b.test",
        route: "550 5.4.4",
    },
    Case {
        what: "addresses that cannot be mail servers",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            ("A mx1.test", "A 0.0.0.0, 224.0.0.1, 255.255.255.255"),
            ("AAAA mx1.test", "AAAA ::, ff02::1, fe80::1"),
            A2,
        ],
        to: "b.test",
        route: "mx2.test@192.0.2.2:25",
    },
    Case {
        what: "no other addresses than such",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test"), ("A mx1.test", "A 0.0.0.0")],
        to: "b.test",
        route: "550 5.4.4",
    },
    // --- limits ---
    Case {
        what: "only the best hosts are looked at",
        setup: |config| config.max_hosts = 2,
        rows: &[
            ("MX b.test", "MX 30 mx3.test, 20 mx2.test, 10 mx1.test"),
            A1,
            A2,
            A3,
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25 mx2.test@192.0.2.2:25",
    },
    Case {
        what: "own host is seen beyond the limit of hosts",
        setup: |config| config.max_hosts = 1,
        rows: &[("MX b.test", "MX 10 own.test, 20 mx2.test"), A2],
        to: "b.test",
        route: "554 5.4.6",
    },
    Case {
        what: "only so many attempts",
        setup: |config| config.max_attempts = 2,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test, 30 mx3.test"),
            A1,
            A2,
            A3,
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25 mx2.test@192.0.2.2:25",
    },
    Case {
        what: "at least two attempts, whatever the limits",
        setup: |config| (config.max_attempts, config.max_addresses_per_host) = (0, 0),
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            A1,
            ("AAAA mx1.test", "AAAA 2001:db8::1"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25 mx1.test@[2001:db8::1]:25",
    },
];
