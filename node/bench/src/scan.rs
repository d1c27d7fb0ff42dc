//! One scan: it goes on over pages until it has its records, and each of them is judged.

use std::num::NonZeroU32;
use std::ops::Bound;

use lockstep_core::operation::{Key, Value};

use crate::client::Bench;
use crate::ledger::Mismatch;
use crate::target::{Failure, Target};

/// What a scan still wants.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    /// Records from there on.
    start: Bound<Key>,
    /// So many.
    left: u32,
    /// Of so many.
    limit: u32,
}

impl Wanted {
    /// Takes a record in, unless it is none of those that are wanted.
    fn take(&mut self, key: &Key) -> Result<(), Mismatch> {
        let is_behind = match &self.start {
            Bound::Included(first) => key >= first,
            Bound::Excluded(before) => key > before,
            Bound::Unbounded => true,
        };
        if !is_behind {
            return Err(Mismatch::OutOfOrder);
        }
        self.start = Bound::Excluded(key.clone());
        let limit = self.limit;
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(Mismatch::TooMany { limit })?;
        Ok(())
    }
}

impl<F: Failure> Bench<F> {
    /// Reads as many records, from a key on, or all there are, and judges what they hold.
    pub async fn scan<T: Target<Failure = F>>(
        &self,
        target: &T,
        from: u64,
        records: u32,
    ) -> Result<(), F> {
        let mut wanted = Wanted {
            start: Bound::Included(self.keys.name(from)),
            left: records,
            limit: records,
        };
        while let Some(limit) = NonZeroU32::new(wanted.left) {
            let start = wanted.start.clone();
            let page = target.scan(start, limit, self.replica.as_ref()).await?;
            for (key, value) in &page.records {
                let judged = wanted
                    .take(key)
                    .and_then(|()| self.judge_record(key, value));
                if let Err(mismatch) = judged {
                    self.findings.mismatch(key.as_ref(), mismatch);
                }
            }
            match page.resume {
                Some(resume) => wanted.start = Bound::Excluded(resume),
                None => break,
            }
        }
        Ok(())
    }

    /// Judges what a key holds. Others may have written keys that lie between ours, or behind them.
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
            start: Bound::Excluded("b".into()),
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
