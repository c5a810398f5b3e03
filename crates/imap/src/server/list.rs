//! LIST, LSUB, LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC 6154)

use super::{Phase, Reply, Server, Task};
use crate::codec::ListOptions;
use crate::data::{ListRow, SpecialUse, Status};
use crate::name::matches_pattern;
use crate::{Capability, Code, EntryName, Event, ListRequest, Rights, StatusItem, When};
use bytes::Bytes;
use std::collections::BTreeSet;

/// A LIST or LSUB that is being answered.
#[derive(Debug)]
pub(super) struct Listing {
    is_lsub: bool,
    /// In the extended form, whose answers have more attributes.
    is_extended: bool,
    pub(super) options: ListOptions,
    patterns: Vec<String>,
    delimiter: char,
    /// LSUB: levels above subscribed mailboxes that were told already.
    told: BTreeSet<String>,
    /// RECURSIVEMATCH: rows wait until it is known whether a child matches.
    held: Vec<Held>,
}

/// A row that cannot be told before all others are known.
#[derive(Debug)]
struct Held {
    name: String,
    no_select: bool,
    no_inferiors: bool,
    non_existent: bool,
    children: Option<bool>,
    marked: Option<bool>,
    subscribed: bool,
    special_use: Vec<SpecialUse>,
    selected: bool,
    matches: bool,
    status: Option<Status>,
    returned: Returned,
}

/// What is told of a row that waits, besides the row.
#[derive(Debug, Default)]
pub(super) struct Returned {
    pub(super) rights: Option<Rights>,
    pub(super) metadata: Vec<(EntryName, Option<Bytes>)>,
}

impl Listing {
    pub(super) fn list(options: Option<ListOptions>, delimiter: char) -> Self {
        Self {
            is_lsub: false,
            is_extended: options.is_some(),
            options: options.unwrap_or_default(),
            patterns: Vec::new(),
            delimiter,
            told: BTreeSet::new(),
            held: Vec::new(),
        }
    }

    pub(super) fn lsub(delimiter: char) -> Self {
        let mut lsub = Self::list(None, delimiter);
        lsub.is_lsub = true;
        lsub.options.subscribed = true;
        lsub
    }

    /// What is told with the row that was offered last, if that waits.
    pub(super) fn held_row(&mut self, name: &str) -> Option<&mut Returned> {
        let held = self.held.last_mut().filter(|held| held.name == name)?;
        Some(&mut held.returned)
    }

    fn matches(&self, name: &str) -> bool {
        self.patterns
            .iter()
            .any(|p| matches_pattern(name, p, self.delimiter))
    }

    /// Whether the selection options let the row through.
    fn selects(&self, row: &ListRow<'_>) -> bool {
        (!self.options.subscribed || row.subscribed)
            && (!self.options.special_use || !row.special_use.is_empty())
            // What does not exist is told only to those who ask for subscriptions.
            && (!row.non_existent || self.options.subscribed)
    }
}

impl Server {
    pub(super) fn list_command(
        &mut self,
        reference: &[u8],
        patterns: &[Bytes],
        listing: impl FnOnce(char) -> Listing,
    ) {
        let delimiter = self.config.delimiter;
        let mut listing = listing(delimiter);
        if let [pattern] = patterns
            && pattern.is_empty()
            && !listing.is_lsub
        {
            // RFC 3501 §6.3.8: this asks for the delimiter and the root.
            self.out()
                .raw("* LIST (\\Noselect) ")
                .delimiter(delimiter)
                .raw(" \"\"\r\n");
            return self.complete(Reply::ok("List completed"), When::Anything);
        }
        for pattern in patterns {
            let whole = [reference, pattern].concat();
            let whole = Some(whole).filter(|p| p.len() <= LONGEST_PATTERN);
            match whole.and_then(|pattern| self.decoded(&pattern)) {
                Some(pattern) => listing.patterns.push(pattern),
                None => {
                    return self.no(Some(Code::Cannot), "The pattern is too long or not valid");
                }
            }
        }
        if listing.patterns.len() > MOST_PATTERNS {
            return self.no(Some(Code::Limit), "There are too many patterns");
        }
        if !listing.options.return_status.is_empty() && !self.offers(Capability::ListStatus) {
            return self.bad("an option is not known");
        }
        let rights = listing.options.return_my_rights && !self.offers(Capability::ListMyRights);
        let metadata = !listing.options.return_metadata.is_empty() && !self.offers(Capability::ListMetadata);
        if rights || metadata {
            return self.bad("an option is not known");
        }
        let items = listing.options.return_status.clone();
        if !self.may_ask_status(&items) {
            return;
        }
        let request = ListRequest {
            my_rights: listing.options.return_my_rights,
            metadata: listing.options.return_metadata.clone(),
            subscribed_only: listing.options.subscribed,
            status: listing.options.return_status.clone(),
        };
        self.ask(Event::List(request), Task::List(Box::new(listing)));
    }

    /// Offers one mailbox in answer to [`Event::List`]; returns whether [`list_status`](Server::list_status)
    /// is to follow where the request has status items.
    ///
    /// Offer every mailbox of the account, subscribed names that do not exist, and levels that only have
    /// children; in any order, each once.
    ///
    /// # Panics
    ///
    /// Panics if mailboxes were not asked for.
    pub fn list(&mut self, row: &ListRow<'_>) -> bool {
        let Phase::Asked(Task::List(listing)) = &mut self.phase else {
            panic!("no mailboxes were asked for")
        };
        let selectable = !row.no_select && !row.non_existent;
        if listing.options.recursive {
            let (selected, matches) = (listing.selects(row), listing.matches(row.name));
            listing.held.push(Held::new(row, selected, matches));
            return matches && selectable;
        }
        if !listing.selects(row) {
            return false;
        }
        if listing.matches(row.name) {
            let (is_lsub, is_extended) = (listing.is_lsub, listing.is_extended);
            if is_lsub {
                listing.told.insert(row.name.to_owned());
            }
            let subscribed = row.subscribed
                && (listing.options.subscribed || listing.options.return_subscribed)
                && is_extended;
            self.put_row(row, is_lsub, is_extended, subscribed, "");
            return selectable;
        }
        if listing.is_lsub {
            self.tell_level_above(row.name);
        }
        false
    }

