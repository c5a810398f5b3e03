//! What the header of a message says about it, and what happens to one that is bad.

use crate::config::OnHit;
use crate::judge::{Action, Change, HeaderField};
use mailwright_smtp::{EnhancedCode, Rejection};

/// The fields that this server writes about spam; those that come with a message are not to be believed.
const FIELDS: [&str; 4] = ["X-Spam", "X-Spam-Flag", "X-Spam-Score", "X-Spam-Status"];

/// What a filter for spam found out.
pub(super) struct Spam<'a> {
    pub(super) is_spam: bool,
    pub(super) score: f64,
    pub(super) required: f64,
    /// The names of rules that matched, with their scores if they are known.
    pub(super) rules: &'a [(String, Option<f64>)],
}

impl Spam<'_> {
    /// Removes the marks that the message came with, and writes our own.
    pub(super) fn marks(&self) -> Vec<Change> {
        let removal = |name: &str| Change::Remove {
            name: name.to_owned(),
            nth: None,
        };
        let mut changes: Vec<_> = FIELDS.into_iter().map(removal).collect();
        changes.extend(prepend("X-Spam-Status", &self.status()));
        changes.extend(prepend("X-Spam-Score", &format!("{:.2}", self.score)));
        if self.is_spam {
            changes.extend(prepend("X-Spam-Flag", "YES"));
            changes.extend(prepend("X-Spam", "Yes"));
        }
        changes
    }

    /// `Yes, score=15.1 required=5.0 tests=A,B`, folded.
    fn status(&self) -> String {
        let word = if self.is_spam { "Yes" } else { "No" };
        let mut text = format!("{word}, score={:.2} required={:.2}", self.score, self.required);
        let mut line = text.len() + "X-Spam-Status: ".len();
        let mut separator = " tests=";
        for (name, score) in self.rules {
            let rule = match score {
                Some(score) => format!("{name}({score:.2})"),
                None => name.clone(),
            };
            if text.len() + rule.len() > MOST_STATUS {
                break;
            }
            text += separator;
            line += separator.len() + rule.len();
            if line > MOST_LINE {
                text += "\r\n\t";
                line = rule.len() + 1;
            }
            text += &rule;
            separator = ",";
        }
        text
    }
}

/// What happens to a message that a filter found bad.
pub(super) fn hit(on_hit: OnHit, words: &str) -> Action {
    match on_hit {
        OnHit::Mark => Action::Accept,
        OnHit::Junk => Action::Quarantine,
        OnHit::Discard => Action::Discard,
        OnHit::Reject => Action::Reject(refusal(554, words)),
    }
}

/// A refusal for reasons of policy (RFC 3463 §3.8), for the moment or for good.
pub(super) fn refusal(code: u16, words: &str) -> Rejection {
    let class = if code < 500 { 4 } else { 5 };
    Rejection::new(code, EnhancedCode::new(class, 7, 1), words).expect("the codes are of one class")
}

pub(super) fn prepend(name: &str, value: &str) -> Option<Change> {
    HeaderField::new(name, value).map(Change::Prepend)
}

/// How long the list of rules may get, and a line of it, in octets.
const MOST_STATUS: usize = 4096;
const MOST_LINE: usize = 76;
