//! What an exploration should have seen, lest a scope is exhausted and nothing happened in it.

/// Something that a scope is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Landmark {
    /// A change was told.
    Changed,
    /// Somebody else took the chair and had chosen what it found.
    TakenOver,
    /// What only a minority had accepted was found, and chosen.
    Rescued,
    /// An arbiter that stood for the chair, or sat in it, was told of a higher ballot.
    Refused,
    /// A change is chosen by both sets of arbiters.
    Joint,
    /// A change of the set is complete.
    Settled,
    /// Questions were confirmed.
    Confirmed,
    /// Who had asked for a round of questions lost the chair.
    Overtaken,
    /// An arbiter crashed.
    Crashed,
    /// A crash lost what was on its way to a disk.
    Lost,
    /// A directory was emptied.
    Wiped,
}
