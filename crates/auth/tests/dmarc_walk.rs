//! DMARC: where the tree walk of RFC 9989 looks, and what it finds.

#![allow(clippy::unwrap_used)]

mod zone;

use mailwright_auth::dmarc::Config;
use mailwright_dns::Name;
use zone::Zone;
use zone::dmarc::{check, zone_of};

/// The records; the author's domain; the organizational domain; where the policy is; the policy.
const WALKS: &[(&str, &str, &str, &str, &str)] = &[
    // No record anywhere.
    ("", "a.test", "a.test", "-", "none"),
    ("", "mail.a.test", "mail.a.test", "-", "none"),
    ("b.test p=reject", "a.test", "a.test", "-", "none"),
    // At the domain itself.
    ("a.test p=reject", "a.test", "a.test", "a.test", "reject"),
    ("a.test p=quarantine", "a.test", "a.test", "a.test", "quarantine"),
    ("a.test p=none", "a.test", "a.test", "a.test", "none"),
    (
        "mail.a.test p=reject",
        "mail.a.test",
        "mail.a.test",
        "mail.a.test",
        "reject",
    ),
    ("a.test p=reject", "A.TEST", "a.test", "a.test", "reject"),
    // Inherited from above.
    ("a.test p=reject", "mail.a.test", "a.test", "a.test", "reject"),
    ("a.test p=reject", "x.y.z.a.test", "a.test", "a.test", "reject"),
    (
        "a.test p=reject; sp=none",
        "mail.a.test",
        "a.test",
        "a.test",
        "none",
    ),
    (
        "a.test p=none; sp=quarantine",
        "mail.a.test",
        "a.test",
        "a.test",
        "quarantine",
    ),
    ("a.test p=reject; sp=none", "a.test", "a.test", "a.test", "reject"),
    // The own record counts, the shortest name is the organization.
    (
        "mail.a.test p=none, a.test p=reject",
        "mail.a.test",
        "a.test",
        "mail.a.test",
        "none",
    ),
    (
        "mail.a.test p=reject; sp=none, a.test p=none",
        "mail.a.test",
        "a.test",
        "mail.a.test",
        "reject",
    ),
    // A record between is passed over.
    (
        "mail.a.test p=none, a.test p=reject",
        "x.mail.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "mail.a.test p=none; sp=none, a.test p=none; sp=reject",
        "x.mail.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "y.a.test p=none, z.y.a.test p=none, a.test p=reject",
        "x.z.y.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    // A record at the top without psd= makes it the organization.
    ("test p=reject", "a.test", "test", "test", "reject"),
    ("test p=reject, a.test p=none", "a.test", "test", "a.test", "none"),
    (
        "test p=reject, a.test p=none",
        "mail.a.test",
        "test",
        "test",
        "reject",
    ),
    // Public suffixes.
    ("test p=reject; psd=y", "a.test", "a.test", "test", "reject"),
    (
        "test p=none; sp=reject; psd=y",
        "a.test",
        "a.test",
        "test",
        "reject",
    ),
    ("test p=reject; psd=y", "mail.a.test", "a.test", "test", "reject"),
    (
        "test p=reject; psd=y, a.test p=none",
        "mail.a.test",
        "a.test",
        "a.test",
        "none",
    ),
    (
        "test p=reject; psd=y, a.test p=none",
        "a.test",
        "a.test",
        "a.test",
        "none",
    ),
    (
        "test p=reject; psd=y, mail.a.test p=none",
        "mail.a.test",
        "a.test",
        "mail.a.test",
        "none",
    ),
    (
        "test p=reject; psd=y, mail.a.test p=none",
        "x.mail.a.test",
        "a.test",
        "test",
        "reject",
    ),
    (
        "co.test p=reject; psd=y",
        "a.co.test",
        "a.co.test",
        "co.test",
        "reject",
    ),
    (
        "co.test p=reject; psd=y",
        "mail.a.co.test",
        "a.co.test",
        "co.test",
        "reject",
    ),
    (
        "co.test p=reject; psd=y, test p=none; psd=y",
        "a.co.test",
        "a.co.test",
        "co.test",
        "reject",
    ),
    (
        "co.test p=reject; psd=y, test p=none; psd=y",
        "b.test",
        "b.test",
        "test",
        "none",
    ),
    // A suffix as author is its own organization.
    ("test p=reject; psd=y", "test", "test", "test", "reject"),
    (
        "co.test p=reject; psd=y, test p=none; psd=y",
        "co.test",
        "co.test",
        "co.test",
        "reject",
    ),
    (
        "co.test p=reject; sp=none; psd=y",
        "co.test",
        "co.test",
        "co.test",
        "reject",
    ),
    // psd=n says where the organization is.
    (
        "a.test p=reject; psd=n, test p=none",
        "a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "a.test p=reject; psd=n, test p=none",
        "mail.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "mail.a.test p=reject; psd=n, a.test p=none",
        "mail.a.test",
        "mail.a.test",
        "mail.a.test",
        "reject",
    ),
    (
        "mail.a.test p=reject; psd=n, a.test p=none",
        "x.mail.a.test",
        "mail.a.test",
        "mail.a.test",
        "reject",
    ),
    (
        "mail.a.test p=reject; psd=n, a.test p=none",
        "b.a.test",
        "a.test",
        "a.test",
        "none",
    ),
    // psd=u is the default; what is malformed is the default too.
    (
        "a.test p=reject; psd=u, test p=none; psd=u",
        "a.test",
        "test",
        "a.test",
        "reject",
    ),
    (
        "a.test p=reject; psd=x",
        "mail.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    // What is no record, or one too many, is passed over.
    (
        "mail.a.test p=none, mail.a.test p=none, a.test p=reject",
        "mail.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "a.test p=wrong, test p=reject; psd=y",
        "a.test",
        "a.test",
        "test",
        "reject",
    ),
    (
        "a.test p=wrong; rua=mailto:x@a.test",
        "a.test",
        "a.test",
        "a.test",
        "none",
    ),
    (
        "a.test p=reject; sp=wrong; rua=mailto:x@a.test",
        "mail.a.test",
        "a.test",
        "a.test",
        "none",
    ),
    ("a.test rua=mailto:x@a.test", "a.test", "a.test", "a.test", "none"),
    ("a.test sp=reject", "mail.a.test", "a.test", "a.test", "reject"),
    // np= is for names that do not exist, if the record is not their own.
    (
        "a.test p=none; np=reject, mail.a.test A",
        "mail.a.test",
        "a.test",
        "a.test",
        "none",
    ),
    (
        "a.test p=none; np=reject",
        "gone.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "a.test p=none; sp=quarantine; np=reject",
        "gone.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "a.test p=reject; sp=quarantine; np=none",
        "gone.a.test",
        "a.test",
        "a.test",
        "none",
    ),
    (
        "a.test p=none; sp=reject",
        "gone.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "a.test p=none; np=reject, x.mail.a.test A",
        "mail.a.test",
        "a.test",
        "a.test",
        "none",
    ),
    (
        "test p=none; np=reject; psd=y",
        "gone.test",
        "gone.test",
        "test",
        "reject",
    ),
    (
        "test p=none; np=reject; psd=y, here.test A",
        "here.test",
        "here.test",
        "test",
        "none",
    ),
    // Long names: after the first question, seven labels are left.
    (
        "a.test p=reject",
        "l1.l2.l3.l4.l5.l6.l7.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "l3.l4.l5.l6.l7.a.test p=none, a.test p=reject",
        "l1.l2.l3.l4.l5.l6.l7.a.test",
        "a.test",
        "a.test",
        "reject",
    ),
    (
        "l2.l3.l4.l5.l6.l7.a.test p=none; psd=n",
        "l1.l2.l3.l4.l5.l6.l7.a.test",
        "l1.l2.l3.l4.l5.l6.l7.a.test",
        "-",
        "none",
    ),
    (
        "l3.l4.l5.l6.l7.a.test p=reject; psd=n",
        "l1.l2.l3.l4.l5.l6.l7.a.test",
        "l3.l4.l5.l6.l7.a.test",
        "l3.l4.l5.l6.l7.a.test",
        "reject",
    ),
    (
        "b.l3.l4.l5.l6.a.test p=none, a.test p=reject",
        "b.l3.l4.l5.l6.a.test",
        "a.test",
        "b.l3.l4.l5.l6.a.test",
        "none",
    ),
    (
        "l2.l3.l4.l5.l6.a.test p=reject; psd=n",
        "l1.l2.l3.l4.l5.l6.a.test",
        "l2.l3.l4.l5.l6.a.test",
        "l2.l3.l4.l5.l6.a.test",
        "reject",
    ),
    // U-labels.
    (
        "xn--bcher-kva.test p=reject",
        "bücher.test",
        "xn--bcher-kva.test",
        "xn--bcher-kva.test",
        "reject",
    ),
    (
        "xn--bcher-kva.test p=reject",
        "mail.bücher.test",
        "xn--bcher-kva.test",
        "xn--bcher-kva.test",
        "reject",
    ),
];

#[test]
fn tree_walks() {
    assert!(WALKS.len() >= 60, "{}", WALKS.len());
    for (records, author, organization, policy_at, policy) in WALKS {
        let mut zone = zone_of(records);
        let report = check(&mut zone, author, "", "", Config::default());
        let text = |name: &Option<Name>| {
            name.as_ref()
                .map_or("-".to_owned(), ToString::to_string)
                .to_lowercase()
        };
        let found = (
            text(&report.organizational_domain),
            text(&report.policy_domain),
            report.policy.to_string(),
        );
        let expected = (
            (*organization).to_owned(),
            (*policy_at).to_owned(),
            (*policy).to_owned(),
        );
        assert_eq!(found, expected, "{author} with {records:?}");
        assert!(zone.asked.len() <= 9, "{author}: {:?}", zone.asked);
        assert_eq!(report.disposition, report.policy);
    }
}

/// RFC 9989 §4.10: the names asked for, and no more.
#[test]
fn the_names_that_are_asked_for() {
    let mut zone = Zone::new();
    check(
        &mut zone,
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "",
        "",
        Config::default(),
    );
    let asked: Vec<String> = zone
        .asked
        .iter()
        .map(|question| question.name.to_string())
        .collect();
    assert_eq!(
        asked,
        [
            "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
            "_dmarc.g.h.i.j.mail.example.com",
            "_dmarc.h.i.j.mail.example.com",
            "_dmarc.i.j.mail.example.com",
            "_dmarc.j.mail.example.com",
            "_dmarc.mail.example.com",
            "_dmarc.example.com",
            "_dmarc.com",
        ]
    );
}
