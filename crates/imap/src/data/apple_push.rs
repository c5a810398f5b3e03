//! XAPPLEPUSHSERVICE: a device asks for push notifications

/// What a device says to be woken when mail comes. The answer is the topic of the certificate that the server
/// pushes with. Apple has not published this; servers that push to its mail app speak it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplePushRequest {
    /// `aps-version`; 1 or 2.
    pub version: u32,
    /// `aps-account-id`
    pub account_id: String,
    /// `aps-device-token`
    pub device_token: String,
    /// `aps-subtopic`
    pub subtopic: String,
    /// The mailboxes; none in version 1, which means INBOX.
    pub mailboxes: Vec<String>,
}
