//! Those with settings; the others are in `destinations.txt`.

use super::{A1, A2, Case};
use crate::support::{name, relay};

pub(super) const CASES: &[Case] = &[
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
