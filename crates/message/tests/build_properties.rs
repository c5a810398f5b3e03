//! Built messages of any content: read back as they were meant, and clean for every transport.

mod common;

use common::built::{DATE, build, builder, head, text, value};
use mailwright_message::address_list::{self, Address as Parsed};
use mailwright_message::build::{Address, Field, Part};
use mailwright_message::index::Index;
use mailwright_message::parameters::{ContentType, Disposition};
use mailwright_message::{date, header, message_id};
use proptest::prelude::*;

/// Text without controls; a byte order mark at the front of a text is dropped by every reader.
fn any_text() -> impl Strategy<Value = String> {
    let any = "\\PC{0,80}|[ -~]{0,200}|[ \ta=?_\u{e9}\u{1f600}\u{2028}\u{85}.,;:\"\\\\<>@()]{0,60}|[a-z]{70,200}( [a-z\u{e9}]{1,90}){0,4}";
    any.prop_filter("a byte order mark", |text| !text.contains('\u{feff}'))
}

fn any_address() -> impl Strategy<Value = String> {
    "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,60}@[a-z]{1,30}(\\.[a-z]{1,30}){0,4}|\"[ a-z@,;.]{1,30}\"@[a-z]{1,9}"
}

proptest! {
    #[test]
    fn headers_come_back(
        subject in any_text(), names in prop::collection::vec((any_text(), any_address()), 1..8),
        group in any_text(), ids in prop::collection::vec("[a-z0-9!#$%&'*+/=?^_`{|}~.@,;:-]{1,200}", 0..9), utf8: bool, own in any_text()
    ) {
        prop_assume!(!group.is_empty());
        let people = || names.iter().map(|(name, address)| Address::named(name.as_str(), address.as_str()));
        let mut message = builder()
            .subject(subject.as_str())
            .to(people().collect::<Vec<_>>())
            .cc(Address::group(group.as_str(), people().collect::<Vec<_>>()))
            .references(ids.clone())
            .field(Field::text("X-Own", own.as_str()));
        if utf8 {
            message = message.utf8_headers();
        }
        let message = build(message);
        if !utf8 {
            prop_assert!(message.is_ascii());
        }
        for line in head(&message).split(|b| *b == b'\n') {
            let unbreakable = line.iter().filter(|b| **b == b' ').count() <= 2 || line.contains(&b'"');
            prop_assert!(line.len() <= 79 || unbreakable, "{}", line.escape_ascii());
        }
        prop_assert_eq!(header::fields(&message).count(), 7 + usize::from(!ids.is_empty()));
        prop_assert_eq!(header::decode(value(&message, "Subject")), subject);
        prop_assert_eq!(header::decode(value(&message, "X-Own")), own);
        let check = |mailbox: &address_list::Mailbox<'_>, (name, address): &(String, String)| {
            prop_assert_eq!(mailbox.name.as_deref().unwrap_or_default(), name);
            prop_assert_eq!(mailbox.address().map(|a| a.to_string()), Some(address.clone()));
            Ok(())
        };
        let to = address_list::parse(value(&message, "To"));
        prop_assert_eq!(to.len(), names.len());
        for (parsed, want) in to.iter().zip(&names) {
            let Parsed::Mailbox(mailbox) = parsed else { panic!("{parsed:?}") };
            check(mailbox, want)?;
        }
        let cc = address_list::parse(value(&message, "Cc"));
        let [Parsed::Group(parsed)] = &cc[..] else { panic!("{cc:?}") };
        prop_assert_eq!(&*parsed.name, &group);
        for (mailbox, want) in parsed.mailboxes.iter().zip(&names) {
            check(mailbox, want)?;
        }
        if !ids.is_empty() {
            prop_assert_eq!(message_id::parse_list(value(&message, "References")), ids);
        }
        prop_assert_eq!(date::parse(value(&message, "Date")), Some(DATE));
    }

    #[test]
    fn parameters_come_back(filename in any_text(), title in any_text(), utf8: bool) {
        let part = Part::new("application/x", b"").filename(filename.as_str()).parameter("title", title.as_str());
        // A tab is white space to fold at, or a control: it has no place in a quoted string of many readers.
        let mut message = builder().body(part.description(title.as_str()));
        if utf8 {
            message = message.utf8_headers();
        }
        let message = build(message);
        prop_assert!(head(&message).split(|b| *b == b'\n').all(|line| line.len() <= 79));
        let disposition = Disposition::parse(value(&message, "Content-Disposition")).unwrap();
        prop_assert_eq!(disposition.parameter("filename").unwrap(), filename);
        let content_type = ContentType::parse(value(&message, "Content-Type")).unwrap();
        prop_assert_eq!(content_type.parameter("title").unwrap(), &*title);
        prop_assert_eq!(header::decode(value(&message, "Content-Description")), title);
    }

    #[test]
    fn trees_come_back(tree in any_tree()) {
        let message = build(builder().body(Part::mixed([tree.part()])));
        let index = Index::of(&message);
        let mut parts = index.parts().skip(1);
        tree.check(&mut parts, &message)?;
        prop_assert!(parts.next().is_none());
        prop_assert!(index.defects().next().is_none());
    }

    #[test]
    fn texts_come_back(text in "\\PC{0,300}|[ -~\t\r\n]{0,300}|[=\u{e9} \t\r\n.F\0\x07]{0,200}", html: bool) {
        let message = build(match html {
            true => builder().html(text.as_str()).text("x"),
            false => builder().text(text.as_str()).html("x"),
        });
        let canonical = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
        // A byte order mark goes with the decoding of a charset.
        prop_assume!(!text.starts_with('\u{feff}'));
        prop_assert_eq!(self::text(&message, &[if html { 2 } else { 1 }]), canonical);
    }
}

#[derive(Debug, Clone)]
enum Tree {
    Text(String),
    Octets(Vec<u8>),
    Message(Vec<u8>),
    Multi(Vec<Tree>),
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        "[ -~\u{e9}\n]{0,100}".prop_map(Tree::Text),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Tree::Octets),
        "(Subject: [a-z]{1,20}\r\n)?\r\n([ -~]{0,30}\r\n){0,4}".prop_map(|m| Tree::Message(m.into_bytes())),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop::collection::vec(inner, 1..5).prop_map(Tree::Multi)
    })
}

impl Tree {
    fn part(&self) -> Part<'_> {
        match self {
            Self::Text(text) => Part::text(text.as_str()),
            Self::Octets(octets) => Part::attachment("x", "application/x", octets),
            Self::Message(message) => Part::message(message),
            Self::Multi(parts) => Part::mixed(parts.iter().map(Self::part)),
        }
    }

    fn check<'a>(
        &self,
        parts: &mut impl Iterator<Item = mailwright_message::index::Part<'a>>,
        message: &[u8],
    ) -> Result<(), TestCaseError> {
        let part = parts.next().expect("a part");
        let body = &message[part.body().start as usize..part.body().end as usize];
        match self {
            Self::Text(text) => prop_assert_eq!(part.decode_text(body), text.replace('\n', "\r\n")),
            Self::Octets(octets) => prop_assert_eq!(&*part.decode(body), octets),
            Self::Message(inner) => {
                prop_assert_eq!(body, inner);
                parts.next();
            }
            Self::Multi(inner) => {
                prop_assert_eq!(part.children().count(), inner.len());
                for tree in inner {
                    tree.check(parts, message)?;
                }
            }
        }
        Ok(())
    }
}
