//! What rspamd answers, what stands in the file of the greylist, and patterns of DNS lists: any octets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_filter::dns_list::CodePattern;
use mailwright_filter::greylist::{Config, Greylist};
use mailwright_filter::rspamd::Answer;

fuzz_target!(|data: &[u8]| {
    if let Ok(answer) = Answer::parse(data) {
        let is_field = |value: &str| value.split("\r\n").skip(1).all(|line| line.starts_with([' ', '\t']));
        assert!(answer.add_headers.iter().all(|header| is_field(&header.value)));
        assert!(answer.dkim_signatures.iter().all(|value| is_field(value)));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What is understood does not matter; what is printed is read back.
    let _ = text.parse::<CodePattern>();
    let mut list = Greylist::new(Config::default());
    list.read(text);
    let printed = list.print();
    let mut again = Greylist::new(Config::default());
    again.read(&printed);
    assert_eq!(again.print(), printed);
});
