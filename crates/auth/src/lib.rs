//! SPF, DKIM, DMARC and Authentication-Results, without I/O
