//! The randomness of the operating system.

/// Fresh random octets of the operating system.
///
/// # Panics
///
/// Panics if the system has no randomness to give: nothing secret can be made then.
pub fn entropy<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).expect("the operating system gives random octets");
    octets
}
