//! Those with settings; the others are in `dane.txt`.

use super::Case;
use mailwright_mx::Families;

pub(super) const CASES: &[Case] = &[
    // --- settings ---
    Case {
        what: "DANE can be turned off",
        setup: |config| config.dane = false,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
    Case {
        what: "TLSA records stand at the port that is used",
        setup: |config| config.port = 2525,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "secure A 192.0.2.1"),
            ("TLSA _25._tcp.mx1.test", "servfail"),
            ("TLSA _2525._tcp.mx1.test", "secure TLSA 3 1 1"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:2525/dane:mx1.test",
    },
    Case {
        what: "with one family its answer decides",
        setup: |config| config.families = Families::Ipv4Only,
        rows: &[
            ("MX b.test", "secure MX 10 mx1.test"),
            ("A mx1.test", "A 192.0.2.1"),
            ("AAAA mx1.test", "secure AAAA 2001:db8::1"),
            ("TLSA _25._tcp.mx1.test", "secure TLSA 3 1 1"),
        ],
        to: "b.test",
        route: "mx1.test@192.0.2.1:25",
    },
];
