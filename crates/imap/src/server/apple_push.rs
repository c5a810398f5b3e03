//! XAPPLEPUSHSERVICE

use super::{Reply, Server, Task};
use crate::codec::ApplePushCommand;
use crate::{ApplePushRequest, Capability, Event, When};

impl Server {
    pub(super) fn apple_push_command(&mut self, command: ApplePushCommand) {
        if !self.offers(Capability::ApplePush) {
            return self.bad("the command is not known");
        }
        let mut request = ApplePushRequest {
            version: command.version,
            ..ApplePushRequest::default()
        };
        for (to, from) in [
            (&mut request.account_id, &command.account_id),
            (&mut request.device_token, &command.device_token),
            (&mut request.subtopic, &command.subtopic),
        ] {
            let Some(text) = self.text_of(from) else { return };
            *to = text;
        }
        for mailbox in &command.mailboxes {
            let Some(mailbox) = self.mailbox_name(mailbox) else {
                return;
            };
            request.mailboxes.push(mailbox);
        }
        let task = Task::ApplePush(request.version);
        self.ask(Event::ApplePush(request), task);
    }

    /// Answers [`Event::ApplePush`]: the device is registered, and will be woken under this topic.
    ///
    /// # Panics
    ///
    /// Panics if that was not asked.
    pub fn apple_push(&mut self, topic: &str) {
        let Task::ApplePush(version) = self.take_task() else {
            panic!("no device was to be registered")
        };
        let mut out = self.out();
        out.raw("* XAPPLEPUSHSERVICE aps-version \"")
            .number(u64::from(version));
        out.raw("\" aps-topic ").string(topic.as_bytes()).raw("\r\n");
        self.complete(Reply::ok("Xapplepushservice completed"), When::Anything);
    }
}
