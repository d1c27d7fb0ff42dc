//! Sorted changes laid over a sorted state: where both have a key, the change counts, or is taken up by what is there.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::engine::StoreError;

/// A row of the state as a change leaves it; `None` where it is deleted.
pub(super) type Row<K, V> = Result<(K, Option<V>), StoreError>;

/// Rows in the order of their keys.
pub(super) type Rows<'a, K, V> = Box<dyn Iterator<Item = Row<K, V>> + 'a>;

/// Lays `newer` over `older`.
pub(super) fn lay<'a, K: Ord + 'a, V: 'a>(
    older: Rows<'a, K, V>,
    newer: impl Iterator<Item = (K, Option<V>)> + 'a,
) -> Rows<'a, K, V> {
    lay_by(older, newer, |_, newer| newer)
}

/// The same, where what is there takes up a change by `change`.
pub(super) fn lay_by<'a, K: Ord + 'a, V: 'a>(
    older: Rows<'a, K, V>,
    newer: impl Iterator<Item = (K, Option<V>)> + 'a,
    change: fn(V, V) -> V,
) -> Rows<'a, K, V> {
    Box::new(Overlay {
        older: older.peekable(),
        newer: newer.peekable(),
        change,
    })
}

/// What is there in the end.
pub(super) fn present<'a, K: 'a, V: 'a>(
    rows: Rows<'a, K, V>,
) -> impl Iterator<Item = Result<(K, V), StoreError>> + 'a {
    rows.filter_map(|row| match row {
        Ok((key, value)) => value.map(|value| Ok((key, value))),
        Err(error) => Some(Err(error)),
    })
}

struct Overlay<V, A: Iterator, B: Iterator> {
    older: Peekable<A>,
    newer: Peekable<B>,
    change: fn(V, V) -> V,
}

impl<K, V, A, B> Iterator for Overlay<V, A, B>
where
    K: Ord,
    A: Iterator<Item = Row<K, V>>,
    B: Iterator<Item = (K, Option<V>)>,
{
    type Item = Row<K, V>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.older.peek(), self.newer.peek()) {
            (_, None) | (Some(Err(_)), _) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(Ok((older, _))), Some((newer, _))) => older.cmp(newer),
        };
        match order {
            Ordering::Less => self.older.next(),
            Ordering::Equal => {
                let older = self.older.next()?.map(|(_, older)| older);
                let (key, newer) = self.newer.next()?;
                let change = |older| match (older, newer) {
                    (Some(older), Some(newer)) => Some((self.change)(older, newer)),
                    (_, newer) => newer,
                };
                Some(older.map(|older| (key, change(older))))
            }
            Ordering::Greater => self.newer.next().map(Ok),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(u32, Option<&'static str>)]) -> Rows<'static, u32, &'static str> {
        let rows = rows.to_vec();
        Box::new(rows.into_iter().map(Ok))
    }

    #[test]
    fn the_change_counts_and_deleted_rows_are_gone() {
        let older = rows(&[(1, Some("a")), (2, Some("b")), (4, Some("d"))]);
        let newer = [
            (0, Some("n")),
            (2, None),
            (3, None),
            (4, Some("D")),
            (5, Some("E")),
        ];
        let newest = [(0, None), (5, Some("F"))];
        let laid = lay(lay(older, newer.into_iter()), newest.into_iter());
        let found: Vec<_> = present(laid).map(Result::unwrap).collect();
        assert_eq!(found, [(1, "a"), (4, "D"), (5, "F")]);
    }

    #[test]
    fn an_error_is_passed_on() {
        let broken = || StoreError::Engine("broken".to_owned());
        let older: Rows<'_, u32, &str> = Box::new([Ok((1, Some("a"))), Err(broken())].into_iter());
        let mut laid = lay(older, [(7, Some("g"))].into_iter());
        assert!(laid.next().unwrap().is_ok());
        assert!(laid.next().unwrap().is_err());
    }
}
