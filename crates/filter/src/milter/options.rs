//! What a mail server and a milter agree on at the start.

use super::Stage;
use core::fmt;
use core::ops::{BitOr, BitOrAssign};

macro_rules! flags {
    ($(#[$doc:meta])* $name:ident { $($(#[$flag_doc:meta])* $flag:ident = $bit:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name(u32);

        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self($bit);)*

            /// None of them.
            pub const NONE: Self = Self(0);

            /// All that have a name here.
            pub const ALL: Self = Self($($bit)|*);

            /// The flags as the protocol counts them.
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// The flags that the protocol counts so; those without a name are kept.
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits)
            }

            /// Whether all of `other` are among them.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These without those of `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let names = [$((stringify!($flag), Self::$flag)),*];
                let mut set = f.debug_set();
                for (name, flag) in names {
                    if self.contains(flag) {
                        set.entry(&format_args!("{name}"));
                    }
                }
                let rest = self.0 & !Self::ALL.0;
                if rest != 0 {
                    set.entry(&format_args!("{rest:#x}"));
                }
                set.finish()
            }
        }
    };
}

flags! {
    /// What a milter may do to a message (`SMFIF_...`).
    Actions {
        /// Add header fields.
        ADD_HEADERS = 0x01;
        /// Replace the body.
        CHANGE_BODY = 0x02;
        /// Add recipients.
        ADD_RECIPIENTS = 0x04;
        /// Remove recipients.
        DELETE_RECIPIENTS = 0x08;
        /// Change and remove header fields.
        CHANGE_HEADERS = 0x10;
        /// Ask that the message is put aside.
        QUARANTINE = 0x20;
        /// Change the sender of the envelope.
        CHANGE_FROM = 0x40;
        /// Add recipients with ESMTP parameters.
        ADD_RECIPIENTS_WITH_PARAMETERS = 0x80;
        /// Say which macros it wants.
        SET_MACROS = 0x100;
    }
}

flags! {
    /// What a milter does not want to hear, and where it gives no answer (`SMFIP_...`).
    Steps {
        /// It does not want the connection.
        NO_CONNECT = 0x01;
        /// It does not want HELO.
        NO_HELO = 0x02;
        /// It does not want the sender.
        NO_MAIL = 0x04;
        /// It does not want the recipients.
        NO_RCPT = 0x08;
        /// It does not want the body.
        NO_BODY = 0x10;
        /// It does not want the header fields.
        NO_HEADERS = 0x20;
        /// It does not want the end of the header.
        NO_END_OF_HEADER = 0x40;
        /// It does not answer header fields.
        NO_REPLY_HEADER = 0x80;
        /// It does not want unknown commands.
        NO_UNKNOWN = 0x100;
        /// It does not want DATA.
        NO_DATA = 0x200;
        /// It may say that it has enough of the body.
        SKIP = 0x400;
        /// It wants recipients as well that were refused.
        REJECTED_RCPT = 0x800;
        /// It does not answer the connection.
        NO_REPLY_CONNECT = 0x1000;
        /// It does not answer HELO.
        NO_REPLY_HELO = 0x2000;
        /// It does not answer the sender.
        NO_REPLY_MAIL = 0x4000;
        /// It does not answer recipients.
        NO_REPLY_RCPT = 0x8000;
        /// It does not answer DATA.
        NO_REPLY_DATA = 0x1_0000;
        /// It does not answer unknown commands.
        NO_REPLY_UNKNOWN = 0x2_0000;
        /// It does not answer the end of the header.
        NO_REPLY_END_OF_HEADER = 0x4_0000;
        /// It does not answer pieces of the body.
        NO_REPLY_BODY = 0x8_0000;
        /// Values of header fields keep the space in front of them.
        LEADING_SPACE = 0x10_0000;
    }
}

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The version of the protocol.
    pub version: u32,
    /// What the milter may do.
    pub actions: Actions,
    /// What it does not want, and where it gives no answer.
    pub steps: Steps,
    /// The macros it wants, by stage, where it says so.
    pub macros: Vec<(Stage, Vec<String>)>,
}

impl Options {
    /// Whether the milter wants a macro with a stage; without a list of its own it takes what it gets. Names of more
    /// than one character are given without their braces.
    pub fn wants_macro(&self, stage: Stage, name: &str) -> bool {
        let list = self.macros.iter().find(|(known, _)| *known == stage);
        list.is_none_or(|(_, names)| names.iter().any(|known| known == name))
    }
}
