//! INPROGRESS: a command takes time (RFC 9585)

use super::{Phase, Server, Task};
use crate::Capability;

impl Server {
    /// Tells that the open question takes time, so that the client does not give up: `done` of `total` items,
    /// where these are known. Give it every 15 seconds or so (RFC 9585 §4), each time with more done.
    ///
    /// Says nothing if that is not offered, if no question is open, or in the midst of a response.
    pub fn in_progress(&mut self, done: Option<u32>, total: Option<u32>) {
        let Phase::Asked(task) = &self.phase else { return };
        if !self.offers(Capability::InProgress) || task.is_amid_response() {
            return;
        }
        let tag = self.tag.clone();
        let mut out = self.out();
        out.raw("* OK [INPROGRESS (").string(&tag);
        for number in [done, total.filter(|total| done.is_none_or(|done| done <= *total))] {
            match number {
                Some(n) => out.raw(" ").number(u64::from(n)),
                None => out.raw(" NIL"),
            };
        }
        out.raw(")] Still working\r\n");
    }
}

impl Task {
    /// A line or a row was begun and is not complete.
    fn is_amid_response(&self) -> bool {
        match self {
            Self::Search(searching) => searching.is_open,
            Self::Fetch(fetching) => fetching.has_open_row(),
            Self::Sort(sorting) => sorting.is_open,
            Self::Metadata(annotating) => annotating.is_open(),
            _ => false,
        }
    }
}
