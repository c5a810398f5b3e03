//! MTA-STS records and policies, the memory for them, TLSRPT records and reports: what is read prints, and reads the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_dns::{Name, Txt};
use mailwright_fuzz::choices;
use mailwright_mx::sts::{Cache, Id, Policy};
use mailwright_mx::tlsrpt::{Collector, Report, Target};

const NOW: u64 = 1_795_392_000;

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    match choice & 3 {
        0 => {
            let records: Vec<Txt> = data.split(|b| *b == b'\n').map(|line| Txt::new([line])).collect();
            if let Some(id) = Id::find(&records) {
                assert_eq!(Id::parse(id.as_str()), Some(id));
            }
            assert!(Target::find(&records).len() <= 8);
        }
        1 => {
            if let Ok(policy) = Policy::parse(data) {
                let printed: Vec<String> = policy.lines().collect();
                assert_eq!(Policy::parse(printed.join("\n").as_bytes()), Ok(policy.clone()));
                let host = Name::parse("mx.b.test").expect("a name");
                assert_eq!(policy.lists(&host), policy.patterns().iter().any(|p| p.matches(&host)));
            }
        }
        2 => {
            let text = String::from_utf8_lossy(data);
            let mut cache = Cache::default();
            let count = cache.read(NOW, &text);
            assert!(cache.len() <= count);
            let printed = cache.print();
            let mut again = Cache::default();
            assert_eq!(again.read(NOW, &printed), cache.len());
            assert_eq!(again.print(), printed);
        }
        _ => {
            if let Ok(report) = Report::parse(data) {
                assert_eq!(Report::parse(report.to_string().as_bytes()).as_ref(), Ok(&report));
                let mut collector = Collector::default();
                collector.restore(&report);
                for day in collector.days() {
                    assert!(!day.policies.is_empty());
                }
            }
        }
    }
});