    /// Tells the state of the mailbox for which [`list`](Server::list) has just returned true (RFC 5819).
    ///
    /// # Panics
    ///
    /// Panics if mailboxes were not asked for.
    pub fn list_status(&mut self, name: &str, status: &Status) {
        let Phase::Asked(Task::List(listing)) = &mut self.phase else {
            panic!("no mailboxes were asked for")
        };
        if listing.options.recursive {
            if let Some(held) = listing.held.last_mut().filter(|held| held.name == name) {
                held.status = Some(status.clone());
            }
            return;
        }
        let items: Vec<StatusItem> = listing.options.return_status.clone();
        if !items.is_empty() {
            self.put_status(name, &items, status);
        }
    }

    /// RFC 3501 §6.3.9: `%` finds the level above a subscribed mailbox, even if that itself is not subscribed.
    fn tell_level_above(&mut self, name: &str) {
        let Phase::Asked(Task::List(listing)) = &mut self.phase else {
            return;
        };
        let levels = name.match_indices(listing.delimiter).map(|(at, _)| &name[..at]);
        let found = levels.rev().find(|level| listing.matches(level));
        if let Some(level) = found
            && listing.told.insert(level.to_owned())
        {
            let mut row = ListRow::new(level);
            row.no_select = true;
            self.put_row(&row, true, false, false, "");
        }
    }

    pub(super) fn finish_list(&mut self, mut listing: Listing) {
        let held = std::mem::take(&mut listing.held);
        let selected: BTreeSet<&str> = held
            .iter()
            .filter(|h| h.selected)
            .map(|h| h.name.as_str())
            .collect();
        let options = &listing.options;
        let child_info = match (options.subscribed, options.special_use) {
            (true, false) => "\"SUBSCRIBED\"",
            (false, _) => "\"SPECIAL-USE\"",
            (true, true) => "\"SUBSCRIBED\" \"SPECIAL-USE\"",
        };
        for row in held.iter().filter(|row| row.matches) {
            let prefix = format!("{}{}", row.name, listing.delimiter);
            let below = selected.range(prefix.as_str()..).next();
            let has_child = below.is_some_and(|name| name.starts_with(&prefix));
            if row.selected || has_child {
                let subscribed = row.subscribed && (options.subscribed || options.return_subscribed);
                let child_info = if has_child { child_info } else { "" };
                self.put_row(&row.row(), false, true, subscribed, child_info);
                if let Some(status) = &row.status {
                    self.put_status(&row.name, &options.return_status, status);
                }
                // RFC 8440 §4: not of a mailbox that is listed for its children alone.
                if row.selected {
                    self.put_returned(&row.name, &row.returned);
                }
            }
        }
        let text = if listing.is_lsub {
            "Lsub completed"
        } else {
            "List completed"
        };
        self.complete(Reply::ok(text), When::Anything);
    }

    fn put_row(
        &mut self,
        row: &ListRow<'_>,
        is_lsub: bool,
        is_extended: bool,
        subscribed: bool,
        child_info: &str,
    ) {
        let mut row = row.clone();
        if !self.offers(Capability::Children) {
            row.children = None;
        }
        if !self.offers(Capability::SpecialUse) || is_lsub {
            row.special_use = &[];
        }
        // The older forms do not know \NonExistent.
        row.no_select |= row.non_existent && !is_extended;
        let extra = [
            (row.non_existent && is_extended).then_some("\\NonExistent"),
            subscribed.then_some("\\Subscribed"),
        ];
        let extra: Vec<&str> = extra.into_iter().flatten().collect();
        let delimiter = self.config.delimiter;
        let mut out = self.out();
        out.raw(if is_lsub { "* LSUB " } else { "* LIST " });
        out.list_row(&row, delimiter, &extra);
        // RFC 5258 §3.5: children that the options select.
        if !child_info.is_empty() {
            out.raw(" (\"CHILDINFO\" (").raw(child_info).raw("))");
        }
        out.raw("\r\n");
    }
}

impl Held {
    fn new(row: &ListRow<'_>, selected: bool, matches: bool) -> Self {
        Self {
            name: row.name.to_owned(),
            no_select: row.no_select,
            no_inferiors: row.no_inferiors,
            non_existent: row.non_existent,
            children: row.children,
            marked: row.marked,
            subscribed: row.subscribed,
            special_use: row.special_use.to_vec(),
            selected,
            matches,
            status: None,
            returned: Returned::default(),
        }
    }

    fn row(&self) -> ListRow<'_> {
        ListRow {
            name: &self.name,
            no_select: self.no_select,
            no_inferiors: self.no_inferiors,
            non_existent: self.non_existent,
            children: self.children,
            marked: self.marked,
            subscribed: self.subscribed,
            special_use: &self.special_use,
        }
    }
}

/// A pattern is matched in time proportional to its length times the name's: no longer than any name.
const LONGEST_PATTERN: usize = 1000;
/// Each pattern is matched against each mailbox.
const MOST_PATTERNS: usize = 50;
