//! Who the server is to the system that it runs on

/// The user that the program becomes once it has its ports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServiceUser {
    /// The user; the one who starts the program, without it.
    pub user: Option<String>,
    /// The group; without it those of the user.
    pub group: Option<String>,
    /// Whether root may serve the network.
    pub allow_root: bool,
}
