//! What the planner makes of what DNS says, case by case.

mod support;

use core::net::IpAddr;
use mailwright_mx::{Config, Families};
use support::{Order, Rows, name, plan, relay, render};

/// Answers, a destination, and the route. The host itself is `own.test` and `alias.own.test`, at 192.0.2.99 and
/// 2001:db8::99.
struct Case {
    what: &'static str,
    setup: fn(&mut Config),
    rows: Rows<'static>,
    to: &'static str,
    route: &'static str,
}

fn plain(_: &mut Config) {}

const A1: (&str, &str) = ("A mx1.test", "A 192.0.2.1");
const A2: (&str, &str) = ("A mx2.test", "A 192.0.2.2");
const A3: (&str, &str) = ("A mx3.test", "A 192.0.2.3");

const CASES: &[Case] = &[
    // --- mail exchangers ---
    Case {
        what: "one mail exchanger",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test"), A1],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "sorted by preference, whatever the order in DNS",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 30 mx3.test, 10 mx1.test, 20 mx2.test"),
            A1,
            A2,
            A3,
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25 mx2.test@192.0.2.2:25 mx3.test@192.0.2.3:25",
    },
    Case {
        what: "preferences are numbers from 0 to 65535",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 65535 mx3.test, 9 mx2.test, 0 mx1.test"),
            A1,
            A2,
            A3,
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25 mx2.test@192.0.2.2:25 mx3.test@192.0.2.3:25",
    },
    Case {
        what: "a host that is named twice counts once, with its best preference",
        setup: plain,
        rows: &[("MX b.test", "MX 30 mx1.test, 20 mx2.test, 10 MX1.test"), A1, A2],
        to: "b.test",
        route: "MX1.test@192.0.2.1:25 mx2.test@192.0.2.2:25",
    },
    Case {
        what: "two hosts at one address are one attempt",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            A1,
            ("A mx2.test", "A 192.0.2.1"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "IPv6 only",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("AAAA mx1.test", "AAAA 2001:db8::1"),
        ],
        to: "b.test",
        route: "mx1.test@[2001:db8::1]:25",
    },
    Case {
        what: "both families, IPv4 first",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            A1,
            ("AAAA mx1.test", "AAAA 2001:db8::1"),
            A2,
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25 mx1.test@[2001:db8::1]:25 mx2.test@192.0.2.2:25",
    },
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
    Case {
        what: "U-labels",
        setup: plain,
        rows: &[("MX xn--bcher-kva.test", "MX 10 mx1.test"), A1],
        to: "bücher.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "the domain is an alias",
        setup: plain,
        rows: &[("MX www.test", "alias b.test MX 10 mx1.test"), A1],
        to: "www.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "the mail exchanger is an alias: tolerated",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "alias real.test A 192.0.2.1"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    // --- null MX ---
    Case {
        what: "null MX",
        setup: plain,
        rows: &[("MX b.test", "MX 0 ."), ("A b.test", "A 192.0.2.1")],
        to: "b.test",
        route: "556 5.1.10",
    },
    Case {
        what: "null MX with another preference",
        setup: plain,
        rows: &[("MX b.test", "MX 10 .")],
        to: "b.test",
        route: "556 5.1.10",
    },
    Case {
        what: "null MX twice",
        setup: plain,
        rows: &[("MX b.test", "MX 0 ., 10 .")],
        to: "b.test",
        route: "556 5.1.10",
    },
    Case {
        what: "null MX beside another is ignored",
        setup: plain,
        rows: &[("MX b.test", "MX 0 ., 10 mx1.test"), A1],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "null MX behind an alias",
        setup: plain,
        rows: &[("MX www.test", "alias b.test MX 0 .")],
        to: "www.test",
        route: "556 5.1.10",
    },
    // --- implicit MX ---
    Case {
        what: "implicit MX",
        setup: plain,
        rows: &[("MX b.test", "none"), ("A b.test", "A 192.0.2.1")],
        to: "b.test",
        route: "b.test@192.0.2.1:25",
    },
    Case {
        what: "implicit MX over IPv6",
        setup: plain,
        rows: &[("MX b.test", "none"), ("AAAA b.test", "AAAA 2001:db8::1")],
        to: "b.test",
        route: "b.test@[2001:db8::1]:25",
    },
    Case {
        what: "implicit MX of the name behind an alias",
        setup: plain,
        rows: &[("MX www.test", "alias b.test none"), ("A b.test", "A 192.0.2.1")],
        to: "www.test",
        route: "b.test@192.0.2.1:25",
    },
    Case {
        what: "no MX and no address",
        setup: plain,
        rows: &[("MX b.test", "none")],
        to: "b.test",
        route: "550 5.1.2",
    },
    Case {
        what: "no implicit MX beside MX records that lead nowhere",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test"), ("A b.test", "A 192.0.2.1")],
        to: "b.test",
        route: "550 5.4.4",
    },
    Case {
        what: "implicit MX is this host",
        setup: plain,
        rows: &[("MX own.test", "none"), ("A own.test", "A 192.0.2.99")],
        to: "own.test",
        route: "554 5.4.6",
    },
    Case {
        what: "implicit MX is this host by its address",
        setup: plain,
        rows: &[("MX b.test", "none"), ("A b.test", "A 192.0.2.99")],
        to: "b.test",
        route: "554 5.4.6",
    },
    Case {
        what: "implicit MX: one lookup fails, the other has nothing",
        setup: plain,
        rows: &[("MX b.test", "none"), ("A b.test", "servfail")],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "implicit MX: one lookup fails, the other has an address",
        setup: plain,
        rows: &[
            ("MX b.test", "none"),
            ("A b.test", "A 192.0.2.1"),
            ("AAAA b.test", "servfail"),
        ],
        to: "b.test",
        route: "b.test@192.0.2.1:25",
    },
    // --- the MX lookup fails ---
    Case {
        what: "the domain does not exist",
        setup: plain,
        rows: &[("MX b.test", "nxdomain"), ("A b.test", "A 192.0.2.1")],
        to: "b.test",
        route: "550 5.1.2",
    },
    Case {
        what: "the domain behind an alias does not exist",
        setup: plain,
        rows: &[("MX www.test", "alias b.test nxdomain")],
        to: "www.test",
        route: "550 5.1.2",
    },
    Case {
        what: "SERVFAIL for MX is no implicit MX",
        setup: plain,
        rows: &[("MX b.test", "servfail"), ("A b.test", "A 192.0.2.1")],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "REFUSED for MX",
        setup: plain,
        rows: &[("MX b.test", "refused"), ("A b.test", "A 192.0.2.1")],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "timeout for MX",
        setup: plain,
        rows: &[("MX b.test", "timeout"), ("A b.test", "A 192.0.2.1")],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "aliases in a circle for MX",
        setup: plain,
        rows: &[("MX b.test", "loop")],
        to: "b.test",
        route: "451 4.4.3",
    },
    // --- address lookups fail ---
    Case {
        what: "A SERVFAIL, AAAA none",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test"), ("A mx1.test", "servfail")],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "A none, AAAA SERVFAIL",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test"), ("AAAA mx1.test", "servfail")],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "A timeout, AAAA timeout",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "timeout"),
            ("AAAA mx1.test", "timeout"),
        ],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "A REFUSED, AAAA NXDOMAIN",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "refused"),
            ("AAAA mx1.test", "nxdomain"),
        ],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "A SERVFAIL, AAAA found",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "servfail"),
            ("AAAA mx1.test", "AAAA 2001:db8::1"),
        ],
        to: "b.test",
        route: "mx1.test@[2001:db8::1]:25",
    },
    Case {
        what: "A found, AAAA timeout",
        setup: plain,
        rows: &[("MX b.test", "MX 10 mx1.test"), A1, ("AAAA mx1.test", "timeout")],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "both NXDOMAIN",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "nxdomain"),
            ("AAAA mx1.test", "nxdomain"),
        ],
        to: "b.test",
        route: "550 5.4.4",
    },
    Case {
        what: "the best host fails, the next is found",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            ("A mx1.test", "servfail"),
            A2,
        ],
        to: "b.test",
        route: "mx2.test@192.0.2.2:25",
    },
    Case {
        what: "the best host has no address, the next is found",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            ("A mx1.test", "nxdomain"),
            A2,
        ],
        to: "b.test",
        route: "mx2.test@192.0.2.2:25",
    },
    Case {
        what: "one host fails, the other has no address: not permanent",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test, 20 mx2.test"),
            ("A mx2.test", "servfail"),
        ],
        to: "b.test",
        route: "451 4.4.3",
    },
    Case {
        what: "aliases of a mail exchanger in a circle",
        setup: plain,
        rows: &[
            ("MX b.test", "MX 10 mx1.test"),
            ("A mx1.test", "loop"),
            ("AAAA mx1.test", "loop"),
        ],
        to: "b.test",
        route: "451 4.4.3",
    },
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

fn config() -> Config {
    let mut config = Config::default();
    config.own_names = vec![name("own.test"), name("alias.own.test")];
    config.own_addresses = vec![
        IpAddr::from([192, 0, 2, 99]),
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99]),
    ];
    config
}

#[test]
fn scenarios() {
    let mut wrong = Vec::new();
    for case in CASES {
        let mut config = config();
        (case.setup)(&mut config);
        for order in [Order::AtOnce, Order::FirstToLast, Order::LastToFirst] {
            for seed in [0, 7] {
                let (route, _) = plan(case.to, &config, case.rows, seed, order);
                let rendered = render(&route);
                if rendered != case.route {
                    wrong.push(format!(
                        "{} ({order:?}):\n  route    {rendered}\n  expected {}\n{route}",
                        case.what, case.route
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: std::collections::HashSet<&str> = CASES.iter().map(|case| case.what).collect();
    assert_eq!(names.len(), CASES.len());
    assert!(CASES.len() >= 60);
}
