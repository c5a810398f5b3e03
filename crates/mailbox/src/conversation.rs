//! The conversations of a mailbox, as trees (RFC 5256 §3)
//!
//! Unlike a [`ThreadId`](crate::ThreadId), which a message gets once and keeps, these trees are made afresh of whatever
//! messages they are asked for.

use std::{
    collections::{HashMap, hash_map::Entry},
    iter,
};

use crate::{ThreadKey, Threading, Uid};

/// A message that is to be put into a tree.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// Its UID.
    pub uid: Uid,
    /// Its own Message-ID and those it refers to.
    pub threading: &'a Threading,
    /// When it was sent, in seconds since 1970-01-01 UTC: the Date field, or the internal date without one.
    pub sent: i64,
    /// The base subject (RFC 5256 §2.1), in one case; empty if there is none.
    pub subject: &'a str,
    /// Whether the subject showed that it is a reply or was forwarded.
    pub is_reply: bool,
}

impl<'a> Candidate<'a> {
    /// Joins the parts.
    pub const fn new(
        uid: Uid,
        threading: &'a Threading,
        sent: i64,
        subject: &'a str,
        is_reply: bool,
    ) -> Self {
        Self {
            uid,
            threading,
            sent,
            subject,
            is_reply,
        }
    }
}

/// A place in a tree. Trees are given as lists: each place is followed by all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// How far it is below the root; 0 begins a tree.
    pub depth: u32,
    /// The message; `None` where the messages below have one in common that is not there.
    pub uid: Option<Uid>,
}

/// Makes trees by what messages refer to, then by subject (RFC 5256 §3, `REFERENCES`).
///
/// Takes time and memory in proportion to the messages and their references, but for sorting.
pub fn references(messages: &[Candidate<'_>]) -> Vec<Place> {
    let mut forest = Forest::linked(messages);
    let roots = forest.pruned_roots();
    let roots = forest.joined_by_subject(roots);
    forest.listed(roots)
}

/// Puts messages with the same base subject under the first of them that was sent (RFC 5256 §3, `ORDEREDSUBJECT`).
pub fn ordered_subject(messages: &[Candidate<'_>]) -> Vec<Place> {
    let mut order: Vec<_> = messages.iter().collect();
    order.sort_by_key(|it| (it.sent, it.uid));
    let mut threads: Vec<Vec<Uid>> = Vec::new();
    let mut by_subject = HashMap::new();
    for it in order {
        let at = *by_subject.entry(it.subject).or_insert(threads.len());
        if at == threads.len() {
            threads.push(Vec::new());
        }
        threads[at].push(it.uid);
    }
    let places = threads.into_iter().flat_map(|thread| {
        let depths = iter::once(0).chain(iter::repeat(1));
        thread.into_iter().zip(depths)
    });
    places
        .map(|(uid, depth)| Place {
            depth,
            uid: Some(uid),
        })
        .collect()
}

/// All that is known by a Message-ID: first the messages, in their order, then what they refer to and is not there.
struct Forest<'m> {
    messages: &'m [Candidate<'m>],
    children: Vec<Vec<usize>>,
}

/// By what siblings are ordered: when they were sent, then their UIDs.
type Order = (i64, Uid);

