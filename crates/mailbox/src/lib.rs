//! The pure mailbox model, the Store trait and a store in memory
