//! The backend's answers to the questions of extensions.

use super::Backend;
use bytes::Bytes;
use mailwright_imap::{
    AclRequest, EntryName, Event, ListRow, MailboxFilter, MetadataRefusal, MetadataRequest, Notice, Quota,
    QuotaRequest, QuotaResource, QuotaUsage, Rejection, Rights, RightsChange, SearchInRequest, SectionText,
    Server, SortKey, SortRequest, ThreadAlgorithm, ThreadRequest, Watched,
};
use std::collections::BTreeMap;

pub type Annotations = BTreeMap<EntryName, Bytes>;

/// The quota roots of RFC 9208 §4.1.2.
pub fn sample_quota() -> Vec<Quota> {
    let quota = |root: &str, usage| Quota {
        root: root.into(),
        usage,
    };
    vec![
        quota("#user/alice", vec![usage(QuotaResource::Message, 42, 1000)]),
        quota(
            "!partition/sda4",
            vec![usage(QuotaResource::Storage, 104, 10_923_847)],
        ),
    ]
}

fn usage(resource: QuotaResource, used: u64, limit: u64) -> QuotaUsage {
    QuotaUsage {
        resource,
        used,
        limit,
    }
}

pub fn answer(backend: &mut Backend, server: &mut Server, question: Event) {
    match question {
        Event::Quota(request) => quota(backend, server, request),
        Event::Acl(request) => acl(backend, server, request),
        Event::Metadata(request) => metadata(backend, server, request),
        Event::Sort(request) => sort(backend, server, &request),
        Event::Thread(request) => threads(backend, server, &request),
        Event::SearchIn(request) => search_in(backend, server, &request),
        Event::Notify(request) => {
            if request.status {
                for mailbox in &backend.mailboxes {
                    if backend.selected.as_ref() != Some(&mailbox.name) {
                        server.notify_status(&watched(&mailbox.name), &mailbox.status());
                    }
                }
            }
            server.accept();
        }
        Event::ApplePush(_) => server.apple_push("com.apple.mail.XServer.topic"),
        other => panic!("unexpected question {other:?}"),
    }
}

fn quota(backend: &mut Backend, server: &mut Server, request: QuotaRequest) {
    let no_root = || Rejection::new(None, "No such quota root");
    match request {
        QuotaRequest::Get { root } => match backend.quota.iter().find(|q| q.root == root) {
            Some(quota) => server.quota(&quota.usage),
            None => server.reject(no_root()),
        },
        QuotaRequest::Roots { .. } => server.quota_roots(&backend.quota),
        QuotaRequest::Set { root, .. } if root.starts_with('!') => {
            server.reject(Rejection::new(None, "Cannot change system limit"));
        }
        QuotaRequest::Set { root, limits } => match backend.quota.iter_mut().find(|q| q.root == root) {
            Some(quota) => {
                quota.usage = limits
                    .iter()
                    .map(|&(kind, limit)| usage(kind, 58, limit))
                    .collect();
                server.quota(&quota.usage);
            }
            None => server.reject(no_root()),
        },
        other => panic!("unexpected {other:?}"),
    }
}

fn acl(backend: &mut Backend, server: &mut Server, request: AclRequest) {
    let (AclRequest::Set { mailbox, .. }
    | AclRequest::Delete { mailbox, .. }
    | AclRequest::Get { mailbox }
    | AclRequest::List { mailbox, .. }
    | AclRequest::Mine { mailbox }) = &request
    else {
        panic!("unexpected {request:?}")
    };
    let Some(mailbox) = backend.mailbox(mailbox) else {
        return server.reject(Rejection::NO_SUCH_MAILBOX);
    };
    match request {
        AclRequest::Set {
            identifier,
            change,
            rights,
            ..
        } => {
            let at = mailbox.acl.iter().position(|(id, _)| *id == identifier);
            let at = at.unwrap_or_else(|| {
                mailbox.acl.push((identifier, Rights::NONE));
                mailbox.acl.len() - 1
            });
            let had = &mut mailbox.acl[at].1;
            *had = match change {
                RightsChange::Replace => rights,
                RightsChange::Add => *had | rights,
                RightsChange::Remove => *had & !rights,
            };
            server.accept();
        }
        AclRequest::Delete { identifier, .. } => {
            mailbox.acl.retain(|(id, _)| *id != identifier);
            server.accept();
        }
        AclRequest::Get { .. } => server.acl(mailbox.acl.iter().map(|(id, rights)| (id.as_str(), *rights))),
        // The first sets of RFC 4314 §2.1.1's last example.
        AclRequest::List { identifier, .. } if identifier == "anyone" => {
            let sets = ["lr", "swte", "i", "p", "k", "x"].map(|set| Rights::parse(set.as_bytes()).unwrap());
            server.list_rights(Rights::NONE, &sets);
        }
        AclRequest::List { .. } => {
            let sets = [
                Rights::READ,
                !(Rights::LOOKUP | Rights::READ | Rights::ADMINISTER),
            ];
            server.list_rights(Rights::LOOKUP | Rights::ADMINISTER, &sets);
        }
        _ => server.my_rights(Rights::ALL),
    }
}

