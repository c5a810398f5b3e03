//! Printing commands (RFC 3501 §9)

use super::out::Out;
use super::{Body, Command, FetchModifiers, ListOptions, Resync, ReturnOptions, SearchKey};
use crate::data::{Alias, FetchItem, Partial, StatusItem};
use crate::{DateTime, Flag, Flags, StoreAction};
use bytes::Bytes;
use mailwright_wire::SendBuf;

impl Command {
    /// Prints the command without its final CRLF. What can only be a literal is a non-synchronising one
    /// (RFC 7888). The message of APPEND is not part of it: the caller goes on with the literal.
    pub fn encode(&self, tx: &mut SendBuf) {
        let mut out = Printer(Out::new(tx));
        out.0.0.put(&self.tag);
        out.0.raw(" ");
        out.body(&self.body);
    }
}

/// Prints what FETCH asks for, in parentheses with a space before; with UID if `with_uid`.
pub(crate) fn put_fetch_items(items: &[FetchItem], with_uid: bool, tx: &mut SendBuf) {
    Printer(Out::new(tx)).fetch_items(items, with_uid);
}

/// Prints search keys, each with a space before.
pub(crate) fn put_search_keys(keys: &[SearchKey], tx: &mut SendBuf) {
    let mut printer = Printer(Out::new(tx));
    for key in keys {
        printer.raw(" ").key(key);
    }
}

pub(super) struct Printer<'a>(pub(super) Out<'a>);

