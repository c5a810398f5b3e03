//! Accounts at the control socket, and in a store that nobody else has open.

use crate::accounts::Accounts;
use crate::config::Quota;
use mailwright_mailbox::Store;
use serde::{Deserialize, Serialize};

/// What may be asked of accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Request {
    /// How much mail an account keeps; answered by a [`Usage`].
    Usage {
        /// Its name.
        account: String,
    },
}

/// How much mail an account keeps, and may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// The octets of its messages.
    pub octets: u64,
    /// Its messages.
    pub messages: u64,
    /// The most octets.
    pub most_octets: Option<u64>,
    /// The most messages.
    pub most_messages: Option<u64>,
    /// Whether these bounds are the account's own, and not those of all.
    pub own: bool,
}

impl Request {
    /// Answers the request; `usual` is what accounts may keep whose entries say nothing else.
    ///
    /// # Errors
    ///
    /// In words, when there is no such account, or the store fails.
    pub async fn answer<S: Store>(
        self,
        accounts: &Accounts,
        store: &S,
        usual: Quota,
    ) -> Result<Usage, String> {
        let Self::Usage { account } = self;
        let unknown = || format!("there is no account {account}; `mailwright account list` tells who is");
        let account = accounts.find(&account).ok_or_else(unknown)?;
        let used = store.usage(&account).await.map_err(|error| error.to_string())?;
        let own = accounts.quota(&account);
        let quota = own.unwrap_or(usual);
        Ok(Usage {
            octets: used.octets,
            messages: used.messages,
            most_octets: quota.storage,
            most_messages: quota.messages,
            own: own.is_some(),
        })
    }
}
