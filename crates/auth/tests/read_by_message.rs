//! What this crate writes into a header, `mailwright_message::authentication` reads with the same meaning.

#![allow(clippy::unwrap_used)]

use mailwright_auth::{AuthenticationResults, Keyword, MethodResult, Property, Verdict};
use mailwright_message::authentication::Results;
use mailwright_message::header::{self, Limits};
use proptest::prelude::*;

fn agree(written: &AuthenticationResults) {
    let field = written.to_field();
    let field = header::fields(field.as_bytes()).next().unwrap();
    let mut defects = Vec::new();
    let read = Results::parse_with(field.value, &Limits::default(), &mut defects);
    assert_eq!(defects, [], "{:?}", String::from_utf8_lossy(field.value));
    assert_eq!(read.authserv_id, written.authserv_id);
    assert_eq!(read.results.len(), written.results.len());
    for (read, written) in read.results.iter().zip(&written.results) {
        assert_eq!(read.method, written.method.as_str());
        assert_eq!(read.result, written.verdict.to_string());
        assert_eq!(read.reason, written.reason.as_deref().map(Into::into));
        assert_eq!(read.properties.len(), written.properties.len());
        for (read, written) in read.properties.iter().zip(&written.properties) {
            assert_eq!(
                (&*read.kind, &*read.name),
                (written.kind.as_str(), written.name.as_str())
            );
            assert_eq!(read.value, written.value);
        }
    }
}

#[test]
fn nothing_checked() {
    agree(&AuthenticationResults::new("mx.b.test"));
}

proptest! {
    #[test]
    fn written_results_read_the_same(
        id in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}",
        reason in proptest::option::of("[ -~]{1,30}"),
        value in "[a-z]{1,10}@[a-z]{1,10}|[!-~]{1,20}",
        many in 0usize..4,
    ) {
        prop_assume!(reason.as_deref().is_none_or(|reason| reason.trim() == reason && !reason.contains("  ")));
        let mut results = AuthenticationResults::new(id);
        for n in 0..many {
            let verdict = [Verdict::Pass, Verdict::Fail, Verdict::None][n % 3].clone();
            let property = Property::new(Keyword::SMTP, Keyword::new("mailfrom").unwrap(), &value);
            let mut result = MethodResult::new(Keyword::new("spf").unwrap(), verdict).with(property);
            if let Some(reason) = &reason {
                result = result.because(reason);
            }
            results.results.push(result);
        }
        agree(&results);
    }
}
