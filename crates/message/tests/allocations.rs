//! How often memory is asked for: never with memory that is used again, three times at most for a message alone.

use allocation_counter::{AllocationInfo, measure};
use mailwright_message::Index;
use mailwright_message::scan::{Field, Limits, Scanner, Visitor};

/// A plain message, one with attachments, and a forwarded one.
fn messages() -> [Vec<u8>; 3] {
    let common = "Received: from a by b; Mon, 23 Nov 2026 09:08:07 +0000\r\n".repeat(5)
        + "From: \"A. B\" <a@b.test>\r\nTo: c@d.test, e@f.test\r\nSubject: =?utf-8?q?x?=\r\n\ty\r\nMessage-ID: <1@b>\r\n";
    let text = "a line of text\r\n".repeat(200);
    let plain = format!("{common}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}");
    let attached = format!(
        "{common}Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n\
         --=_b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--=_b--\r\n",
        "QUJDREVGR0g=\r\n".repeat(1000)
    );
    let forwarded = format!(
        "{common}Content-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\nContent-Type: message/rfc822\r\n\r\n{attached}\r\n--f--\r\n"
    );
    [plain, attached, forwarded].map(String::into_bytes)
}

#[test]
fn an_index_asks_for_memory_three_times_at_most() {
    for message in messages() {
        let asked = measure(|| {
            std::hint::black_box(Index::of(&message));
        });
        assert!(asked.count_total <= 3, "{asked:?} for {} octets", message.len());
    }
}

#[test]
fn a_builder_that_is_used_again_asks_for_none() {
    let messages = messages();
    let mut builder = Index::builder(Default::default());
    let mut round = |chunk: usize| -> AllocationInfo {
        measure(|| {
            for message in &messages {
                message.chunks(chunk).for_each(|chunk| builder.push(chunk));
                let index = std::hint::black_box(builder.finish());
                builder.recycle(index);
            }
        })
    };
    for chunk in [usize::MAX, 4096, 7] {
        round(chunk);
        round(chunk);
        assert_eq!(round(chunk).count_total, 0, "{chunk}");
    }
}

/// The scanner alone: none for a field, a part or a line, however many there are.
#[test]
fn the_scanner_asks_for_none_per_field() {
    struct Count(u64);
    impl Visitor for Count {
        fn field(&mut self, field: &Field<'_>) {
            self.0 += field.len;
        }
    }
    let header = "Subject: a value of some length\r\n\tthat goes on\r\n".repeat(1000);
    for chunk in [usize::MAX, 4096, 100] {
        let mut count = Count(0);
        let asked = measure(|| {
            let mut scanner = Scanner::new(Limits::default());
            header
                .as_bytes()
                .chunks(chunk)
                .for_each(|chunk| scanner.push(chunk, &mut count));
            scanner.finish(&mut count);
        });
        assert_eq!(count.0, header.len() as u64);
        assert!(asked.count_total < 12, "{asked:?}");
    }
}
