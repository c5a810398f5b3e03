//! Those with settings; the others are in `hosts.txt`.

use super::{A1, A2, A3, Case};

pub(super) const CASES: &[Case] = &[
    Case {
        what: "loopback addresses are others, by configuration",
        setup: |config| config.loopback_is_own = false,
        rows: &[("MX b.test", "MX 10 mx1.test"), ("A mx1.test", "A 127.0.0.2")],
        to: "b.test",
        route: "mx1.test@127.0.0.2:25",
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
