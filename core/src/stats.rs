//! Counters.

use crate::wire::Code;

/// What a node has counted since its start. Counters wrap after 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams that were not a message, or not one for us: no answer was owed.
    pub ignored: u64,
    /// Queries of others that came in.
    pub queries: u64,
    /// Queries of others that were left unanswered because their network's budget was used up.
    pub over_budget: u64,
    /// Queries of others that were answered with what they asked for.
    pub served: u64,
    /// Queries of others that were answered with an error.
    pub refused: Refusals,
    /// Signatures verified for others.
    pub verified: u64,
    /// Questions of ours that were sent.
    pub asked: u64,
    /// Questions of ours that were answered, errors included.
    pub answered: u64,
    /// Questions of ours that nobody answered.
    pub timed_out: u64,
    /// Answers to no question of ours, or from another address or node than the one asked.
    pub unsolicited: u64,
}

/// Refused queries, by error code (BEP 5 and BEP 44).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refusals([u64; Code::ALL.len()]);

impl Refusals {
    pub(crate) fn count(&mut self, code: Code) {
        if let Some((_, count)) = Code::ALL.iter().zip(&mut self.0).find(|(known, _)| **known == code) {
            *count = count.wrapping_add(1);
        }
    }

    /// How many were refused with `code`.
    #[must_use]
    pub fn with(&self, code: Code) -> u64 {
        Code::ALL.iter().zip(&self.0).find(|(known, _)| **known == code).map_or(0, |(_, count)| *count)
    }

    /// All codes, with how many were refused with each.
    pub fn iter(&self) -> impl Iterator<Item = (Code, u64)> {
        Code::ALL.into_iter().zip(self.0)
    }
}
