//! What the log carries: a text that is read says the same when it is written and read again.

use sale::order::{Batch, Message, OrderV1};
use sale::outcome::Outcome;

pub(crate) fn run(data: &[u8]) {
    if let Ok(message) = Message::from_json(data) {
        let text = message.to_json();
        let again = Message::from_json(text.as_bytes()).expect("what was written is read");
        assert_eq!(again, message);
        assert_eq!(again.to_json(), text);
    }
    if let Ok(batch) = Batch::from_json(data) {
        let first = &batch.orders()[0];
        assert!(!batch.granted_at().to_string().is_empty());
        assert_eq!((batch.round(), batch.shard()), (first.ticket.round(), first.ticket.shard()));
    }
    if let Ok(outcome) = Outcome::from_json(data) {
        let text = outcome.to_json();
        let again = Outcome::from_json(text.as_bytes()).expect("what was written is read");
        assert_eq!(again, outcome);
        assert_eq!(again.ticket.to_json(), outcome.ticket.to_json());
    }
    if let Ok(order) = serde_json::from_slice::<OrderV1>(data) {
        let text = serde_json::to_vec(&order).expect("an order is JSON");
        assert_eq!(serde_json::from_slice::<OrderV1>(&text).expect("it is read"), order);
    }
}
