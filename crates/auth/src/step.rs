//! How every check speaks with its caller (RFC 1034 §5)

use mailwright_dns::Question;

/// What a check needs next.
///
/// ```text
///   poll ─▶ Ask ─▶ a resolver ─▶ answer ─▶ poll ─▶ … ─▶ Ready
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
// Callers must handle all three.
#[allow(clippy::exhaustive_enums)]
pub enum Step<T> {
    /// Ask the DNS this, and give the answer to `answer`. More questions may follow before it is there.
    Ask(Question),
    /// Nothing can be done before an open question is answered, or the message has ended.
    Wait,
    /// The check is over.
    Ready(T),
}
