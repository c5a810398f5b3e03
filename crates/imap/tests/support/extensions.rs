//! The backend's answers to the questions of extensions.

use super::Backend;
use bytes::Bytes;
use mailwright_imap::{
    AclRequest, EntryName, Event, MetadataRefusal, MetadataRequest, Quota, QuotaRequest, QuotaResource,
    QuotaUsage, Rejection, Rights, RightsChange, Server,
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
