//! Those with settings; the others are in `sts.txt`.

use super::Case;

pub(super) const CASES: &[Case] = &[Case {
    what: "MTA-STS can be turned off",
    setup: |config| config.sts = false,
    rows: &[
        ("MX b.test", "MX 10 mx1.test"),
        ("A mx1.test", "A 192.0.2.1"),
        ("TXT _mta-sts.b.test", "TXT v=STSv1; id=id1;"),
        ("HTTPS b.test", "enforce other.test"),
    ],
    to: "b.test",
    route: "mx1.test@192.0.2.1:25",
}];