fn metadata(backend: &mut Backend, server: &mut Server, request: MetadataRequest) {
    let mailbox = match &request {
        MetadataRequest::Get { mailbox, .. } | MetadataRequest::Set { mailbox, .. } => mailbox.clone(),
        other => panic!("unexpected {other:?}"),
    };
    let annotations = match mailbox {
        None => &mut backend.metadata,
        Some(name) => match backend.mailbox(&name) {
            Some(mailbox) => &mut mailbox.metadata,
            None => return server.reject(Rejection::NO_SUCH_MAILBOX),
        },
    };
    match request {
        MetadataRequest::Set { entries, .. } => {
            let mut changed = annotations.clone();
            for (name, value) in entries {
                match value {
                    Some(value) if value.len() > 4000 => {
                        return server.reject_metadata(MetadataRefusal::TooLarge(4000));
                    }
                    Some(value) => _ = changed.insert(name, value),
                    None => _ = changed.remove(&name),
                }
            }
            if changed.len() > 10 {
                return server.reject_metadata(MetadataRefusal::TooMany);
            }
            *annotations = changed;
            server.accept();
        }
        _ => {
            for (name, value) in annotations {
                server.metadata(name, value);
            }
            server.accept();
        }
    }
}

fn sort(backend: &mut Backend, server: &mut Server, request: &SortRequest) {
    let field = |mail: &super::Mail, name: &'static str| {
        let names = SectionText::HeaderFields(vec![Bytes::from_static(name.as_bytes())]);
        String::from_utf8_lossy(&names.pick(&mail.octets)).to_lowercase()
    };
    let mut found: Vec<_> = backend.current().mails.iter().collect();
    found.retain(|mail| super::matches(&request.criterion, mail));
    for by in request.order.iter().rev() {
        found.sort_by(|a, b| {
            let order = match by.key {
                SortKey::Subject => field(a, "Subject").cmp(&field(b, "Subject")),
                SortKey::From | SortKey::DisplayFrom => field(a, "From").cmp(&field(b, "From")),
                SortKey::Size => a.octets.len().cmp(&b.octets.len()),
                _ => a.date.date().cmp(&b.date.date()),
            };
            if by.reverse { order.reverse() } else { order }
        });
    }
    let uids: Vec<u32> = found.iter().map(|mail| mail.uid).collect();
    // In pieces, as a store would give them.
    for piece in uids.chunks(3) {
        server.sorted(piece);
    }
    server.accept();
}

/// Two forests that have all there can be.
fn threads(backend: &mut Backend, server: &mut Server, request: &ThreadRequest) {
    let places: &[(u32, u32)] = match request.algorithm {
        ThreadAlgorithm::OrderedSubject => &[(0, 101), (0, 102), (1, 103), (1, 104), (0, 105), (1, 106)],
        _ => &[
            (0, 0),
            (1, 110),
            (1, 111),
            (0, 112),
            (1, 113),
            (2, 114),
            (2, 115),
            (3, 116),
            (0, 0),
            (1, 117),
        ],
    };
    let found = |uid: u32| {
        let mail = backend.mailboxes[0].mails.iter().find(|mail| mail.uid == uid);
        mail.filter(|mail| super::matches(&request.criterion, mail))
            .map(|mail| mail.uid)
    };
    let places: Vec<_> = places.iter().map(|&(depth, uid)| (depth, found(uid))).collect();
    server.threads(places);
}

fn search_in(backend: &mut Backend, server: &mut Server, request: &SearchInRequest) {
    let is_meant = |name: &str| {
        request.sources.iter().any(|source| match source {
            MailboxFilter::Selected => backend.selected.as_deref() == Some(name),
            MailboxFilter::Personal => true,
            MailboxFilter::Mailboxes(names) => names.iter().any(|it| it == name),
            MailboxFilter::Subtree(tops) | MailboxFilter::SubtreeOne(tops) => tops.iter().any(|top| {
                name.strip_prefix(top.as_str())
                    .is_some_and(|it| it.is_empty() || it.starts_with('/'))
            }),
            _ => false,
        })
    };
    for mailbox in backend.mailboxes.iter().filter(|mailbox| is_meant(&mailbox.name)) {
        let found = mailbox
            .mails
            .iter()
            .filter(|mail| super::matches(&request.criterion, mail));
        server.found_in(
            &mailbox.name,
            super::VALIDITY,
            &found.map(|mail| mail.uid).collect(),
        );
    }
    server.accept();
}

/// All mailboxes are the user's own and subscribed; mail is delivered to INBOX.
fn watched(name: &str) -> Watched<'_> {
    let mut watched = Watched::new(name);
    watched.inbox = name == "INBOX";
    watched.subscribed = true;
    watched
}

/// What happens in another session: `messages Sent`, `renamed New Old`, ...
pub fn notice(backend: &Backend, server: &mut Server, text: &str) {
    let words: Vec<&str> = text.split(' ').collect();
    let entries = || -> Vec<EntryName> {
        let names = words.iter().filter(|word| word.starts_with('/'));
        names
            .map(|name| EntryName::parse(name.as_bytes()).unwrap())
            .collect()
    };
    let name = words.get(1).copied().unwrap_or_default();
    let mailbox = backend.mailboxes.iter().find(|mailbox| mailbox.name == name);
    let status = mailbox.map(super::Mailbox::status).unwrap_or_default();
    let mut row = ListRow::new(name);
    let watched = watched(name);
    match words[0] {
        "messages" => server.notice(&watched, &Notice::Messages(&status)),
        "flagged" => server.notice(&watched, &Notice::Flags(&status)),
        "created" => server.notice(&watched, &Notice::Named(&row)),
        "deleted" => {
            row.non_existent = true;
            let mut gone = Watched::new(name);
            gone.subscribed = false;
            server.notice(&gone, &Notice::Named(&row));
        }
        "renamed" => {
            let from = words[2];
            server.notice(&watched, &Notice::Renamed { row: &row, from });
        }
        "subscribed" => {
            row.subscribed = true;
            server.notice(&watched, &Notice::Subscribed(&row));
        }
        "annotated" => server.notice(&watched, &Notice::Metadata(&entries())),
        "server" => server.notice_server_metadata(&entries()),
        "overflow" => server.notices_overflow(),
        other => panic!("unknown notice {other}"),
    }
}
