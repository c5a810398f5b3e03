//! Data items of FETCH, LIST and STATUS, as plain types (RFC 3501 §7)

mod acl;
mod apple_push;
mod body_structure;
mod envelope;
mod list;
mod metadata;
mod notify;
mod object_id;
mod page;
mod quota;
mod section;
mod sort;
mod status;

pub use acl::{AclRequest, Rights, RightsChange};
pub use apple_push::ApplePushRequest;
pub use body_structure::{BodyStructure, Disposition, Fields, Multipart, Params, Part, PartKind};
pub use envelope::{Address, Envelope};
pub use list::{ListRow, Namespace, Namespaces, SpecialUse};
pub use metadata::{Depth, EntryName, MetadataRefusal, MetadataRequest};
pub use notify::{MailboxFilter, Notice, NotifyRequest, Watch, Watched};
pub use object_id::ObjectId;
pub use page::Page;
pub use quota::{Quota, QuotaRequest, QuotaResource, QuotaUsage};
pub(crate) use section::Alias;
pub use section::{BinaryItem, BodyItem, FetchItem, Partial, Section, SectionText};
pub use sort::{SortBy, SortKey, SortRequest, ThreadAlgorithm, ThreadRequest};
pub use status::{Status, StatusItem};
