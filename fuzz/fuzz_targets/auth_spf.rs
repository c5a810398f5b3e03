//! SPF: any records, any answers. Every check ends within its limits, and records print what they read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_auth::Step;
use mailwright_auth::spf::{Check, Config, Record};
use mailwright_dns::{
    Answer, Failure, FailureKind, Mx, Name, Negative, Record as Data, RecordType, Records, Security, Txt,
};
use mailwright_fuzz::choices;
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let (choice, data) = choices(data);
    let texts: Vec<&[u8]> = data.split(|b| *b == b'\n').collect();
    for text in &texts {
        if let Ok(record) = Record::parse(text) {
            assert_eq!(Record::parse(record.to_string().as_bytes()), Ok(record));
        }
    }
    let sender = String::from_utf8_lossy(texts[0]).into_owned();
    let client = match choice & 1 {
        0 => "192.0.2.25".parse().expect("an address"),
        _ => "2001:db8::25".parse().expect("an address"),
    };
    let mut check = Check::mail_from(client, "mx.a.test", &format!("{sender}@a.test"), Arc::new(Config::default()));
    let mut next = texts.iter().skip(1).cycle();
    let mut asked = 0u32;
    loop {
        match check.poll() {
            Step::Ready(report) => {
                let _ = (report.to_result(), report.cause.to_string());
                let field = report.to_field("mx.b.test");
                assert!(field.trim_end().lines().skip(1).all(|line| line.starts_with(' ')), "{field:?}");
                break;
            }
            Step::Wait => panic!("waits for nothing"),
            Step::Ask(question) => {
                asked += 1;
                assert!(asked < 150, "asks without end");
                let name = question.name.clone();
                let text = next.next().copied().unwrap_or_default();
                let other = Name::parse("b.a.test").expect("a name");
                let record = match question.record_type {
                    RecordType::Txt => Data::Txt(Txt::new(text.chunks(255))),
                    RecordType::Mx => Data::Mx(Mx::new(1, other)),
                    RecordType::Ptr => Data::Ptr(other),
                    _ if text.len() % 2 == 0 => client.into(),
                    RecordType::A => Data::A([192, 0, 2, 1].into()),
                    _ => Data::Aaaa(1.into()),
                };
                let answer = match text.first() {
                    Some(b'!') => Failure::new(FailureKind::ServFail).into(),
                    Some(b'?') => Answer::NoData(Negative::new(name, Security::Insecure)),
                    _ => Answer::Records(Records::new(name, [record], Security::Insecure)),
                };
                check.answer(&question, answer);
            }
        }
    }
});
