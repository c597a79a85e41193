//! The frames of the WebSocket protocol `dibs.v1`: JSON text both ways, and the close codes.

use serde::{Deserialize, Serialize};

use crate::id::TicketId;
use crate::ticket::Ticket;

/// The name of the subprotocol.
pub const SUBPROTOCOL: &str = "dibs.v1";

/// The most tokens in one `watch` frame.
pub const TOKENS_A_FRAME: usize = 16;

/// The most tickets that one connection watches.
pub const TICKETS_A_CONNECTION: usize = 64;

/// The longest frame that a client may send, in bytes.
pub const LONGEST_FRAME: usize = 4096;

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientFrame {
    /// Watch the tickets of these tokens.
    Watch {
        /// 1 to [`TOKENS_A_FRAME`] tokens.
        tokens: Vec<String>,
    },
    /// Watch these tickets no longer.
    Unwatch {
        /// Ticket ids; unknown ones are passed over.
        ids: Vec<String>,
    },
}

/// Why a text is no [`ClientFrame`]; told to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFrame(String);

impl ClientFrame {
    /// Reads one text frame.
    pub fn parse(text: &str) -> Result<Self, BadFrame> {
        let frame = serde_json::from_str(text).map_err(|error| BadFrame(error.to_string()))?;
        let (list, name) = match &frame {
            Self::Watch { tokens } => (tokens, "tokens"),
            Self::Unwatch { ids } => (ids, "ids"),
        };
        let most = match &frame {
            Self::Watch { .. } => TOKENS_A_FRAME,
            Self::Unwatch { .. } => TICKETS_A_CONNECTION,
        };
        if (1..=most).contains(&list.len()) {
            Ok(frame)
        } else {
            Err(BadFrame(format!("{name} must hold 1 to {most} entries")))
        }
    }
}

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// A watched ticket at a version above all that this connection was sent of it.
    Ticket {
        /// The ticket, the same bytes as everywhere.
        ticket: &'a Ticket,
    },
    /// A frame, or one token of a watch, was not accepted; the connection and the other
    /// tokens stand.
    Error {
        /// What kind of fault.
        code: ErrorCode,
        /// What is wrong and what is allowed.
        detail: &'a str,
        /// Which token of the watch; absent when the whole frame is meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<usize>,
    },
    /// This node goes away: connect again after this while.
    Drain {
        /// A delay of this client's own, in ms.
        reconnect_after_ms: u64,
    },
}

/// The codes of error frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The text is no frame.
    BadFrame,
    /// The token opens no ticket.
    NotFound,
    /// The connection watches as many tickets as it may.
    TooMany,
}

impl ServerFrame<'_> {
    /// The frame's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a frame has text keys and plain values only")
    }
}

/// Why the server closes a connection. Each says whether to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1001: this node goes away.
    GoingAway,
    /// 1002: the framing of RFC 6455 was not kept.
    Protocol,
    /// 1003: binary frames are not spoken here.
    Unsupported,
    /// 1007: a text that is not UTF-8.
    BadText,
    /// 1008: what is asked of clients was not kept, such as opening and never watching.
    Policy,
    /// 1009: a frame above [`LONGEST_FRAME`].
    TooBig,
    /// 1013: more connections than this node takes.
    TryLater,
    /// 4408: no sign of life from the client.
    Silent,
}

impl CloseCode {
    /// Every code.
    pub const ALL: [Self; 8] = [
        Self::GoingAway,
        Self::Protocol,
        Self::Unsupported,
        Self::BadText,
        Self::Policy,
        Self::TooBig,
        Self::TryLater,
        Self::Silent,
    ];

    /// The number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::BadText => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::TryLater => 1013,
            Self::Silent => 4408,
        }
    }

    /// Whether the client should connect again.
    pub fn comes_back(self) -> bool {
        match self {
            Self::GoingAway | Self::TryLater | Self::Silent => true,
            Self::Protocol | Self::Unsupported | Self::BadText | Self::Policy | Self::TooBig => {
                false
            }
        }
    }
}

/// Reads the ids of an `unwatch`; what is no ticket id names no watched ticket.
pub fn known_ids(ids: &[String]) -> impl Iterator<Item = TicketId> {
    ids.iter().filter_map(|id| TicketId::parse(id).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watch_and_unwatch_are_read() {
        let watch = ClientFrame::parse(r#"{"type":"watch","tokens":["a","b"]}"#);
        assert_eq!(watch, Ok(ClientFrame::Watch { tokens: vec!["a".into(), "b".into()] }));
        let unwatch = ClientFrame::parse(r#"{"type":"unwatch","ids":["x"]}"#);
        assert_eq!(unwatch, Ok(ClientFrame::Unwatch { ids: vec!["x".into()] }));
    }

    #[test]
    fn what_is_no_frame_is_refused_with_a_reason() {
        let many = format!(r#"{{"type":"watch","tokens":{:?}}}"#, vec!["t"; 17]);
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"type":"dance"}"#,
            r#"{"type":"watch"}"#,
            r#"{"type":"watch","tokens":[]}"#,
            r#"{"type":"watch","tokens":["a"],"extra":1}"#,
            r#"{"type":"watch","tokens":[1]}"#,
            &many,
        ] {
            let refused = ClientFrame::parse(bad).unwrap_err();
            assert!(!refused.to_string().is_empty(), "{bad}");
        }
    }

    #[test]
    fn server_frames_are_the_contract() {
        let error = ServerFrame::Error {
            code: ErrorCode::NotFound,
            detail: "no such ticket",
            index: Some(3),
        };
        assert_eq!(
            error.to_json(),
            r#"{"type":"error","code":"not-found","detail":"no such ticket","index":3}"#
        );
        let error = ServerFrame::Error { code: ErrorCode::BadFrame, detail: "no", index: None };
        assert_eq!(error.to_json(), r#"{"type":"error","code":"bad-frame","detail":"no"}"#);
        let drain = ServerFrame::Drain { reconnect_after_ms: 900 };
        assert_eq!(drain.to_json(), r#"{"type":"drain","reconnect_after_ms":900}"#);
    }

    #[test]
    fn close_codes_say_whether_to_come_back() {
        use CloseCode::{
            BadText, GoingAway, Policy, Protocol, Silent, TooBig, TryLater, Unsupported,
        };
        let back = [GoingAway, TryLater, Silent];
        assert_eq!(back.map(CloseCode::number), [1001, 1013, 4408]);
        assert!(back.into_iter().all(CloseCode::comes_back));
        let gone = [Protocol, Unsupported, BadText, Policy, TooBig];
        assert_eq!(gone.map(CloseCode::number), [1002, 1003, 1007, 1008, 1009]);
        assert!(!gone.into_iter().any(CloseCode::comes_back));
    }
}
