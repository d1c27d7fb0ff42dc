//! One scan: it goes on over pages until it has its records, and each of them is judged.

use std::num::NonZeroU32;

use lockstep_core::operation::{Key, Value};

use crate::bench::client::Bench;
use crate::bench::ledger::Mismatch;
use crate::output::Failure;
use crate::store::{Store, just_before};

/// What a scan still wants.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    /// Records behind this key; `None` for the first ones.
    after: Option<Key>,
    /// So many.
    left: u32,
    /// Of so many.
    limit: u32,
}

impl Wanted {
    /// Takes a record in, unless it is none of those that are wanted.
    fn take(&mut self, key: &Key) -> Result<(), Mismatch> {
        if self.after.as_ref().is_some_and(|after| key <= after) {
            return Err(Mismatch::OutOfOrder);
        }
        self.after = Some(key.clone());
        let limit = self.limit;
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(Mismatch::TooMany { limit })?;
        Ok(())
    }
}

impl Bench {
    /// Reads as many records, from a key on, or all there are, and judges what they hold.
    pub(crate) async fn scan(&self, store: &Store, from: u64, records: u32) -> Result<(), Failure> {
        let mut wanted = Wanted {
            after: just_before(self.keys.name(from).as_ref()),
            left: records,
            limit: records,
        };
        while let Some(limit) = NonZeroU32::new(wanted.left) {
            let after = wanted.after.clone();
            let page = store
                .scan(after, Some(limit), self.replica.as_ref())
                .await?;
            for (key, value) in &page.records {
                let judged = wanted
                    .take(key)
                    .and_then(|()| self.judge_record(key, value));
                if let Err(mismatch) = judged {
                    self.findings.mismatch(key.as_ref(), mismatch);
                }
            }
            match page.resume {
                Some(resume) => wanted.after = Some(resume),
                None => break,
            }
        }
        Ok(())
    }

    /// Judges what a key holds. Others may have written keys that lie between those of the bench, or behind them.
    fn judge_record(&self, key: &Key, value: &Value) -> Result<(), Mismatch> {
        match self.keys.number(key) {
            Some(number) => self.ledger.judge(&self.values, number, Some(value), None),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: u32, keys: &[&str], expected: Result<(), Mismatch>) {
        let mut wanted = Wanted {
            after: Some("b".into()),
            left: limit,
            limit,
        };
        let taken = keys.iter().try_for_each(|key| wanted.take(&(*key).into()));
        assert_eq!(taken, expected, "{keys:?}");
    }

    #[test]
    fn records_come_in_order_and_no_more_than_were_wanted() {
        check(3, &[], Ok(()));
        check(3, &["c", "d", "e"], Ok(()));
        check(3, &["c", "c"], Err(Mismatch::OutOfOrder));
        check(3, &["d", "c"], Err(Mismatch::OutOfOrder));
        check(3, &["b"], Err(Mismatch::OutOfOrder));
        check(2, &["c", "d", "e"], Err(Mismatch::TooMany { limit: 2 }));
    }
}
