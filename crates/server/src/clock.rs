//! The wall clock.

use mailwright_queue::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time in seconds since 1970-01-01 UTC.
pub fn unix_now() -> i64 {
    // A clock before 1970 is as good as one that stands there.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The time as the queue counts it.
pub(crate) fn timestamp() -> Timestamp {
    Timestamp::default() + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