impl<'m> Forest<'m> {
    /// Links messages to what they refer to (step 1).
    fn linked(messages: &'m [Candidate<'m>]) -> Self {
        let mut known: HashMap<ThreadKey, usize> = HashMap::with_capacity(messages.len() * 2);
        for (at, message) in messages.iter().enumerate() {
            // Of messages with the same Message-ID, only the first is known by it.
            if let Some(id) = message.threading.id() {
                known.entry(id).or_insert(at);
            }
        }
        let mut links = Links::new(messages.len());
        // What a message says of its own parent counts for more than what others say of it, so it goes first.
        for (at, message) in messages.iter().enumerate() {
            if let Some(last) = message.threading.references().last() {
                let parent = *known.entry(*last).or_insert_with(|| links.add());
                links.link(parent, at);
            }
        }
        for message in messages {
            for pair in message.threading.references().windows(2) {
                let [parent, child] =
                    [pair[0], pair[1]].map(|key| *known.entry(key).or_insert_with(|| links.add()));
                // A message that is there and names no parent has none.
                if child >= messages.len() {
                    links.link(parent, child);
                }
            }
        }
        let mut children = vec![Vec::new(); links.parents.len()];
        for (child, parent) in links.parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(child);
            }
        }
        Self { messages, children }
    }

    const fn is_there(&self, at: usize) -> bool {
        at < self.messages.len()
    }

    /// Takes out what is not there, but for roots that hold several together (step 3), and returns the roots.
    fn pruned_roots(&mut self) -> Vec<usize> {
        let roots = self.roots();
        for at in self.upwards() {
            let below = core::mem::take(&mut self.children[at]);
            let mut kept = Vec::with_capacity(below.len());
            for child in below {
                if self.is_there(child) {
                    kept.push(child);
                } else {
                    kept.append(&mut self.children[child]);
                }
            }
            self.children[at] = kept;
        }
        let kept = roots.into_iter().filter_map(|root| {
            match (self.is_there(root), self.children[root].as_mut_slice()) {
                (true, _) | (false, [_, _, ..]) => Some(root),
                (false, [only]) => Some(*only),
                (false, []) => None,
            }
        });
        let kept: Vec<_> = kept.collect();
        // A root with one below it has handed that up.
        for at in self.messages.len()..self.children.len() {
            if self.children[at].len() == 1 {
                self.children[at].clear();
            }
        }
        kept
    }

    /// Joins trees whose roots have the same base subject (step 5).
    fn joined_by_subject(&mut self, mut roots: Vec<usize>) -> Vec<usize> {
        let messages = self.messages;
        let order = self.order();
        roots.sort_by_key(|root| order[*root]);
        let subjects: Vec<_> = roots
            .iter()
            .filter_map(|&root| {
                let first = match self.is_there(root) {
                    true => Some(root),
                    false => self.children[root]
                        .iter()
                        .copied()
                        .min_by_key(|child| order[*child]),
                };
                let first = &messages[first?];
                (!first.subject.is_empty()).then_some((root, first))
            })
            .collect();
        let mut table: HashMap<&str, (usize, bool)> = HashMap::new();
        for &(root, first) in &subjects {
            match table.entry(first.subject) {
                Entry::Vacant(vacant) => drop(vacant.insert((root, first.is_reply))),
                Entry::Occupied(mut head) => {
                    let (before, was_reply) = *head.get();
                    let is_better = match (self.is_there(root), self.is_there(before)) {
                        (false, true) => true,
                        (true, false) => false,
                        _ => was_reply && !first.is_reply,
                    };
                    if is_better {
                        head.insert((root, first.is_reply));
                    }
                }
            }
        }
        let mut is_gone = vec![false; self.children.len()];
        for &(root, first) in &subjects {
            let Some(&(head, head_is_reply)) = table.get(first.subject).filter(|(head, _)| *head != root)
            else {
                continue;
            };
            is_gone[root] = true;
            match (self.is_there(head), self.is_there(root)) {
                (false, false) => {
                    let mut below = core::mem::take(&mut self.children[root]);
                    self.children[head].append(&mut below);
                }
                (false, true) => self.children[head].push(root),
                (true, _) if first.is_reply && !head_is_reply => self.children[head].push(root),
                (true, _) => {
                    is_gone[head] = true;
                    is_gone.push(false);
                    let joint = self.children.len();
                    self.children.push(vec![head, root]);
                    roots.push(joint);
                    table.insert(first.subject, (joint, head_is_reply));
                }
            }
        }
        roots.retain(|root| !is_gone[*root]);
        roots
    }

    /// Lists the trees, siblings in the order in which they were sent (steps 4 and 6).
    fn listed(mut self, mut roots: Vec<usize>) -> Vec<Place> {
        let order = self.order();
        roots.sort_by_key(|root| order[*root]);
        for siblings in &mut self.children {
            siblings.sort_by_key(|it| order[*it]);
        }
        let mut places = Vec::with_capacity(self.messages.len());
        let mut stack: Vec<(usize, u32)> = roots.into_iter().rev().map(|root| (root, 0)).collect();
        while let Some((at, depth)) = stack.pop() {
            let uid = self.messages.get(at).map(|message| message.uid);
            places.push(Place { depth, uid });
            stack.extend(self.children[at].iter().rev().map(|child| (*child, depth + 1)));
        }
        places
    }

    /// The order of each place: what is not there counts as sent with the first below it.
    fn order(&self) -> Vec<Order> {
        let messages = self.messages.iter().map(|message| (message.sent, message.uid));
        let mut order: Vec<Order> = messages.collect();
        order.resize(self.children.len(), (i64::MAX, Uid::MAX));
        for at in self.upwards() {
            if !self.is_there(at) {
                let first = self.children[at].iter().map(|child| order[*child]).min();
                order[at] = first.unwrap_or(order[at]);
            }
        }
        order
    }

    /// All places, those below before those above.
    fn upwards(&self) -> Vec<usize> {
        let mut order = self.roots();
        let mut next = 0;
        while next < order.len() {
            order.extend_from_slice(&self.children[order[next]]);
            next += 1;
        }
        order.reverse();
        order
    }

    fn roots(&self) -> Vec<usize> {
        let mut is_child = vec![false; self.children.len()];
        let children = self.children.iter().flatten();
        children.for_each(|child| is_child[*child] = true);
        (0..self.children.len()).filter(|at| !is_child[*at]).collect()
    }
}

/// Who is whose parent, and which of them hang together: a link between two that do would close a loop.
struct Links {
    parents: Vec<Option<usize>>,
    trees: Vec<usize>,
}

impl Links {
    fn new(count: usize) -> Self {
        Self {
            parents: vec![None; count],
            trees: (0..count).collect(),
        }
    }

    fn add(&mut self) -> usize {
        self.parents.push(None);
        self.trees.push(self.trees.len());
        self.parents.len() - 1
    }

    /// Links two, unless the child has a parent or the link would close a loop.
    fn link(&mut self, parent: usize, child: usize) {
        let (above, below) = (self.tree(parent), self.tree(child));
        if self.parents[child].is_none() && above != below {
            self.parents[child] = Some(parent);
            self.trees[below] = above;
        }
    }

    fn tree(&mut self, at: usize) -> usize {
        let mut tree = at;
        while self.trees[tree] != tree {
            // Halving the path keeps all later ones short.
            self.trees[tree] = self.trees[self.trees[tree]];
            tree = self.trees[tree];
        }
        tree
    }
}
