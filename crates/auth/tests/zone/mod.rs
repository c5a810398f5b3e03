//! A little DNS for tests: records in memory, and answers as a resolver gives them.

#![allow(dead_code, clippy::unwrap_used)]

use mailwright_auth::Step;
use mailwright_dns::{
    Answer, Failure, FailureKind, Mx, Name, Negative, Question, Record, RecordType, Records, Security, Txt,
};
use std::collections::HashMap;

/// Records by name. A name without records of the type asked for exists; one that is not there does not.
#[derive(Debug, Default, Clone)]
pub(crate) struct Zone {
    names: HashMap<Name, Vec<Record>>,
    failing: HashMap<Name, FailureKind>,
    pub(crate) asked: Vec<Question>,
}

impl Zone {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `"a.test TXT v=spf1 -all"`, one record a line; types TXT, A, AAAA, MX, PTR, CNAME, and FAIL.
    pub(crate) fn of(lines: &str) -> Self {
        let mut zone = Self::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, ' ');
            let name = Name::parse(words.next().unwrap()).unwrap();
            let kind = words.next().unwrap();
            let data = words.next().unwrap_or_default();
            match kind {
                "TXT" => zone.add(name, Record::Txt(Txt::new([data.as_bytes()]))),
                "A" => zone.add(name, Record::A(data.parse().unwrap())),
                "AAAA" => zone.add(name, Record::Aaaa(data.parse().unwrap())),
                "MX" => zone.add(name, Record::Mx(Mx::new(10, Name::parse(data).unwrap()))),
                "PTR" => zone.add(name, Record::Ptr(Name::parse(data).unwrap())),
                "CNAME" => zone.add(name, Record::Cname(Name::parse(data).unwrap())),
                "FAIL" => zone.fail(name, FailureKind::ServFail),
                other => panic!("unknown type {other}"),
            }
        }
        zone
    }

    pub(crate) fn add(&mut self, name: Name, record: Record) {
        self.names.entry(name).or_default().push(record);
    }

    pub(crate) fn fail(&mut self, name: Name, kind: FailureKind) {
        self.failing.insert(name, kind);
    }

    pub(crate) fn answer(&mut self, question: &Question) -> Answer {
        self.asked.push(question.clone());
        let mut name = question.name.clone();
        for _ in 0..9 {
            let all = self.names.get(&name).cloned().unwrap_or_default();
            let of_type = |kind| all.iter().filter(move |r| r.record_type() == kind).cloned();
            let wanted: Vec<Record> = of_type(question.record_type).collect();
            if !wanted.is_empty() {
                return Answer::Records(Records::new(name, wanted, Security::Insecure));
            }
            if let Some(kind) = self.failing.get(&name) {
                return Failure::new(*kind).into();
            }
            match of_type(RecordType::Cname).next() {
                Some(Record::Cname(target)) => name = target,
                _ if all.is_empty() && !self.has_below(&name) => {
                    return Answer::NxDomain(Negative::new(name, Security::Insecure));
                }
                _ => return Answer::NoData(Negative::new(name, Security::Insecure)),
            }
        }
        Failure::new(FailureKind::AliasLoop).into()
    }

    /// RFC 8020: a name exists if one below it does.
    fn has_below(&self, name: &Name) -> bool {
        self.names.keys().any(|other| other.is_within(name))
    }
}

/// Runs a check to its end.
pub(crate) fn run<T>(zone: &mut Zone, mut poll: impl FnMut(Option<(Question, Answer)>) -> Step<T>) -> T {
    let mut answer = None;
    for _ in 0..1000 {
        match poll(answer.take()) {
            Step::Ask(question) => answer = Some((question.clone(), zone.answer(&question))),
            Step::Ready(ready) => return ready,
            Step::Wait => panic!("waits for nothing"),
        }
    }
    panic!("asks without end");
}

/// The name of any text: what is no letter, digit, hyphen or underscore is escaped.
pub(crate) fn name(text: &str) -> Name {
    let escape = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c.to_string(),
        _ => c.to_string().bytes().map(|b| format!("\\{b:03}")).collect(),
    };
    Name::parse(&text.chars().map(escape).collect::<String>()).unwrap()
}

/// [`run`] for a machine with `poll` and `answer`.
#[macro_export]
macro_rules! drive {
    ($machine:expr, $zone:expr) => {{
        let machine = &mut $machine;
        zone::run(&mut $zone, |answer| {
            if let Some((question, answer)) = answer {
                machine.answer(&question, answer);
            }
            machine.poll()
        })
    }};
}

pub(crate) mod dmarc;
