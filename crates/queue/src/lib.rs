//! The outbound queue as a pure scheduler with durable records
