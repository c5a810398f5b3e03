//! Tools to test machines with.
