//! THREAD (RFC 5256 §3, §4)

use super::{Reply, Server, State, Task};
use crate::codec::{Out, ThreadCommand};
use crate::{Capability, Event, ThreadAlgorithm, ThreadRequest, When};

/// A THREAD that is being answered.
#[derive(Debug)]
pub(super) struct Threading {
    uid: bool,
    pub(super) when: When,
}

/// A message in a tree, or what messages have in common that is not there.
struct Node {
    /// The nearest node above that is told.
    parent: Option<usize>,
    number: Option<u32>,
    /// How many nodes right below it are told.
    children: u32,
    depth: u32,
    is_told: bool,
}

impl Server {
    pub(super) fn thread_command(&mut self, command: ThreadCommand) {
        let ThreadCommand {
            uid,
            algorithm,
            charset,
            keys,
        } = command;
        let offered = match algorithm {
            ThreadAlgorithm::OrderedSubject => Capability::ThreadOrderedSubject,
            ThreadAlgorithm::References => Capability::ThreadReferences,
        };
        if !self.offers(offered) {
            return self.bad("the algorithm is not known");
        }
        if !self.may_number(uid) {
            return;
        }
        let Some(found) = self.criterion(Some(&charset), &keys, None) else {
            return;
        };
        let task = Threading {
            uid,
            when: found.when(uid),
        };
        let criterion = found.criterion;
        let request = ThreadRequest { criterion, algorithm };
        self.ask(Event::Thread(request), Task::Thread(Box::new(task)));
    }

    /// Answers [`Event::Thread`]: the trees as a list of places, each followed by all below it, with how deep it
    /// is (0 begins a tree) and the UID of its message; `None` where messages have one in common that is not
    /// there. Messages the session does not know count as not there.
    ///
    /// Trees of any depth take time and memory in proportion to the places.
    ///
    /// # Panics
    ///
    /// Panics if no threads were asked for.
    pub fn threads(&mut self, places: impl IntoIterator<Item = (u32, Option<u32>)>) {
        let Task::Thread(task) = self.take_task() else {
            panic!("no threads were asked for")
        };
        let State::Selected(selection) = &self.state else {
            return;
        };
        let number = |uid: u32| {
            let seq = selection.view.seq(uid)?;
            Some(if task.uid { uid } else { seq })
        };
        let places = places
            .into_iter()
            .map(|(depth, uid)| (depth, uid.and_then(number)));
        let nodes = tree(places);
        let mut out = Out::new(&mut self.tx);
        out.raw("* THREAD");
        if nodes.iter().any(|node| node.is_told) {
            out.raw(" ").threads(&nodes);
        }
        out.raw("\r\n");
        self.complete(Reply::ok("Thread completed"), task.when);
    }
}

/// Finds who is below whom, and leaves out what is not there where RFC 5256 §3 step 3 does.
fn tree(places: impl Iterator<Item = (u32, Option<u32>)>) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut above: Vec<usize> = Vec::new();
    for (depth, number) in places {
        // No place is more than one level below the one before it.
        let depth = depth.min(u32::try_from(above.len()).unwrap_or(u32::MAX));
        above.truncate(depth as usize);
        nodes.push(Node {
            parent: above.last().copied(),
            number,
            children: 0,
            depth,
            is_told: number.is_some(),
        });
        above.push(nodes.len() - 1);
    }
    // From below: what is told right under each, that which is left out handing on its own.
    for at in (0..nodes.len()).rev() {
        let node = &mut nodes[at];
        // A root that is not there holds several together.
        node.is_told |= node.depth == 0 && node.children > 1;
        let handed_on = if node.is_told { 1 } else { node.children };
        if let Some(parent) = node.parent {
            nodes[parent].children += handed_on;
        }
    }
    for at in 0..nodes.len() {
        if let Some(parent) = nodes[at].parent
            && !nodes[parent].is_told
        {
            nodes[at].parent = nodes[parent].parent;
        }
    }
    nodes
}

impl Out<'_> {
    /// `thread-list`s. A message with one below it goes on in the same parentheses.
    fn threads(&mut self, nodes: &[Node]) {
        // What is open, whether it has parentheses of its own, and whether something was told below it.
        let mut open: Vec<(usize, bool, bool)> = Vec::new();
        for (at, node) in nodes.iter().enumerate().filter(|(_, node)| node.is_told) {
            while let Some(&(above, is_enclosed, _)) = open.last()
                && Some(above) != node.parent
            {
                self.raw(if is_enclosed { ")" } else { "" });
                open.pop();
            }
            let is_enclosed = node.parent.is_none_or(|parent| nodes[parent].children > 1);
            if let Some((above, _, has_below)) = open.last_mut()
                && !std::mem::replace(has_below, true)
                && nodes[*above].number.is_some()
            {
                self.raw(" ");
            }
            self.raw(if is_enclosed { "(" } else { "" });
            if let Some(number) = node.number {
                self.number(u64::from(number));
            }
            open.push((at, is_enclosed, false));
        }
        for (_, is_enclosed, _) in open.iter().rev() {
            self.raw(if *is_enclosed { ")" } else { "" });
        }
    }
}
