//! SASL mechanisms, client and server steps, without I/O
