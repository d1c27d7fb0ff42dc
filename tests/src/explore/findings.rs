//! How the exploration of a scope ended, and whether that proves anything.

use std::fmt;

use super::search::{Ending, Report};

/// What an exploration found.
#[derive(Clone, Debug)]
pub struct Findings<M, L> {
    /// The scope.
    pub name: &'static str,
    /// How much there was, what was seen, and how it ended.
    pub report: Report<M, L>,
    /// If something is violated: what happened since the exploration began.
    pub lines: Vec<String>,
}

impl<M, L: fmt::Debug> fmt::Display for Findings<M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            states,
            steps,
            depth,
            landmarks,
            ending,
        } = &self.report;
        let name = self.name;
        write!(f, "{name}: {states} states, {steps} steps, depth {depth}; ")?;
        match ending {
            Ending::Exhausted => write!(f, "exhausted")?,
            Ending::Bounded => write!(f, "NOT exhausted")?,
            Ending::Violated { what, path } => {
                write!(f, "violated after {} moves: {what}", path.len())?;
            }
        }
        write!(f, "; {landmarks:?}")?;
        for line in &self.lines {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

impl<M, L: Ord + fmt::Debug> Findings<M, L> {
    /// Does the scope hold, and was each of `landmarks` passed?
    ///
    /// # Errors
    /// Says what is violated, that it was not exhausted, or what never happened.
    pub fn check(&self, landmarks: &[L]) -> Result<(), String> {
        if !matches!(self.report.ending, Ending::Exhausted) {
            return Err(self.to_string());
        }
        let passed = &self.report.landmarks;
        match landmarks
            .iter()
            .find(|landmark| !passed.contains_key(landmark))
        {
            Some(landmark) => Err(format!("{landmark:?} never happened: {self}")),
            None => Ok(()),
        }
    }
}
