//! What keeps unwanted mail out: programs that are asked about messages, lists in the DNS, greylisting, rate limits
//!
//! ```text
//!              Judge (crate::judge)
//!   ┌────────┬──────────┬────────────┬──────────── in this order ───────────────┐
//!  Rates   Listed   Greylisted    Remote ─▶ connect ─▶ rspamd │ clamd │ spamd │ milter
//!  (table)  (DNS)   (table, file)    └─ whatever goes wrong there: `on_error`
//! ```
//!
//! Each is a [`Filter`], and of use to other programs alone: [`Remote`] asks a program,
//! whatever goes wrong on its side.
//!
//! Every question has a connection of its own, and none is kept: spamd closes after its answer, clamd does so after
//! `zINSTREAM` outside of a session whose answers would have to be told apart, milters of libmilter were seen not to
//! answer to a second client on one connection, and rspamd costs the same without. Against a scan, a connection on the
//! same machine is nothing, and one that is new cannot be dead, or in the middle of somebody else's message.

mod clamd;
mod connect;
mod greylist;
mod lists;
mod marks;
mod milter;
mod milter_edits;
mod rates;
mod remote;
mod rspamd;
mod spamd;

pub use greylist::Greylisted;
pub use lists::{Listed, Standing};
pub(crate) use rates::Alarm;
pub use rates::Rates;
pub use remote::Remote;

use crate::config::Config;
use crate::dns::Dns;
use crate::judge::Filter;
use std::sync::Arc;
use tokio::sync::mpsc;

/// All filters that a configuration asks for, in their order; and the greylist, if it is to be kept.
pub(crate) fn from_config(
    config: &Config,
    dns: &Dns,
    alarms: mpsc::Sender<Alarm>,
) -> (Vec<Arc<dyn Filter>>, Option<Arc<Greylisted>>) {
    let filtering = &config.filtering;
    let rates = Rates::new(&filtering.rates).telling(alarms);
    let mut filters: Vec<Arc<dyn Filter>> = vec![Arc::new(rates)];
    let lists = (!filtering.dns_lists.lists.is_empty())
        .then(|| Arc::new(Listed::new(filtering.dns_lists.clone(), dns.clone())));
    if let Some(lists) = &lists {
        filters.push(lists.clone());
    }
    let greylist = filtering.greylist.enabled.then(|| {
        Arc::new(Greylisted::open(
            &filtering.greylist,
            Some(config.greylist_file()),
            lists,
        ))
    });
    if let Some(greylist) = &greylist {
        filters.push(greylist.clone());
    }
    for filter in &filtering.filters {
        filters.push(Arc::new(Remote::new(filter.clone(), config.hostname.as_str())));
    }
    (filters, greylist)
}
