//! Every reader of a field's value is linear: four times the value takes at most five times as long, for values that
//! are made to hurt it.

mod common;
#[path = "common/growth.rs"]
mod growth;

use growth::is_linear;
use mailwright_message::authentication::Results;
use mailwright_message::list::{self, ListId};
use mailwright_message::tags::TagList;
use mailwright_message::trace::Hop;
use mailwright_message::{address_list, encoded_word, message_id, thread};

type Read = fn(&[u8]);

#[test]
fn readers_take_linear_time() {
    let addresses: Read = |value| drop(address_list::parse(value));
    let words: Read = |value| drop(encoded_word::decode(value));
    let ids: Read = |value| drop(message_id::parse_list(value));
    let hop: Read = |value| drop(Hop::parse(value));
    let tags: Read = |value| drop(TagList::parse(value));
    let results: Read = |value| drop(Results::parse(value));
    let lists: Read = |value| drop((list::parse(value), list::keywords(value), ListId::parse(value)));
    let subject: Read = |value| drop(thread::base_subject(&String::from_utf8_lossy(value)));
    for (name, unit, read) in [
        ("addresses", "a@b, ", addresses),
        ("bare addresses without commas", "a@b ", addresses),
        ("angles without commas", "<a@b> x ", addresses),
        ("open quotes", "\"<a@b>,", addresses),
        ("open angles", "<", addresses),
        ("open comments", "(", addresses),
        ("groups", "a:", addresses),
        ("dots", ".a", addresses),
        ("escapes", "\\\"", addresses),
        ("encoded words in addresses", "=?utf-8?q?", addresses),
        ("encoded words", "=?utf-8?q?", words),
        ("question marks", "=?", words),
        ("words without end", "=?utf-8?q?a ", words),
        ("brackets", "<", ids),
        ("quotes in identifiers", "<\"", ids),
        ("comments in identifiers", "<(", ids),
        ("words", "a ", ids),
        ("clauses", "from ", hop),
        ("comments", "(a [", hop),
        ("with", "with a ", hop),
        ("tags", "a=b;", tags),
        ("results", "a=b c.d=e;", results),
        ("open results", "a \"", results),
        ("links", "<a:b>(", lists),
        ("keywords", "\"a,(", lists),
        ("blobs", "[a]", subject),
        ("open blobs", "[", subject),
        ("forwards", "[fwd:", subject),
        ("replies", "re:", subject),
        ("trailers", "(fwd)", subject),
    ] {
        let input = |size: usize| unit.repeat(size / unit.len()).into_bytes();
        if let Err(slow) = is_linear(50_000, input, read) {
            panic!("{name}: {slow}");
        }
    }
}
