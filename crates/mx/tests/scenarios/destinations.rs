//! Literals, relays, and what the operator decides.

use super::{A1, A2, Case, plain};
use crate::support::{name, relay};

pub(super) const CASES: &[Case] = &[
    // --- literals ---
    Case {
        what: "IPv4 literal",
        setup: plain,
        rows: &[],
        to: "[192.0.2.7]",
        route: "[192.0.2.7]@192.0.2.7:25",
    },
    Case {
        what: "IPv6 literal",
        setup: plain,
        rows: &[],
        to: "[IPv6:2001:db8::7]",
        route: "[2001:db8::7]@[2001:db8::7]:25",
    },
    Case {
        what: "own address as literal",
        setup: plain,
        rows: &[],
        to: "[192.0.2.99]",
        route: "554 5.4.6",
    },
    Case {
        what: "loopback as literal",
        setup: plain,
        rows: &[],
        to: "[127.0.0.1]",
        route: "554 5.4.6",
    },
    Case {
        what: "nowhere as literal",
        setup: plain,
        rows: &[],
        to: "[0.0.0.0]",
        route: "550 5.1.2",
    },
    Case {
        what: "literal of another network",
        setup: plain,
        rows: &[],
        to: "[X25:12345]",
        route: "550 5.1.2",
    },
    // --- relays ---
    Case {
        what: "a relay by name, without MX",
        setup: plain,
        rows: &[("MX mx1.test", "MX 10 mx2.test"), A1],
        to: "relay mx1.test:587",
        route: "mx1.test@192.0.2.1:587",
    },
    Case {
        what: "relays in the given order",
        setup: plain,
        rows: &[A1, A2],
        to: "relay mx2.test:26 mx1.test:587 [2001:db8::5]:25",
        route: "mx2.test@192.0.2.2:26 mx1.test@192.0.2.1:587 [2001:db8::5]@[2001:db8::5]:25",
    },
    Case {
        what: "a relay on loopback or on this host",
        setup: plain,
        rows: &[("A own.test", "A 192.0.2.99")],
        to: "relay 127.0.0.1:10025 own.test:10026",
        route: "[127.0.0.1]@127.0.0.1:10025 own.test@192.0.2.99:10026",
    },
    Case {
        what: "a relay at two ports",
        setup: plain,
        rows: &[A1],
        to: "relay mx1.test:25 mx1.test:587",
        route: "mx1.test@192.0.2.1:25 mx1.test@192.0.2.1:587",
    },
    Case {
        what: "a relay that does not exist is no reason to bounce",
        setup: plain,
        rows: &[("A mx1.test", "nxdomain"), ("AAAA mx1.test", "nxdomain")],
        to: "relay mx1.test:25",
        route: "451 4.4.4",
    },
    Case {
        what: "a relay that cannot be looked up",
        setup: plain,
        rows: &[("A mx1.test", "servfail")],
        to: "relay mx1.test:25",
        route: "451 4.4.3",
    },
    // --- what the operator decides ---
    Case {
        what: "a fixed route",
        setup: |config| config.add_route(name("B.test"), vec![relay("127.0.0.1:2025", 25)]),
        rows: &[("MX b.test", "MX 10 mx1.test"), A1],
        to: "b.test",
        route: "[127.0.0.1]@127.0.0.1:2025",
    },
    Case {
        what: "a fixed route is for its domain alone",
        setup: |config| config.add_route(name("b.test"), vec![relay("127.0.0.1:2025", 25)]),
        rows: &[("MX sub.b.test", "MX 10 mx1.test"), A1],
        to: "sub.b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "a smart host for everything",
        setup: |config| config.smart_hosts.push(relay("mx1.test", 587)),
        rows: &[("MX b.test", "MX 10 mx2.test"), A1, A2],
        to: "b.test",
        route: "mx1.test@192.0.2.1:587",
    },
    Case {
        what: "a smart host for literals",
        setup: |config| config.smart_hosts.push(relay("mx1.test", 587)),
        rows: &[A1],
        to: "[192.0.2.7]",
        route: "mx1.test@192.0.2.1:587",
    },
    Case {
        what: "a fixed route goes before a smart host",
        setup: |config| {
            config.smart_hosts.push(relay("mx1.test", 587));
            config.add_route(name("b.test"), vec![relay("mx2.test", 25)]);
        },
        rows: &[A1, A2],
        to: "b.test",
        route: "mx2.test@192.0.2.2:25",
    },
    Case {
        what: "the second smart host, when the first has no address",
        setup: |config| {
            config.smart_hosts.push(relay("mx1.test", 587));
            config.smart_hosts.push(relay("mx2.test", 587));
        },
        rows: &[("A mx1.test", "servfail"), A2],
        to: "b.test",
        route: "mx2.test@192.0.2.2:587",
    },
];
