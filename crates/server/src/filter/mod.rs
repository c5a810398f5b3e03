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

/// The filters that a configuration asks for.
#[derive(Debug, Clone)]
pub(crate) struct BuiltIn {
    /// All of them, in their order.
    pub(crate) all: Vec<Arc<dyn Filter>>,
    rates: Arc<Rates>,
    /// The one that is to be kept.
    pub(crate) greylist: Option<Arc<Greylisted>>,
}

/// All filters that a configuration asks for. What those of the configuration `before` have counted goes on being counted,
/// where its settings are the same; the greylist stays as it is.
pub(crate) fn from_config(
    config: &Config,
    dns: &Dns,
    alarms: &mpsc::Sender<Alarm>,
    before: Option<(&Config, &BuiltIn)>,
) -> BuiltIn {
    let filtering = &config.filtering;
    let rates = before.filter(|(old, _)| old.filtering.rates == filtering.rates);
    let rates = rates.map_or_else(
        || Arc::new(Rates::new(&filtering.rates).telling(alarms.clone())),
        |(_, kept)| kept.rates.clone(),
    );
    let mut all: Vec<Arc<dyn Filter>> = vec![rates.clone()];
    let lists = (!filtering.dns_lists.lists.is_empty())
        .then(|| Arc::new(Listed::new(filtering.dns_lists.clone(), dns.clone())));
    if let Some(lists) = &lists {
        all.push(lists.clone());
    }
    let greylist = match before {
        Some((_, kept)) => kept.greylist.clone(),
        None => filtering.greylist.enabled.then(|| {
            let file = Some(config.greylist_file());
            Arc::new(Greylisted::open(&filtering.greylist, file, lists))
        }),
    };
    if let Some(greylist) = &greylist {
        all.push(greylist.clone());
    }
    for filter in &filtering.filters {
        all.push(Arc::new(Remote::new(filter.clone(), config.hostname.as_str())));
    }
    BuiltIn { all, rates, greylist }
}
