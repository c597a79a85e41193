//! The slots of a Redis Cluster: which one a key is in, and who has which.

use crc::{CRC_16_XMODEM, Crc};
use redis::{Arg, Cmd, Value};

use super::node::Node;

/// How many there are.
pub(super) const SLOTS: u16 = 16_384;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The slot that a key is in.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    CRC.checksum(hash_tag(key).unwrap_or(key)) % SLOTS
}

/// What stands between the first braces, if anything.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')? + 1;
    let length = key[open..].iter().position(|byte| *byte == b'}')?;
    (length > 0).then(|| &key[open..open + length])
}

/// The key that a command is about; the first one, as all of them are in one slot.
pub(super) fn key_of(command: &Cmd) -> Option<&[u8]> {
    let mut words = command.args_iter().filter_map(|word| {
        let Arg::Simple(word) = word else { return None };
        Some(word)
    });
    match words.next()? {
        b"INFO" | b"TIME" => None,
        b"EVAL" | b"EVALSHA" => words.nth(2),
        _ => words.next(),
    }
}

/// Reads what a node answers to CLUSTER SLOTS: the first and the last slot of each range, and its
/// master. `None` if it is something else.
pub(super) fn ranges(answer: Value, said_by: &Node) -> Option<Vec<(u16, u16, Node)>> {
    let ranges: Vec<Vec<Value>> = redis::from_redis_value(answer).ok()?;
    let mut read = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mut fields = range.into_iter();
        let first: u16 = redis::from_redis_value(fields.next()?).ok()?;
        let last: u16 = redis::from_redis_value(fields.next()?).ok()?;
        let mut master: std::vec::IntoIter<Value> =
            redis::from_redis_value::<Vec<Value>>(fields.next()?).ok()?.into_iter();
        let host: Option<String> = redis::from_redis_value(master.next()?).ok()?;
        let port: u16 = redis::from_redis_value(master.next()?).ok()?;
        if first > last || last >= SLOTS {
            return None;
        }
        if let Some(node) = Node::told(host.as_deref(), port, said_by) {
            read.push((first, last, node));
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cmd;

    #[test]
    fn a_key_is_in_the_slot_that_redis_says() {
        // As CLUSTER KEYSLOT answers.
        for (key, slot) in [
            ("foo", 12_182),
            ("123456789", 12_739),
            ("dibs:install", 7_541),
            ("dibs:{7:0}:terms", 7_224),
            ("dibs:{7:0}:warm:x:records:3", 7_224),
            ("{}foo", 9_500),
            ("{probe", 4_788),
        ] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }

    #[test]
    fn the_key_of_a_command_is_found() {
        let mut call = cmd("EVALSHA");
        call.arg("hash").arg(2).arg("k1").arg("k2").arg("argument");
        assert_eq!(key_of(&call), Some(&b"k1"[..]));
        assert_eq!(key_of(cmd("HSET").arg("k").arg("name").arg("value")), Some(&b"k"[..]));
        assert_eq!(key_of(&cmd("TIME")), None);
    }

    #[test]
    fn the_map_of_a_cluster_is_read_whole_or_not_at_all() {
        let text = |text: &str| Value::BulkString(text.into());
        let node = |host, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        let range = |first, last, master| {
            let replica = node(text("10.0.0.9"), 1);
            Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
        };
        let here = Node { host: "10.0.0.1".to_owned(), port: 7000 };
        let answer = Value::Array(vec![
            range(0, 99, node(text("10.0.0.2"), 7001)),
            range(100, 199, node(text(""), 7002)),
            range(200, 299, node(Value::Nil, 7003)),
            range(300, 399, node(text("?"), 7004)),
        ]);
        let read: Vec<_> = ranges(answer, &here)
            .unwrap()
            .into_iter()
            .map(|(first, last, node)| (first, last, node.host, node.port))
            .collect();
        let own = || "10.0.0.1".to_owned();
        let other = "10.0.0.2".to_owned();
        assert_eq!(read, [(0, 99, other, 7001), (100, 199, own(), 7002), (200, 299, own(), 7003)]);
        for (first, last) in [(5, 4), (0, 16_384), (-1, 4)] {
            let torn = Value::Array(vec![range(first, last, node(text("h"), 1))]);
            assert!(ranges(torn, &here).is_none());
        }
    }
}
