//! The operator's orders, as they stand on the board.

use super::board;
use crate::balance::order::{HeldOrder, NewOrder, Order};
use serde::{Deserialize, Serialize};

/// Those that were given while all is running. A host may keep them for its next start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders(Vec<OrderRecord>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// For whom it is.
    pub replica: String,
    /// What is wanted.
    pub state: Order,
    /// Since when, in Unix milliseconds.
    pub since_unix_ms: u64,
    /// Why; may be empty.
    pub comment: String,
    /// What the configuration wanted when it was given. It holds for as long as that is
    /// so: of the operator's two words the later one counts.
    pub configured: Order,
}

impl Orders {
    /// Each of them.
    pub fn into_records(self) -> Vec<OrderRecord> {
        self.0
    }

    /// As they stand on the board; `None`: it is no such value.
    pub fn of_value(value: &[u8]) -> Option<Orders> {
        board::decode(value)
    }

    /// For the board; `None`: there is no memory for it.
    pub fn to_value(&self) -> Option<Vec<u8>> {
        board::encode(self)
    }

    /// The order that holds for a replica of which the configuration wants this.
    pub(crate) fn of(&self, replica: &str, configured: Order) -> HeldOrder {
        let mut records = self.0.iter();
        let given = records.find(|it| it.replica == replica && it.configured == configured);
        given.map_or_else(
            || configured.into(),
            |record| HeldOrder {
                order: record.state,
                since_unix_ms: Some(record.since_unix_ms),
                comment: record.comment.clone(),
            },
        )
    }

    /// Gives an order; what holds from now on. The same order once more changes at most
    /// its comment, and not the time.
    pub(crate) fn give(
        &mut self,
        (replica, configured): (&str, Order),
        new: NewOrder<'_>,
        unix_ms: u64,
    ) -> HeldOrder {
        let before = self.of(replica, configured);
        self.0.retain(|record| record.replica != replica);
        let is_same = before.order == new.order && before.since_unix_ms.is_some();
        if new.order == configured && configured.is_ready() {
            return configured.into();
        }
        let since_unix_ms = before.since_unix_ms.filter(|_| is_same).unwrap_or(unix_ms);
        let comment = match new.comment {
            Some(comment) => comment.to_owned(),
            None if is_same => before.comment,
            None => String::new(),
        };
        self.0.push(OrderRecord {
            replica: replica.to_owned(),
            state: new.order,
            since_unix_ms,
            comment: comment.clone(),
            configured,
        });
        HeldOrder {
            order: new.order,
            since_unix_ms: Some(since_unix_ms),
            comment,
        }
    }

    /// Whether one was given when the configuration wanted another than now. `configured`
    /// is what it wants of a replica; `None`: there is no such replica now.
    pub(crate) fn has_void(&self, configured: impl Fn(&str) -> Option<Order>) -> bool {
        let mut records = self.0.iter();
        records.any(|record| is_void(record, &configured))
    }

    /// Forgets those.
    pub(crate) fn drop_void(&mut self, configured: impl Fn(&str) -> Option<Order>) {
        self.0.retain(|record| !is_void(record, &configured));
    }
}

impl FromIterator<OrderRecord> for Orders {
    fn from_iter<I: IntoIterator<Item = OrderRecord>>(records: I) -> Orders {
        Orders(records.into_iter().collect())
    }
}

fn is_void(record: &OrderRecord, configured: impl Fn(&str) -> Option<Order>) -> bool {
    configured(&record.replica).is_some_and(|wanted| wanted != record.configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(order: Order, since: Option<u64>, comment: &str) -> HeldOrder {
        HeldOrder {
            order,
            since_unix_ms: since,
            comment: comment.to_owned(),
        }
    }

    #[test]
    fn the_later_of_order_and_configuration_counts() {
        use Order::{Drain, Maintenance, Ready};
        let mut orders = Orders::default();
        assert_eq!(orders.of("r1", Ready), held(Ready, None, ""));
        assert_eq!(orders.of("r1", Drain), held(Drain, None, ""), "of the file");
        orders.give(("r1", Ready), Drain.into(), 5);
        assert_eq!(orders.of("r1", Ready), held(Drain, Some(5), ""));
        // The file is changed after it.
        assert_eq!(orders.of("r1", Maintenance), held(Maintenance, None, ""));
        let wants = |order| move |_: &str| Some(order);
        assert!(!orders.has_void(wants(Ready)));
        assert!(!orders.has_void(|_| None), "a replica that is not there");
        assert!(orders.has_void(wants(Maintenance)));
        orders.drop_void(wants(Maintenance));
        assert_eq!(orders, Orders::default());
        // An order against the file, which a file without that word ends.
        let given = orders.give(("r1", Maintenance), Ready.into(), 7);
        assert_eq!(given, held(Ready, Some(7), ""));
        assert_eq!(orders.of("r1", Maintenance), given);
        assert_eq!(orders.of("r1", Ready), held(Ready, None, ""));
    }

    #[test]
    fn a_comment_stays_until_another_is_given_or_the_order_changes() {
        let mut orders = Orders::default();
        let new = |order: Order, comment| NewOrder {
            comment,
            ..NewOrder::from(order)
        };
        let cases = [
            (Order::Drain, Some("disk"), 1, (1, "disk")),
            (Order::Drain, None, 2, (1, "disk")),
            (Order::Drain, Some("other disk"), 3, (1, "other disk")),
            (Order::Drain, Some(""), 4, (1, "")),
            (Order::Maintenance, Some("fan"), 5, (5, "fan")),
            (Order::Drain, None, 6, (6, "")),
        ];
        for (order, comment, now, (since, kept)) in cases {
            let given = orders.give(("r1", Order::Ready), new(order, comment), now);
            assert_eq!(given, held(order, Some(since), kept), "{comment:?}, {now}");
            assert_eq!(orders.of("r1", Order::Ready), given);
        }
        let ready = orders.give(("r1", Order::Ready), Order::Ready.into(), 9);
        assert_eq!((ready, orders), (HeldOrder::default(), Orders::default()));
    }

    #[test]
    fn a_value_is_read_as_it_is_written() {
        let mut orders = Orders::default();
        let new = NewOrder {
            order: Order::Drain,
            comment: Some("ticket 5"),
            client: "",
        };
        orders.give(("quay/r1", Order::Ready), new, 300);
        let value = orders.to_value().expect("there is memory");
        assert_eq!(Orders::of_value(&value), Some(orders));
        for wrong in [&b""[..], b"{}", &value[..value.len() - 1]] {
            assert_eq!(Orders::of_value(wrong), None, "{wrong:?}");
        }
    }
}