impl Printer<'_> {
    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        self.0.raw(text);
        self
    }

    /// A string as clients send it.
    pub(super) fn string(&mut self, text: &[u8]) -> &mut Self {
        let quotable = |b: &u8| !matches!(b, 0 | b'\r' | b'\n' | 128..);
        if text.iter().all(quotable) && text.len() <= 1000 {
            self.0.astring(text);
        } else {
            self.raw("{").0.number(text.len() as u64);
            self.raw("+}\r\n").0.0.put(text);
        }
        self
    }

    pub(super) fn string_list(&mut self, list: &[Bytes]) -> &mut Self {
        self.raw("(");
        for (i, text) in list.iter().enumerate() {
            self.raw(if i > 0 { " " } else { "" }).string(text);
        }
        self.raw(")")
    }

    /// A string that must not be an atom: the grammar wants `string` here.
    pub(super) fn quoted(&mut self, text: &[u8]) -> &mut Self {
        if text.iter().all(|b| !matches!(b, 0 | b'\r' | b'\n' | 128..)) && text.len() <= 1000 {
            self.0.string(text);
            return self;
        }
        self.string(text)
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Capability => self.raw("CAPABILITY"),
            Body::Noop => self.raw("NOOP"),
            Body::Logout => self.raw("LOGOUT"),
            Body::StartTls => self.raw("STARTTLS"),
            Body::Check => self.raw("CHECK"),
            Body::Close => self.raw("CLOSE"),
            Body::Unselect => self.raw("UNSELECT"),
            Body::Idle => self.raw("IDLE"),
            Body::Namespace => self.raw("NAMESPACE"),
            Body::Expunge(None) => self.raw("EXPUNGE"),
            Body::Expunge(Some(set)) => {
                self.raw("UID EXPUNGE ").0.display(set);
                self
            }
            Body::Authenticate { mechanism, initial } => {
                self.raw("AUTHENTICATE ").0.0.put(mechanism);
                if let Some(initial) = initial {
                    self.raw(" ").0.0.put(initial.as_bytes());
                }
                self
            }
            Body::Login { username, password } => self
                .raw("LOGIN ")
                .string(username)
                .raw(" ")
                .string(password.as_bytes()),
            Body::Enable(names) => {
                self.raw("ENABLE");
                for name in names {
                    self.raw(" ").0.0.put(name);
                }
                self
            }
            Body::Id(fields) if fields.is_empty() => self.raw("ID NIL"),
            Body::Id(fields) => {
                self.raw("ID (");
                for (i, (name, value)) in fields.iter().enumerate() {
                    self.raw(if i > 0 { " " } else { "" }).quoted(name).raw(" ");
                    match value {
                        Some(value) => self.quoted(value),
                        None => self.raw("NIL"),
                    };
                }
                self.raw(")")
            }
            Body::Select {
                mailbox,
                read_only,
                condstore,
                resync,
            } => {
                self.raw(if *read_only { "EXAMINE " } else { "SELECT " })
                    .string(mailbox);
                match (condstore, resync) {
                    (false, None) => self,
                    (true, None) => self.raw(" (CONDSTORE)"),
                    (condstore, Some(resync)) => self
                        .raw(if *condstore { " (CONDSTORE " } else { " (" })
                        .resync(resync)
                        .raw(")"),
                }
            }
            Body::Create { mailbox, special_use } => {
                self.raw("CREATE ").string(mailbox);
                if !special_use.is_empty() {
                    self.raw(" (USE (");
                    self.0.joined(special_use, |out, name| {
                        out.0.put(name);
                    });
                    self.raw("))");
                }
                self
            }
            Body::Delete(name) => self.raw("DELETE ").string(name),
            Body::Rename { from, to } => self.raw("RENAME ").string(from).raw(" ").string(to),
            Body::Subscribe(name) => self.raw("SUBSCRIBE ").string(name),
            Body::Unsubscribe(name) => self.raw("UNSUBSCRIBE ").string(name),
            Body::List {
                reference,
                patterns,
                options,
            } => self.list(reference, patterns, options.as_ref()),
            Body::Lsub { reference, pattern } => self.raw("LSUB ").string(reference).raw(" ").quoted(pattern),
            Body::Status { mailbox, items } => {
                self.raw("STATUS ").string(mailbox).raw(" ").status_items(items)
            }
            Body::Compress(algorithm) => {
                self.raw("COMPRESS ").0.0.put(algorithm);
                self
            }
            Body::Unauthenticate => self.raw("UNAUTHENTICATE"),
            Body::Sort(command) => self.sort(command),
            Body::Thread(command) => self.thread(command),
            Body::SearchIn(command) => self.search_in(command),
            Body::Notify(command) => self.notify(command),
            Body::ApplePush(command) => self.apple_push(command),
            Body::Quota(command) => self.quota(command),
            Body::Acl(command) => self.acl(command),
            Body::Metadata(command) => self.metadata(command),
            Body::Append {
                mailbox,
                flags,
                internal_date,
            } => {
                self.raw("APPEND ").string(mailbox).raw(" ");
                self.flags_and_date(flags, *internal_date)
            }
            Body::Replace {
                uid,
                number,
                mailbox,
                flags,
                internal_date,
            } => {
                self.uid(*uid).raw("REPLACE ").0.display(number);
                self.raw(" ").string(mailbox).raw(" ");
                self.flags_and_date(flags, *internal_date)
            }
            Body::Search {
                uid,
                returns,
                charset,
                keys,
            } => self.search(*uid, *returns, charset.as_ref(), keys),
            Body::Fetch {
                uid,
                set,
                items,
                with_uid,
                modifiers,
            } => {
                self.uid(*uid).raw("FETCH ").0.display(set);
                self.fetch_items(items, *with_uid && !*uid)
                    .fetch_modifiers(modifiers)
            }
            Body::Store {
                uid,
                set,
                action,
                silent,
                flags,
                unchanged_since,
            } => {
                self.uid(*uid).raw("STORE ").0.display(set);
                if let Some(mod_seq) = unchanged_since {
                    self.raw(" (UNCHANGEDSINCE ").0.number(*mod_seq).raw(")");
                }
                self.raw(match action {
                    StoreAction::Replace => " FLAGS",
                    StoreAction::Add => " +FLAGS",
                    StoreAction::Remove => " -FLAGS",
                });
                self.raw(if *silent { ".SILENT " } else { " " }).flags(flags)
            }
            Body::Copy {
                uid,
                moving,
                set,
                mailbox,
            } => {
                self.uid(*uid)
                    .raw(if *moving { "MOVE " } else { "COPY " })
                    .0
                    .display(set);
                self.raw(" ").string(mailbox)
            }
        };
    }

    fn resync(&mut self, resync: &Resync) -> &mut Self {
        self.raw("QRESYNC (")
            .0
            .number(u64::from(resync.uid_validity.get()))
            .raw(" ")
            .number(resync.mod_seq);
        if let Some(known) = resync.known.as_ref().filter(|known| !known.is_empty()) {
            self.raw(" ").0.uid_set(known);
        }
        if let Some((numbers, uids)) = &resync.sample {
            self.raw(" (").0.uid_set(numbers).raw(" ").uid_set(uids).raw(")");
        }
        self.raw(")")
    }

    fn flags_and_date(&mut self, flags: &Flags, internal_date: Option<DateTime>) -> &mut Self {
        if !flags.is_empty() {
            self.flags(flags).raw(" ");
        }
        if let Some(date) = internal_date {
            self.0.date_time(date).raw(" ");
        }
        self
    }

    fn fetch_modifiers(&mut self, modifiers: &FetchModifiers) -> &mut Self {
        if *modifiers == FetchModifiers::default() {
            return self;
        }
        let mut gap = " (";
        if let Some(mod_seq) = modifiers.changed_since {
            self.raw(gap).raw("CHANGEDSINCE ").0.number(mod_seq);
            gap = " ";
        }
        if modifiers.vanished {
            self.raw(gap).raw("VANISHED");
            gap = " ";
        }
        if let Some(page) = modifiers.partial {
            self.raw(gap).raw("PARTIAL ").0.display(page);
        }
        self.raw(")")
    }

    pub(super) fn uid(&mut self, uid: bool) -> &mut Self {
        self.raw(if uid { "UID " } else { "" })
    }

    fn flags(&mut self, flags: &Flags) -> &mut Self {
        self.0.flags(flags, false);
        self
    }

    fn status_items(&mut self, items: &[StatusItem]) -> &mut Self {
        self.raw("(");
        self.0.joined(items, |out, item| {
            out.raw(item.as_str());
        });
        self.raw(")")
    }

    fn list(&mut self, reference: &[u8], patterns: &[Bytes], options: Option<&ListOptions>) -> &mut Self {
        self.raw("LIST ");
        if let Some(o) = options {
            let select = [
                (o.subscribed, "SUBSCRIBED"),
                (o.recursive, "RECURSIVEMATCH"),
                (o.special_use, "SPECIAL-USE"),
            ];
            self.words(&select).raw(" ");
        }
        self.string(reference).raw(" ");
        match (patterns, options) {
            ([pattern], _) => self.quoted(pattern),
            _ => self.string_list(patterns),
        };
        if let Some(o) = options {
            let returns = [
                (o.return_subscribed, "SUBSCRIBED"),
                (o.return_children, "CHILDREN"),
                (o.return_special_use, "SPECIAL-USE"),
                (o.return_my_rights, "MYRIGHTS"),
            ];
            self.raw(" RETURN (");
            let mut some = self.bare_words(&returns);
            if !o.return_status.is_empty() {
                self.raw(if std::mem::replace(&mut some, true) {
                    " "
                } else {
                    ""
                });
                self.raw("STATUS ").status_items(&o.return_status);
            }
            if !o.return_metadata.is_empty() {
                self.raw(if some { " METADATA " } else { "METADATA " });
                self.entries(&o.return_metadata);
            }
            self.raw(")");
        }
        self
    }

    fn words(&mut self, words: &[(bool, &str)]) -> &mut Self {
        self.raw("(");
        self.bare_words(words);
        self.raw(")")
    }

    /// The chosen words with spaces between; says whether there was one.
    fn bare_words(&mut self, words: &[(bool, &str)]) -> bool {
        let mut some = false;
        for (_, word) in words.iter().filter(|(chosen, _)| *chosen) {
            self.raw(if std::mem::replace(&mut some, true) {
                " "
            } else {
                ""
            })
            .raw(word);
        }
        some
    }

    pub(super) fn fetch_items(&mut self, items: &[FetchItem], with_uid: bool) -> &mut Self {
        self.raw(" (");
        // A list must not be empty: a bare UID FETCH asks for the UID it gets anyway.
        if with_uid || items.is_empty() {
            self.raw(if items.is_empty() { "UID" } else { "UID " });
        }
        self.0.joined(items, |out, item| {
            match item {
                FetchItem::Flags => out.raw("FLAGS"),
                FetchItem::InternalDate => out.raw("INTERNALDATE"),
                FetchItem::Size => out.raw("RFC822.SIZE"),
                FetchItem::Envelope => out.raw("ENVELOPE"),
                FetchItem::Body => out.raw("BODY"),
                FetchItem::BodyStructure => out.raw("BODYSTRUCTURE"),
                FetchItem::Section(item) => match item.alias {
                    Some(alias) => out.raw(Alias::as_str(alias)),
                    None => {
                        out.raw(if item.peek { "BODY.PEEK[" } else { "BODY[" });
                        out.section(&item.section).raw("]");
                        partial_range(out, item.partial)
                    }
                },
                FetchItem::ModSeq => out.raw("MODSEQ"),
                FetchItem::Binary(item) => {
                    out.raw(if item.peek { "BINARY.PEEK[" } else { "BINARY[" });
                    out.part(&item.part).raw("]");
                    partial_range(out, item.partial)
                }
                FetchItem::BinarySize(part) => out.raw("BINARY.SIZE[").part(part).raw("]"),
                FetchItem::EmailId => out.raw("EMAILID"),
                FetchItem::ThreadId => out.raw("THREADID"),
                FetchItem::SaveDate => out.raw("SAVEDATE"),
                FetchItem::Preview { lazy: false } => out.raw("PREVIEW"),
                FetchItem::Preview { lazy: true } => out.raw("PREVIEW (LAZY)"),
            };
        });
        self.raw(")")
    }

    fn search(
        &mut self,
        uid: bool,
        returns: Option<ReturnOptions>,
        charset: Option<&Bytes>,
        keys: &[SearchKey],
    ) -> &mut Self {
        self.uid(uid).raw("SEARCH").returns(returns);
        if let Some(charset) = charset {
            self.raw(" CHARSET ").string(charset);
        }
        self.keys(keys)
    }

    pub(super) fn keys(&mut self, keys: &[SearchKey]) -> &mut Self {
        for key in keys {
            self.raw(" ").key(key);
        }
        self
    }

    pub(super) fn returns(&mut self, returns: Option<ReturnOptions>) -> &mut Self {
        if let Some(r) = returns {
            self.raw(" RETURN (");
            let some = self.bare_words(&[
                (r.min, "MIN"),
                (r.max, "MAX"),
                (r.all, "ALL"),
                (r.count, "COUNT"),
                (r.save, "SAVE"),
            ]);
            if let Some(page) = r.partial {
                self.raw(if some { " PARTIAL " } else { "PARTIAL " })
                    .0
                    .display(page);
            }
            self.raw(")");
        }
        self
    }

    fn key(&mut self, key: &SearchKey) -> &mut Self {
        let date = |out: &mut Self, name: &str, date: &crate::Date| {
            out.raw(name).raw(" ").0.display(date);
        };
        match key {
            SearchKey::All => {
                self.raw("ALL");
            }
            SearchKey::New => {
                self.raw("NEW");
            }
            SearchKey::Old => {
                self.raw("OLD");
            }
            SearchKey::Recent => {
                self.raw("RECENT");
            }
            SearchKey::Has(Flag::Keyword(keyword)) => {
                self.raw("KEYWORD ").raw(keyword.as_str());
            }
            SearchKey::Lacks(Flag::Keyword(keyword)) => {
                self.raw("UNKEYWORD ").raw(keyword.as_str());
            }
            SearchKey::Has(flag) => {
                self.raw(flag.as_str().trim_start_matches('\\'));
            }
            SearchKey::Lacks(flag) => {
                self.raw("UN").raw(flag.as_str().trim_start_matches('\\'));
            }
            SearchKey::Before(d) => date(self, "BEFORE", d),
            SearchKey::On(d) => date(self, "ON", d),
            SearchKey::Since(d) => date(self, "SINCE", d),
            SearchKey::SentBefore(d) => date(self, "SENTBEFORE", d),
            SearchKey::SentOn(d) => date(self, "SENTON", d),
            SearchKey::SentSince(d) => date(self, "SENTSINCE", d),
            SearchKey::Larger(n) => {
                self.raw("LARGER ").0.number(*n);
            }
            SearchKey::Smaller(n) => {
                self.raw("SMALLER ").0.number(*n);
            }
            SearchKey::Header(name, value) => {
                self.raw("HEADER ").string(name).raw(" ").string(value);
            }
            SearchKey::Body(value) => {
                self.raw("BODY ").string(value);
            }
            SearchKey::Text(value) => {
                self.raw("TEXT ").string(value);
            }
            SearchKey::Younger(n) => {
                self.raw("YOUNGER ").0.number(u64::from(*n));
            }
            SearchKey::Older(n) => {
                self.raw("OLDER ").0.number(u64::from(*n));
            }
            SearchKey::ModSeq(n) => {
                self.raw("MODSEQ ").0.number(*n);
            }
            SearchKey::EmailId(id) => {
                self.raw("EMAILID ").string(id);
            }
            SearchKey::ThreadId(id) => {
                self.raw("THREADID ").string(id);
            }
            SearchKey::SavedBefore(d) => date(self, "SAVEDBEFORE", d),
            SearchKey::SavedOn(d) => date(self, "SAVEDON", d),
            SearchKey::SavedSince(d) => date(self, "SAVEDSINCE", d),
            SearchKey::SaveDateSupported => {
                self.raw("SAVEDATESUPPORTED");
            }
            SearchKey::Sequence(set) => {
                self.0.display(set);
            }
            SearchKey::Uid(set) => {
                self.raw("UID ").0.display(set);
            }
            SearchKey::Not(key) => {
                self.raw("NOT ").key(key);
            }
            SearchKey::Or(left, right) => {
                self.raw("OR ").key(left).raw(" ").key(right);
            }
            SearchKey::And(keys) => {
                self.raw("(");
                for (i, key) in keys.iter().enumerate() {
                    self.raw(if i > 0 { " " } else { "" }).key(key);
                }
                self.raw(")");
            }
        }
        self
    }
}

/// A partial range as it is asked for.
fn partial_range<'a, 'b>(out: &'a mut Out<'b>, partial: Option<Partial>) -> &'a mut Out<'b> {
    if let Some(partial) = partial {
        out.raw("<").number(u64::from(partial.start)).raw(".");
        out.number(u64::from(partial.len.get())).raw(">");
    }
    out
}
