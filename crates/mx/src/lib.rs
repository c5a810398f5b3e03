//! From a recipient domain to an ordered list of delivery attempts
