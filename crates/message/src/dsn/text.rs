//! What a notification says to a person

use super::{Action, Notification, Recipient, Report};
use crate::{date, header};

/// The subject, after what matters most.
pub(super) fn subject(report: &Report) -> &'static str {
    let any = |action| report.recipients.iter().any(|r| r.action == action);
    if any(Action::Failed) {
        "Your message could not be delivered"
    } else if any(Action::Delayed) {
        "Your message is delayed"
    } else {
        "Your message was delivered"
    }
}

/// The text, in lines of at most 76 characters where words allow. `original` is the header of the message.
pub(super) fn explain(notification: &Notification, original: &[u8]) -> String {
    let report = &notification.report;
    let mut text = Text::default();
    text.paragraph(
        "",
        &format!("This is the mail system at {}.", report.reporting_mta.value),
    );
    let find = |name| header::find(original, name).map(|field| header::decode(field.value));
    let of_message = match (find("Subject"), find("Date")) {
        (Some(subject), Some(date)) => format!(" with the subject \"{subject}\" of {date}"),
        (Some(subject), None) => format!(" with the subject \"{subject}\""),
        _ => String::new(),
    };
    for (action, what) in [
        (Action::Failed, "could not be delivered to:"),
        (Action::Delayed, "has not been delivered yet to:"),
        (Action::Delivered, "was delivered to:"),
        (
            Action::Relayed,
            "was handed on to a mail system that sends no confirmation of delivery, for:",
        ),
        (Action::Expanded, "was delivered to a list of addresses:"),
    ] {
        let mut recipients = report.recipients.iter().filter(|r| r.action == action).peekable();
        if recipients.peek().is_some() {
            text.paragraph("", &format!("Your message{of_message} {what}"));
        }
        for recipient in recipients {
            describe(recipient, &mut text);
        }
    }
    if report.recipients.iter().all(|r| r.action == Action::Delayed) {
        text.paragraph(
            "",
            "You need not do anything, and need not send the message again.",
        );
    }
    text.out
}

fn describe(recipient: &Recipient, text: &mut Text) {
    let address = &recipient.final_recipient.value;
    let original = recipient
        .original_recipient
        .as_ref()
        .map(|original| &original.value);
    text.line("  ", &format!("<{address}>"));
    if let Some(original) = original.filter(|original| *original != address) {
        text.line(
            "    ",
            &format!("You sent it to <{original}>, from where it was forwarded."),
        );
    }
    if matches!(recipient.action, Action::Failed | Action::Delayed) {
        let (reason, advice) = reason(recipient);
        text.line("    ", &format!("{reason} (status {})", recipient.status));
        if let Some(diagnostic) = &recipient.diagnostic {
            let speaker = match &recipient.remote_mta {
                Some(host) => format!("The mail server {} said:", host.value),
                None => "The reason given:".to_owned(),
            };
            text.line("    ", &format!("{speaker} {}", diagnostic.value));
        }
        match (recipient.action, recipient.will_retry_until) {
            (Action::Delayed, Some(until)) => {
                text.line(
                    "    ",
                    &format!("Delivery will be tried until {}.", date::format(until)),
                );
            }
            (Action::Delayed, None) => text.line("    ", "Delivery will be tried again."),
            _ => text.line("    ", &format!("What you can do: {advice}")),
        }
    }
    text.out.push_str("\r\n");
}

/// What happened, and what a sender can do about it.
fn reason(recipient: &Recipient) -> (&'static str, &'static str) {
    const ASK: &str = "ask the recipient by other means, and tell them what their mail server said.";
    const SPELLING: &str = "check the address for typing mistakes, and send the message again.";
    let status = recipient.status;
    match (status.class(), status.subject(), status.detail()) {
        (5, 1, 1) => ("There is no mailbox with this address.", SPELLING),
        (_, 1, 2) => (
            "There is no mail system for the part behind the @ sign.",
            SPELLING,
        ),
        (_, 1, 3) => ("This is not a valid address.", SPELLING),
        (_, 1, 6) => ("The mailbox has moved.", "ask the recipient for the new address."),
        (_, 1, 10) => ("The domain says that it takes no mail.", SPELLING),
        (_, 1, 7 | 8) => (
            "Your own address was refused.",
            "ask the administrator of your mail system to look into it.",
        ),
        (_, 2, 2) => (
            "The mailbox is full.",
            "send the message again later, or tell the recipient by other means.",
        ),
        (_, 2, 3) | (_, 3, 4) => (
            "The message is too large.",
            "send a smaller message, or share the files in another way.",
        ),
        (_, 2, _) => ("The mailbox takes no mail.", ASK),
        (_, 4, 7) => (
            "Delivery was tried for as long as this mail system tries, without success.",
            "send the message again later; if it fails again, tell the recipient by other means.",
        ),
        (_, 4, 6) => (
            "The message went in a circle between mail servers.",
            "tell the recipient by other means that their mail is set up wrongly.",
        ),
        (_, 4, _) => (
            "The recipient's mail system could not be reached.",
            "send the message again later; if it fails again, tell the recipient by other means.",
        ),
        (_, 6, _) => (
            "The recipient's mail system cannot take a message of this form.",
            "send the message again in a plainer form, for example without attachments.",
        ),
        (_, 7, _) => (
            "The recipient's mail system refused the message by its rules.",
            ASK,
        ),
        (4, _, _) => (
            "The recipient's mail system has a trouble that may pass.",
            "send the message again later; if it fails again, tell the recipient by other means.",
        ),
        _ => ("The recipient's mail system refused the message.", ASK),
    }
}

#[derive(Default)]
struct Text {
    out: String,
}

impl Text {
    fn paragraph(&mut self, indent: &str, text: &str) {
        self.line(indent, text);
        self.out.push_str("\r\n");
    }

    /// One line, or more where it is long. Controls become question marks.
    fn line(&mut self, indent: &str, text: &str) {
        let mut column = 0;
        for word in text.split_whitespace() {
            let mut word: String = word
                .chars()
                .map(|c| if c.is_control() { '?' } else { c })
                .collect();
            // No line of mail may be longer than 998 octets.
            let mut end = word.len().min(900);
            while !word.is_char_boundary(end) {
                end -= 1;
            }
            if end < word.len() {
                word.truncate(end);
                word.push_str("...");
            }
            let width = word.chars().count();
            if column > 0 && column + 1 + width > 76 {
                self.out.push_str("\r\n");
                column = 0;
            }
            if column == 0 {
                self.out.push_str(indent);
                column = indent.len();
            } else {
                self.out.push(' ');
                column += 1;
            }
            self.out.push_str(&word);
            column += width;
        }
        self.out.push_str("\r\n");
    }
}
