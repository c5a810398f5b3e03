//! Decoded bodies against those that mime4j expects.

#![allow(clippy::disallowed_methods)] // a test is where the corpus comes in

use std::collections::BTreeMap;
use std::path::PathBuf;

use mailwright_message::index::{Index, Kind, Part};

/// mime4j's file name, and why what is decoded here differs. Each must differ, or it has no place here.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "ending-boundaries_decoded_1_1.txt",
        "text behind a delimiter makes it another line: boundaries that share a prefix are kept apart",
    ),
    (
        "malformedHeader-noheader_decoded_1.txt",
        "a first line that is no field is the start of the body (RFC 5322 §2.1: a header may be empty); nothing is lost",
    ),
    (
        "malformedHeaderStartsBody-noheader_decoded_1.txt",
        "as above: all of the text is body",
    ),
    (
        "malformedHeaderStartsBody-nocrlfcrlf_decoded_1.txt",
        "a line among fields that is none is passed over, and the fields behind it count",
    ),
    (
        "missing-inner-boundary_decoded_1_2_1.txt",
        "a multipart whose boundary never comes is one text part, so that its text can be read",
    ),
    (
        "multipartemptypart_decoded_1_2.txt",
        "left over: mime4j's own list of parts does not name it",
    ),
    (
        "multipartnestedemptyparts_decoded_1_1.txt",
        "left over: mime4j's own list of parts does not name it",
    ),
    (
        "very-long-boundary_decoded_1_1.txt",
        "white space at the end of a boundary does not count (RFC 2046 §5.1.1)",
    ),
    (
        "very-very-long-boundary_decoded_1_1.txt",
        "longer than any boundary may be (RFC 2046 §5.1.1: 70 characters), and it ends in white space",
    ),
    (
        "weird-boundary_decoded_1_1.txt",
        "white space at the end of a boundary does not count (RFC 2046 §5.1.1)",
    ),
];

fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("MAIL_CORPUS");
    if corpus.is_none() {
        eprintln!("MAIL_CORPUS is not set: the files of the public corpus are not read");
    }
    Some(PathBuf::from(corpus?).join("message/mime4j/testmsgs"))
}

/// The decoded leaves below a part, by mime4j's numbers: each multipart and each nested message adds one.
fn leaves(part: Part<'_>, number: &str, message: &[u8], out: &mut BTreeMap<String, Vec<u8>>) {
    let body = &message[part.body().start as usize..part.body().end as usize];
    if part.kind() == Kind::Leaf {
        out.insert(number.to_owned(), part.decode(body).into_owned());
        return;
    }
    // mime4j decodes messages in base64, though RFC 2045 §6.4 forbids them.
    if let Some((octets, index)) = part.decode_message(body) {
        leaves(index.root(), &format!("{number}_1"), &octets, out);
        return;
    }
    for (place, child) in part.children().enumerate() {
        leaves(child, &format!("{number}_{}", place + 1), message, out);
    }
}

#[test]
fn mime4j_expects_the_same_bodies() {
    let Some(folder) = corpus() else { return };
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let (mut compared, mut wrong) = (0, Vec::new());
    for name in names.iter().filter(|name| name.contains("_decoded_")) {
        let (stem, number) = name.split_once("_decoded_").unwrap();
        let number = number.split('.').next().unwrap();
        let message = std::fs::read(folder.join(format!("{stem}.msg"))).unwrap();
        let want = std::fs::read(folder.join(name)).unwrap();
        let index = Index::of(&message);
        let mut found = BTreeMap::new();
        leaves(index.root(), "1", &message, &mut found);
        let agrees = found.get(number) == Some(&want);
        let is_listed = DIFFERENCES.iter().any(|(listed, _)| listed == name);
        compared += 1;
        if agrees == is_listed {
            let got = found.get(number).map(|b| b.escape_ascii().to_string());
            wrong.push(format!(
                "{name}\n want {}\n got  {got:?} of {:?}",
                want.escape_ascii(),
                found.keys()
            ));
        }
    }
    assert_eq!(compared, 40);
    assert!(
        wrong.is_empty(),
        "{} of {compared}\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
