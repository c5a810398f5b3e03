//! Command lines, EHLO lines and PROXY headers: what parses prints, and parses again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailwright_fuzz::choices;
use mailwright_smtp::ehlo::Keyword;
use mailwright_smtp::proxy::{Header, Progress, Versions};
use mailwright_smtp::{Command, Extensions};

fuzz_target!(|data: &[u8]| {
    let (choice, rest) = choices(data);
    match choice % 4 {
        0 => proxy(rest),
        1 => keyword(rest),
        _ => command(rest),
    }
});

fn command(line: &[u8]) {
    let _ = Command::parse(line, &Extensions::NONE);
    match Command::parse(line, &Extensions::ALL) {
        Ok(command) => {
            let printed = command.to_string();
            assert!(!printed.chars().any(char::is_control), "{printed:?}");
            assert_eq!(Command::parse(printed.as_bytes(), &Extensions::ALL).as_ref(), Ok(&command));
        }
        Err(error) => assert_eq!(error.reply().code() / 100, 5),
    }
}

fn keyword(line: &[u8]) {
    if let Ok(line) = std::str::from_utf8(line) {
        let keyword = Keyword::parse(line);
        assert_eq!(Keyword::parse(&keyword.to_string()), keyword);
    }
}

fn proxy(octets: &[u8]) {
    let mut have = 0;
    loop {
        match Header::decode(&octets[..have], Versions::Any, 1000) {
            Ok(Progress::Wants(n)) => {
                assert!(n > 0 && have + n <= 1000);
                have += n;
                if have > octets.len() {
                    return;
                }
            }
            Ok(Progress::Complete { header, len }) => {
                assert_eq!(len, have, "not one octet behind the header is wanted");
                header.extensions().for_each(drop);
                return;
            }
            Err(_) => return,
        }
    }
}
