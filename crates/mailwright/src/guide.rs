//! How to begin, for each kind of work. The code in it is compiled and run by the tests.
//!
//! It shows with the features `auth`, `queue`, `server` and `store`, and the default ones.
//!
//! | you want to | read |
//! |---|---|
//! | take mail into an application | [`receive`] |
//! | send mail, to a provider or to the world | [`send`] |
//! | show data of your own as mail | [`imap`] |
//! | test code that sends or reads mail | [`test`](mod@test) |
//! | build a mail server | [`server`] |
//! | use an engine without tokio | [`drive`] |

#[doc = include_str!("../guide/receive.md")]
pub mod receive {}

#[doc = include_str!("../guide/send.md")]
pub mod send {}

#[doc = include_str!("../guide/imap.md")]
pub mod imap {}

#[doc = include_str!("../guide/test.md")]
pub mod test {}

#[doc = include_str!("../guide/server.md")]
pub mod server {}

#[doc = include_str!("../guide/drive.md")]
pub mod drive {}
