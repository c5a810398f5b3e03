//! Messages within messages that are built: no encoding stands around them, whichever way they were given.

use mailwright_message::build::{Error, Message, Part, Transport};
use mailwright_message::date::DateTime;
use mailwright_message::transfer::Encoding;
use mailwright_message::{DefectKind, Index};

#[test]
fn a_message_given_by_its_type_is_sent_as_it_is() {
    let inner = "Subject: \u{e9}\n\nbody\n";
    for media_type in ["message/rfc822", "Message/RFC822", "message/global"] {
        let attached = Part::new(media_type, inner.as_bytes()).filename("a.eml");
        let builder = || {
            Message::builder()
                .from("me@a.test")
                .body(Part::mixed([attached.clone()]))
        };
        let message = builder()
            .transport(Transport::EightBit)
            .build(DateTime::new(0, 0), [7; 32]);
        let octets = message.and_then(Message::to_vec).expect("the transport takes it");
        let index = Index::of(&octets);
        assert!(
            index.defects().all(|d| d.kind != DefectKind::EncodedComposite),
            "{media_type}"
        );
        assert_eq!(
            index.part(&[1]).expect("it is there").encoding(),
            Encoding::Identity
        );
        let body = index.part(&[1, 1]).expect("readers look into it").body();
        assert_eq!(&octets[body.start as usize..body.end as usize], b"body\r\n");

        let message = builder()
            .transport(Transport::SevenBit)
            .build(DateTime::new(0, 0), [7; 32]);
        assert_eq!(message.map(drop), Err(Error::NotTransportable));
    }
}
