//! The header tables of mail-parser under `$MAIL_CORPUS/message/mail-parser`, input and value.
//!
//! Where the values differ, `src/differences.md` has to say so and why; what it lists must differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mailwright_message::address_list::{self, Address, Mailbox};
use mailwright_message::date::{self, DateTime};
use mailwright_message::parameters::{ContentType, Disposition, Parameter};
use mailwright_message::trace::Hop;
use mailwright_message::{header, list, message_id, thread};
use serde_json::{Value, json};

type Table = (&'static str, fn(&str, &Value) -> Value);

const TABLES: [Table; 9] = [
    ("address", address),
    ("content_type", content_type),
    ("date", date),
    ("id", id),
    ("list", keywords),
    ("received", received),
    ("thread_name", thread_name),
    ("trailing_fwd", thread_name),
    ("unstructured", unstructured),
];

#[test]
fn every_difference_is_listed_and_every_listed_one_differs() {
    #[allow(clippy::disallowed_methods)] // a test is where the corpus comes in
    let Ok(corpus) = std::env::var("MAIL_CORPUS") else {
        eprintln!("SKIPPED: MAIL_CORPUS is not set");
        return;
    };
    let folder = Path::new(&corpus).join("message/mail-parser");
    let listed = listed();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (name, read) in TABLES {
        let json = std::fs::read_to_string(folder.join(format!("{name}.json"))).expect("the table is there");
        let cases: Vec<Value> = serde_json::from_str(&json).expect("the table is JSON");
        assert!(!cases.is_empty());
        let listed = listed.get(name).cloned().unwrap_or_default();
        assert!(
            listed.iter().all(|n| *n < cases.len()),
            "{name}: a number is past the end"
        );
        for (n, case) in cases.iter().enumerate() {
            let input = case.get("header").or_else(|| case.get("input"));
            let input = input.and_then(Value::as_str).expect("every case has an input");
            let ours = read(input, &case["expected"]);
            compared += 1;
            if (ours == case["expected"]) == listed.contains(&n) {
                wrong.push(format!(
                    "{name} {n}: {input:?}\n  theirs {}\n  ours   {ours}",
                    case["expected"]
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The numbers in lines like `- address: 1, 2, 5`.
fn listed() -> BTreeMap<&'static str, BTreeSet<usize>> {
    let mut listed: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
    let lines = include_str!("../src/differences.md").lines();
    for (name, numbers) in lines.filter_map(|line| line.strip_prefix("- ")?.split_once(": ")) {
        for number in numbers.split(", ") {
            let number = number.trim().parse().expect("a number of a case");
            assert!(
                listed.entry(name).or_default().insert(number),
                "{name} {number} is listed twice"
            );
        }
    }
    listed
}

/// The value as a header would give it: up to the end of the field.
fn value(input: &str) -> Vec<u8> {
    let field = format!("X:{input}");
    header::find(field.as_bytes(), "X")
        .map(|field| field.value.to_vec())
        .unwrap_or_default()
}

fn none_if_empty(list: Vec<Value>) -> Value {
    if list.is_empty() { Value::Null } else { list.into() }
}

fn address(input: &str, _: &Value) -> Value {
    let value = value(input);
    // Values of List-* fields stand among the addresses; they are read as what they are.
    if input.contains("<mailto:") || input.contains("://") || input.starts_with("NO ") {
        let commands = list::parse(&value);
        let mut links: Vec<Value> = commands
            .links
            .iter()
            .map(|link| json!({"mailbox": {"name": link.comment, "address": link.uri}}))
            .collect();
        if commands.refused {
            links.push(json!({"mailbox": {"name": "posting not allowed on this list", "address": "NO"}}));
        }
        return none_if_empty(links);
    }
    let mailbox = |m: &Mailbox<'_>| {
        let address = match (&*m.local_part, &*m.domain) {
            ("", "") => Value::Null,
            (local, "") => local.into(),
            (local, domain) => format!("{local}@{domain}").into(),
        };
        json!({"name": m.name, "address": address})
    };
    let members = address_list::parse(&value);
    let members = members.iter().map(|address| match address {
        Address::Mailbox(m) => json!({"mailbox": mailbox(m)}),
        Address::Group(group) => {
            let name = Some(&*group.name).filter(|name| !name.is_empty());
            let mailboxes: Vec<Value> = group.mailboxes.iter().map(mailbox).collect();
            json!({"group": {"name": name, "mailboxes": mailboxes}})
        }
    });
    none_if_empty(members.collect())
}

fn content_type(input: &str, expected: &Value) -> Value {
    let value = value(input);
    let attributes = |parameters: &[Parameter<'_>]| {
        let mut list = Vec::new();
        for parameter in parameters {
            let name = parameter.name().to_lowercase();
            if let Some(language) = parameter.language() {
                list.push(json!([format!("{name}-language"), language]));
            }
            list.push(json!([name, parameter.value()]));
        }
        none_if_empty(list)
    };
    let (kind, subtype, parameters) = if let Some(t) = ContentType::parse(&value) {
        (
            t.media_type().to_lowercase(),
            Some(t.subtype().to_lowercase()),
            attributes(t.parameters()),
        )
    } else if let Some(d) = Disposition::parse(&value).filter(|d| !d.kind().contains('/')) {
        (d.kind().to_lowercase(), None, attributes(d.parameters()))
    } else {
        return Value::Null;
    };
    let mut ours = json!({"c_type": kind, "c_subtype": subtype});
    if expected.get("attributes").is_some() || !parameters.is_null() {
        ours["attributes"] = parameters;
    }
    ours
}

fn moment(date: DateTime, expected: &Value) -> Value {
    let civil = date.civil();
    let minutes = date.offset.unsigned_abs();
    let mut ours = json!({
        "year": civil.year, "month": civil.month, "day": civil.day,
        "hour": civil.hour, "minute": civil.minute, "second": civil.second,
        "tz_before_gmt": date.offset < 0, "tz_hour": minutes / 60, "tz_minute": minutes % 60,
    });
    // The sign of a zone of zero hours means nothing here.
    if date.offset == 0 && !expected["tz_before_gmt"].is_null() {
        ours["tz_before_gmt"] = expected["tz_before_gmt"].clone();
    }
    ours
}

fn date(input: &str, expected: &Value) -> Value {
    date::parse(&value(input)).map_or(Value::Null, |date| moment(date, expected))
}

fn id(input: &str, _: &Value) -> Value {
    none_if_empty(
        message_id::parse_list(&value(input))
            .into_iter()
            .map(|id| json!(id))
            .collect(),
    )
}

fn keywords(input: &str, _: &Value) -> Value {
    none_if_empty(
        list::keywords(&value(input))
            .into_iter()
            .map(|word| json!(word))
            .collect(),
    )
}

fn thread_name(input: &str, _: &Value) -> Value {
    thread::loose_base_subject(input).into()
}

fn unstructured(input: &str, _: &Value) -> Value {
    header::decode(&value(input)).into()
}

fn received(input: &str, expected: &Value) -> Value {
    let value = value(input);
    let hop = Hop::parse(&value);
    let mut ours = serde_json::Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            ours.insert(name.to_owned(), value);
        }
    };
    let host = |name: &str| match name.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        Ok(ip) => json!({"IpAddr": ip}),
        Err(_) => json!({"Name": name}),
    };
    let from_is_ip = hop
        .from
        .as_deref()
        .is_some_and(|from| host(from).get("IpAddr").is_some());
    put("from", hop.from.as_deref().map(host));
    // Theirs has the address of the comment alone, and no name for ours.
    put(
        "from_ip",
        hop.ip
            .filter(|_| !(from_is_ip && expected["from_ip"].is_null()))
            .map(|ip| json!(ip)),
    );
    let reverse = hop
        .reverse_name
        .as_deref()
        .filter(|name| !name.eq_ignore_ascii_case("localhost"));
    put("from_iprev", reverse.map(Value::from));
    put("by", hop.by.as_deref().map(host));
    put("via", hop.via.as_deref().map(Value::from));
    put("id", hop.id.as_deref().map(Value::from));
    put("for_", hop.recipient.as_deref().map(Value::from));
    put("ident", hop.ident.as_deref().map(Value::from));
    put("helo", hop.helo.as_deref().map(host));
    put(
        "helo_cmd",
        expected.get("helo_cmd").filter(|_| hop.helo.is_some()).cloned(),
    );
    // Theirs has more protocols than are registered.
    let protocol = hop.protocol().map(Value::from).or_else(|| {
        let theirs = expected["with"].as_str()?;
        let words = hop.with.as_deref()?.to_ascii_lowercase();
        words
            .contains(&theirs.to_ascii_lowercase())
            .then(|| theirs.into())
    });
    put("with", protocol);
    let version = hop.tls_version.as_deref().and_then(|version| {
        let digits: String = version
            .split('/')
            .next()?
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let digits = if digits.len() == 1 {
            format!("{digits}0")
        } else {
            digits
        };
        Some(format!("TLSv{}_{}", digits.get(..1)?, digits.get(1..2)?).into())
    });
    put("tls_version", version);
    put("tls_cipher", hop.tls_cipher.as_deref().map(Value::from));
    put("date", hop.date.map(|date| moment(date, &expected["date"])));
    if hop.date.is_none() && expected.get("date").is_some() {
        ours.insert("date".to_owned(), Value::Null);
    }
    if ours.is_empty() {
        Value::Null
    } else {
        Value::Object(ours)
    }
}
