//! What the resolver makes of what servers say, case by case.
#![allow(clippy::unwrap_used)]

mod support;

use mailwright_dns::{Config, Name, Record};
use support::{World, render, script, servers};

/// A script, a question, what was sent for it, and the answer. Two servers; the first is trusted with AD.
struct Case {
    what: &'static str,
    script: &'static [(&'static str, &'static str)],
    ask: &'static str,
    sent: &'static str,
    answer: &'static str,
}

const CASES: &[Case] = &[
    // --- plain answers, one per type ---
    Case {
        what: "A",
        script: &[("A b.test", "b.test 300 A 192.0.2.1 | b.test 300 A 192.0.2.2")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1, 192.0.2.2",
    },
    Case {
        what: "AAAA",
        script: &[("AAAA b.test", "b.test 300 AAAA 2001:db8::1")],
        ask: "AAAA b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 2001:db8::1",
    },
    Case {
        what: "MX",
        script: &[(
            "MX b.test",
            "b.test 60 MX 10 mx1.b.test | b.test 60 MX 20 mx2.b.test",
        )],
        ask: "MX b.test",
        sent: "1u",
        answer: "b.test insecure 60s: 10 mx1.b.test, 20 mx2.b.test",
    },
    Case {
        what: "null MX",
        script: &[("MX b.test", "b.test 60 MX 0 .")],
        ask: "MX b.test",
        sent: "1u",
        answer: "b.test insecure 60s: 0 .",
    },
    Case {
        what: "TXT",
        script: &[("TXT b.test", "b.test 60 TXT v=spf1")],
        ask: "TXT b.test",
        sent: "1u",
        answer: "b.test insecure 60s: v=spf1",
    },
    Case {
        what: "TLSA",
        script: &[("TLSA _25._tcp.b.test", "_25._tcp.b.test 60 TLSA 3 1 1 | ad")],
        ask: "TLSA _25._tcp.b.test",
        sent: "1u",
        answer: "_25._tcp.b.test secure 60s: 3 1 1 32",
    },
    Case {
        what: "PTR",
        script: &[(
            "PTR 1.2.0.192.in-addr.arpa",
            "1.2.0.192.in-addr.arpa 60 PTR b.test",
        )],
        ask: "PTR 1.2.0.192.in-addr.arpa",
        sent: "1u",
        answer: "1.2.0.192.in-addr.arpa insecure 60s: b.test",
    },
    Case {
        what: "SOA",
        script: &[("SOA b.test", "b.test 60 SOA 30")],
        ask: "SOA b.test",
        sent: "1u",
        answer: "b.test insecure 60s: ns.test root.test 1 30",
    },
    Case {
        what: "CNAME asked for itself is not followed",
        script: &[("CNAME www.b.test", "www.b.test 60 CNAME b.test")],
        ask: "CNAME www.b.test",
        sent: "1u",
        answer: "www.b.test insecure 60s: b.test",
    },
    Case {
        what: "U-labels go out as A-labels",
        script: &[("MX xn--bcher-kva.test", "xn--bcher-kva.test 60 MX 1 mx.test")],
        ask: "MX bücher.test",
        sent: "1u",
        answer: "xn--bcher-kva.test insecure 60s: 1 mx.test",
    },
    // --- sets of records ---
    Case {
        what: "duplicates count once, the shortest TTL holds",
        script: &[(
            "A b.test",
            "b.test 300 A 192.0.2.1 | b.test 100 A 192.0.2.1 | b.test 200 A 192.0.2.2",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 100s: 192.0.2.1, 192.0.2.2",
    },
    Case {
        what: "TTL of a week is cut to a day",
        script: &[("A b.test", "b.test 604800 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 86400s: 192.0.2.1",
    },
    Case {
        what: "TTL with the top bit set is zero",
        script: &[("A b.test", "b.test 2147483649 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 0s: 192.0.2.1",
    },
    Case {
        what: "records of other names are not taken",
        script: &[("A b.test", "other.test 300 A 192.0.2.66 | b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "records of other types are not taken",
        script: &[("A b.test", "b.test 300 TXT hello | auth b.test 300 SOA 60")],
        ask: "A b.test",
        sent: "1u",
        answer: "no data: b.test insecure 60s",
    },
    Case {
        what: "a broken record of a type nobody asked for does no harm",
        script: &[(
            "A b.test",
            "b.test 300 EMPTY MX | b.test 300 A 192.0.2.1 | extra x.test 3 EMPTY A",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    // --- nothing there ---
    Case {
        what: "no data, for as long as the smaller of SOA TTL and minimum",
        script: &[("MX b.test", "auth b.test 300 SOA 60")],
        ask: "MX b.test",
        sent: "1u",
        answer: "no data: b.test insecure 60s",
    },
    Case {
        what: "no data, SOA TTL smaller than its minimum",
        script: &[("MX b.test", "auth test 30 SOA 60")],
        ask: "MX b.test",
        sent: "1u",
        answer: "no data: b.test insecure 30s",
    },
    Case {
        what: "no data without SOA holds for no time",
        script: &[("MX b.test", "empty")],
        ask: "MX b.test",
        sent: "1u",
        answer: "no data: b.test insecure 0s",
    },
    Case {
        what: "no data with an SOA of another zone holds for no time",
        script: &[("MX b.test", "auth c.test 300 SOA 60")],
        ask: "MX b.test",
        sent: "1u",
        answer: "no data: b.test insecure 0s",
    },
    Case {
        what: "no data is cut to three hours",
        script: &[("MX b.test", "auth b.test 86400 SOA 86400")],
        ask: "MX b.test",
        sent: "1u",
        answer: "no data: b.test insecure 10800s",
    },
    Case {
        what: "no domain",
        script: &[("MX b.test", "nxdomain | auth test 300 SOA 60 | ad")],
        ask: "MX b.test",
        sent: "1u",
        answer: "no domain: b.test secure 60s",
    },
    Case {
        what: "no domain without SOA",
        script: &[("MX b.test", "nxdomain")],
        ask: "MX b.test",
        sent: "1u",
        answer: "no domain: b.test insecure 0s",
    },
    Case {
        what: "NS without SOA is a referral, and the next server is asked",
        script: &[
            ("s1 MX b.test", "auth test 300 NS ns.test"),
            ("s2 MX b.test", "b.test 60 MX 1 mx.test"),
        ],
        ask: "MX b.test",
        sent: "1u 2u",
        answer: "b.test indeterminate 60s: 1 mx.test",
    },
    Case {
        what: "referrals from all are a failure",
        script: &[("MX b.test", "auth test 300 NS ns.test")],
        ask: "MX b.test",
        sent: "1u 2u",
        answer: "failure indeterminate: referral instead of an answer from 10.0.0.2:53",
    },
    // --- security ---
    Case {
        what: "AD of the trusted server",
        script: &[("A b.test", "ad | b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test secure 300s: 192.0.2.1",
    },
    Case {
        what: "AD of a server that is not trusted",
        script: &[
            ("s1 A b.test", "servfail"),
            ("s2 A b.test", "ad | b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 2u",
        answer: "b.test indeterminate 300s: 192.0.2.1",
    },
    Case {
        what: "SERVFAIL for a failed validation, said by the trusted server",
        script: &[("s1 A b.test", "servfail | ede 6"), ("s2 A b.test", "fail")],
        ask: "A b.test",
        sent: "1u 2u 2u 2t",
        answer: "failure bogus: SERVFAIL from 10.0.0.1:53 (extended error 6)",
    },
    Case {
        what: "the same from the other server means nothing",
        script: &[("s1 A b.test", "fail"), ("s2 A b.test", "servfail | ede 6")],
        ask: "A b.test",
        sent: "1u 2u 1u 1t",
        answer: "failure indeterminate: SERVFAIL from 10.0.0.2:53 (extended error 6)",
    },
    Case {
        what: "another extended error is not about validation",
        script: &[("A b.test", "servfail | ede 22")],
        ask: "A b.test",
        sent: "1u 2u",
        answer: "failure indeterminate: SERVFAIL from 10.0.0.2:53 (extended error 22)",
    },
    // --- aliases ---
    Case {
        what: "alias within one response, in any order",
        script: &[("A www.test", "b.test 300 A 192.0.2.1 | www.test 50 CNAME b.test")],
        ask: "A www.test",
        sent: "1u",
        answer: "www.test > b.test insecure 50s: 192.0.2.1",
    },
    Case {
        what: "alias to a name the response does not know",
        script: &[
            ("A www.test", "www.test 50 CNAME b.test"),
            ("A b.test", "b.test 40 A 192.0.2.1"),
        ],
        ask: "A www.test",
        sent: "1u 1u",
        answer: "www.test > b.test insecure 40s: 192.0.2.1",
    },
    Case {
        what: "the way is as secure as its weakest step",
        script: &[
            ("A www.test", "ad | www.test 50 CNAME b.test"),
            ("A b.test", "b.test 40 A 192.0.2.1"),
        ],
        ask: "A www.test",
        sent: "1u 1u",
        answer: "www.test > b.test insecure 40s: 192.0.2.1",
    },
    Case {
        what: "alias to no data",
        script: &[("MX www.test", "www.test 50 CNAME b.test | auth b.test 60 SOA 60")],
        ask: "MX www.test",
        sent: "1u",
        answer: "no data: www.test > b.test insecure 50s",
    },
    Case {
        what: "alias to no domain",
        script: &[(
            "MX www.test",
            "nxdomain | www.test 50 CNAME gone.test | auth test 60 SOA 60",
        )],
        ask: "MX www.test",
        sent: "1u",
        answer: "no domain: www.test > gone.test insecure 50s",
    },
    Case {
        what: "alias to no domain, over two questions",
        script: &[
            ("MX www.test", "www.test 50 CNAME gone.test"),
            ("MX gone.test", "nxdomain"),
        ],
        ask: "MX www.test",
        sent: "1u 1u",
        answer: "no domain: www.test > gone.test insecure 0s",
    },
    Case {
        what: "alias to a failure",
        script: &[
            ("MX www.test", "www.test 50 CNAME b.test"),
            ("MX b.test", "servfail"),
        ],
        ask: "MX www.test",
        sent: "1u 1u 2u",
        answer: "failure indeterminate: SERVFAIL from 10.0.0.2:53",
    },
    Case {
        what: "alias of itself",
        script: &[("A www.test", "www.test 50 CNAME www.test")],
        ask: "A www.test",
        sent: "1u",
        answer: "failure indeterminate: CNAME loop",
    },
    Case {
        what: "aliases in a circle within one response",
        script: &[(
            "A a.test",
            "a.test 50 CNAME b.test | b.test 50 CNAME c.test | c.test 50 CNAME a.test",
        )],
        ask: "A a.test",
        sent: "1u",
        answer: "failure indeterminate: CNAME loop",
    },
    Case {
        what: "aliases in a circle over several questions",
        script: &[
            ("A a.test", "a.test 50 CNAME b.test"),
            ("A b.test", "b.test 50 CNAME A.test"),
        ],
        ask: "A a.test",
        sent: "1u 1u",
        answer: "failure indeterminate: CNAME loop",
    },
    Case {
        what: "two aliases of one name",
        script: &[
            ("s1 A a.test", "a.test 50 CNAME b.test | a.test 50 CNAME c.test"),
            ("s2 A a.test", "refused"),
        ],
        ask: "A a.test",
        sent: "1u 2u",
        answer: "failure indeterminate: REFUSED from 10.0.0.2:53",
    },
    Case {
        what: "a static record at the end of an alias",
        script: &[("A www.test", "www.test 50 CNAME static.test")],
        ask: "A www.test",
        sent: "1u",
        answer: "www.test > static.test insecure 50s: 192.0.2.9",
    },
    // --- static records ---
    Case {
        what: "a static record asks nobody",
        script: &[("A static.test", "static.test 300 A 192.0.2.66")],
        ask: "A static.test",
        sent: "",
        answer: "static.test insecure 86400s: 192.0.2.9",
    },
    Case {
        what: "a static name has nothing but static records",
        script: &[("MX static.test", "static.test 300 MX 1 mx.test")],
        ask: "MX static.test",
        sent: "",
        answer: "no data: static.test insecure 10800s",
    },
    Case {
        what: "a static alias is followed to servers",
        script: &[("A b.test", "b.test 300 A 192.0.2.1")],
        ask: "A alias.test",
        sent: "1u",
        answer: "alias.test > b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "static aliases in a circle",
        script: &[],
        ask: "A circle.test",
        sent: "",
        answer: "failure indeterminate: CNAME loop",
    },
    Case {
        what: "localhost is known",
        script: &[],
        ask: "AAAA localhost",
        sent: "",
        answer: "localhost insecure 86400s: ::1",
    },
    // --- failures and retries ---
    Case {
        what: "SERVFAIL: the next server is asked, and each once only",
        script: &[("A b.test", "servfail")],
        ask: "A b.test",
        sent: "1u 2u",
        answer: "failure indeterminate: SERVFAIL from 10.0.0.2:53",
    },
    Case {
        what: "REFUSED, then an answer",
        script: &[
            ("s1 A b.test", "refused"),
            ("s2 A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 2u",
        answer: "b.test indeterminate 300s: 192.0.2.1",
    },
    Case {
        what: "silence: three rounds, the last over TCP",
        script: &[],
        ask: "A b.test",
        sent: "1u 2u 1u 2u 1t 2t",
        answer: "failure indeterminate: timeout from 10.0.0.2:53",
    },
    Case {
        what: "an answer in the second round",
        script: &[("s1 #3 A b.test", "b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u 2u 1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "an answer over TCP in the last round, when datagrams are lost",
        script: &[("s1 tcp A b.test", "b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u 2u 1u 2u 1t",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "one SERVFAIL tells more than other silence",
        script: &[("s1 A b.test", "servfail")],
        ask: "A b.test",
        sent: "1u 2u 2u 2t",
        answer: "failure indeterminate: SERVFAIL from 10.0.0.1:53",
    },
    Case {
        what: "sockets that cannot be opened",
        script: &[("A b.test", "fail")],
        ask: "A b.test",
        sent: "1u 2u 1u 2u 1t 2t",
        answer: "failure indeterminate: no connection from 10.0.0.2:53",
    },
    Case {
        what: "another response code",
        script: &[("A b.test", "notimp"), ("s2 A b.test", "notimp")],
        ask: "A b.test",
        sent: "1u 1up 2u 2up",
        answer: "failure indeterminate: response code 4 from 10.0.0.2:53",
    },
    // --- EDNS ---
    Case {
        what: "FORMERR to EDNS: the same server without it",
        script: &[
            ("edns A b.test", "formerr"),
            ("plain A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1up",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "FORMERR that repeats no question",
        script: &[
            ("edns A b.test", "formerr | no-question"),
            ("plain A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1up",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "BADVERS",
        script: &[
            ("edns A b.test", "badvers"),
            ("plain A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1up",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "FORMERR without EDNS as well",
        script: &[
            ("s1 A b.test", "formerr"),
            ("s2 A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1up 2u",
        answer: "b.test indeterminate 300s: 192.0.2.1",
    },
    // --- truncation ---
    Case {
        what: "TC: the same server over TCP",
        script: &[
            ("udp A b.test", "tc | b.test 300 A 192.0.2.66"),
            ("tcp A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1t",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "TC cuts a record in two",
        script: &[
            ("udp A b.test", "tc | b.test 300 A 192.0.2.1 | cut 40"),
            ("tcp A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1t",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "TC, and no TCP: the next server",
        script: &[
            ("s1 udp A b.test", "tc"),
            ("s1 tcp A b.test", "fail"),
            ("s2 A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1t 2u",
        answer: "b.test indeterminate 300s: 192.0.2.1",
    },
    Case {
        what: "TC over TCP is nonsense",
        script: &[("s1 A b.test", "tc"), ("s2 A b.test", "b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u 1t 2u",
        answer: "b.test indeterminate 300s: 192.0.2.1",
    },
    Case {
        what: "TC after EDNS was refused: TCP without EDNS",
        script: &[
            ("edns A b.test", "formerr"),
            ("plain udp A b.test", "tc"),
            ("plain tcp A b.test", "b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1up 1tp",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    // --- forgeries: ignored, and the true answer behind them is taken ---
    Case {
        what: "another address",
        script: &[(
            "A b.test",
            "from 10.0.0.66:53 | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "another port of the right address",
        script: &[(
            "A b.test",
            "from 10.0.0.1:54 | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "the right address, mapped into IPv6",
        script: &[("A b.test", "from [::ffff:10.0.0.1]:53 | b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "another id",
        script: &[("A b.test", "id | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "another case",
        script: &[(
            "A b.test",
            "case | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "another name",
        script: &[(
            "A b.test",
            "question c.test. | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "another type",
        script: &[(
            "A b.test",
            "type | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "no question",
        script: &[(
            "A b.test",
            "no-question | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "SERVFAIL without a question",
        script: &[("A b.test", "servfail | no-question && b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "two questions",
        script: &[(
            "A b.test",
            "two-questions | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "a query instead of a response",
        script: &[(
            "A b.test",
            "query | b.test 3 A 192.0.2.66 && b.test 300 A 192.0.2.1",
        )],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "garbage",
        script: &[("A b.test", "garbage && b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    Case {
        what: "nothing but forgeries is silence",
        script: &[("A b.test", "id | b.test 3 A 192.0.2.66")],
        ask: "A b.test",
        // Over TCP nobody else can answer, so there the wrong id is the server's word.
        sent: "1u 2u 1u 2u 1t 2t",
        answer: "failure indeterminate: malformed answer from 10.0.0.2:53",
    },
    Case {
        what: "a server that changes the case is asked over TCP",
        script: &[
            ("udp A b.test", "case | b.test 3 A 192.0.2.66"),
            ("tcp A b.test", "case | b.test 300 A 192.0.2.1"),
        ],
        ask: "A b.test",
        sent: "1u 1t",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
    // --- malformed answers ---
    Case {
        what: "an answer cut short: the next server",
        script: &[
            ("s1 A b.test", "b.test 300 A 192.0.2.1 | cut 40"),
            ("s2 A b.test", "b.test 300 A 192.0.2.2"),
        ],
        ask: "A b.test",
        sent: "1u 2u",
        answer: "b.test indeterminate 300s: 192.0.2.2",
    },
    Case {
        what: "a broken record of the type asked for",
        script: &[("A b.test", "b.test 300 EMPTY A | b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u 2u",
        answer: "failure indeterminate: malformed answer from 10.0.0.2:53",
    },
    Case {
        what: "NXDOMAIN with the records asked for",
        script: &[("A b.test", "nxdomain | b.test 300 A 192.0.2.1")],
        ask: "A b.test",
        sent: "1u 2u",
        answer: "failure indeterminate: malformed answer from 10.0.0.2:53",
    },
    Case {
        what: "SERVFAIL cut short is SERVFAIL",
        script: &[("A b.test", "servfail | auth b.test 300 SOA 60 | cut 40")],
        ask: "A b.test",
        sent: "1u 2u",
        answer: "failure indeterminate: SERVFAIL from 10.0.0.2:53",
    },
    Case {
        what: "octets behind the message are ignored",
        script: &[("A b.test", "b.test 300 A 192.0.2.1 | trailing")],
        ask: "A b.test",
        sent: "1u",
        answer: "b.test insecure 300s: 192.0.2.1",
    },
];

fn config() -> Config {
    let mut config = Config::new(servers(2));
    config.servers[0].trust_ad = true;
    let name = |text: &str| Name::parse(text).unwrap();
    config.add_record(name("static.test"), Record::A([192, 0, 2, 9].into()));
    config.add_record(name("alias.test"), Record::Cname(name("b.test")));
    config.add_record(name("circle.test"), Record::Cname(name("circle.test")));
    config
}

#[test]
fn scenarios() {
    let mut wrong = Vec::new();
    for case in CASES {
        let mut world = World::new(config(), script(case.script));
        let answer = render(&world.resolve(case.ask));
        let sent: Vec<&str> = world
            .sent
            .iter()
            .map(|sent| sent.split_once(':').unwrap().0)
            .collect();
        let sent = sent.join(" ");
        if answer != case.answer || sent != case.sent {
            wrong.push(format!(
                "{}:\n  answer   {answer}\n  expected {}\n  sent     {sent}\n  expected {}",
                case.what, case.answer, case.sent
            ));
        }
        assert!(world.sockets.is_empty(), "{}: sockets left open", case.what);
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases failed:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: std::collections::HashSet<&str> = CASES.iter().map(|case| case.what).collect();
    assert_eq!(names.len(), CASES.len());
    assert!(CASES.len() >= 60);
}
