//! One scan: it goes on over pages until it has its records, and each of them is judged.

use std::num::NonZeroU32;
use std::ops::RangeBounds;

use lockstep_core::operation::{Key, Value};
use lockstep_core::range::KeyRange;

use crate::client::Bench;
use crate::ledger::Mismatch;
use crate::target::{Failure, Target};

/// What a scan still wants.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    /// Records of this range.
    range: KeyRange,
    /// So many.
    left: u32,
    /// Of so many.
    limit: u32,
}

impl Wanted {
    /// Takes a record in, unless it is none of those that are wanted.
    fn take(&mut self, key: &Key) -> Result<(), Mismatch> {
        if !self.range.contains(key) {
            return Err(Mismatch::OutOfOrder);
        }
        self.range = self.range.rest(key.clone());
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
            range: KeyRange::from(self.keys.name(from)..),
            left: records,
            limit: records,
        };
        while let Some(limit) = NonZeroU32::new(wanted.left) {
            let range = wanted.range.clone();
            let page = target.scan(range, limit, self.replica.as_ref()).await?;
            for (key, value) in &page.records {
                let judged = wanted
                    .take(key)
                    .and_then(|()| self.judge_record(key, value));
                if let Err(mismatch) = judged {
                    self.findings.mismatch(key.as_ref(), mismatch);
                }
            }
            match page.resume {
                Some(last) => wanted.range = wanted.range.rest(last),
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
            range: KeyRange::behind("b"),
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
