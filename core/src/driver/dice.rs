//! The only dice of the driver.

/// A number that nobody else has drawn.
#[expect(clippy::disallowed_methods, reason = "identities are drawn here")]
pub(super) fn draw() -> u64 {
    rand::random()
}
