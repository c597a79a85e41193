//! What is sent through the log behind the orders that a gate granted: once it has come back from
//! every partition, those orders have been decided.

use serde::{Deserialize, Serialize};

use crate::id::{InstallId, RoundId};

/// A mark in one partition of the log, behind the orders of older incarnations of a round's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Message", into = "Message")]
pub struct Fence {
    /// The database that the round belongs to.
    pub install: InstallId,
    /// The round whose gate is to be rebuilt.
    pub round: RoundId,
    /// The incarnation that it is rebuilt as.
    pub incarnation: u32,
    /// The partition that it was sent through.
    pub partition: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Message {
    #[serde(rename = "fence.v1")]
    V1(FenceV1),
}

#[derive(Serialize, Deserialize)]
struct FenceV1 {
    install: InstallId,
    round: RoundId,
    incarnation: u32,
    partition: u8,
}

impl Fence {
    /// The message's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a fence has text keys and plain values only")
    }

    /// Reads a message's text, of any version that was ever written.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

impl From<Fence> for Message {
    fn from(Fence { install, round, incarnation, partition }: Fence) -> Self {
        Self::V1(FenceV1 { install, round, incarnation, partition })
    }
}

impl From<Message> for Fence {
    fn from(message: Message) -> Self {
        let Message::V1(FenceV1 { install, round, incarnation, partition }) = message;
        Self { install, round, incarnation, partition }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FENCE: Fence =
        Fence { install: InstallId([9; 16]), round: RoundId(7), incarnation: 2, partition: 3 };

    #[test]
    fn the_text_of_a_fence_is_the_golden_file_and_is_read_for_ever() {
        let golden = include_str!("../golden/fence.v1.json").trim_end();
        assert_eq!(FENCE.to_json(), golden);
        assert_eq!(Fence::from_json(golden.as_bytes()).unwrap(), FENCE);
    }

    #[test]
    fn an_unknown_version_or_a_torn_text_is_refused() {
        let text = FENCE.to_json();
        assert!(Fence::from_json(text.replace("fence.v1", "fence.v2").as_bytes()).is_err());
        for end in 0..text.len() {
            assert!(Fence::from_json(&text.as_bytes()[..end]).is_err());
        }
    }
}
