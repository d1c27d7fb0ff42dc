//! The only place of the storage that rolls dice: identities and salts.

/// A random number.
pub(super) fn number() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "identities are drawn by the storage, outside the protocol"
    )]
    rand::random()
}
