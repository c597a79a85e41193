//! The frames of the WebSocket protocol: what a client sends is a frame within its bounds, or is
//! told why it is none in a frame that is JSON.

use sale::frame::{
    ClientFrame, ErrorCode, ServerFrame, TICKETS_A_CONNECTION, TOKENS_A_FRAME, known_ids,
};
use serde_json::Value;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match ClientFrame::parse(text) {
        Ok(ClientFrame::Watch { tokens }) => {
            assert!((1..=TOKENS_A_FRAME).contains(&tokens.len()));
        }
        Ok(ClientFrame::Unwatch { ids }) => {
            assert!((1..=TICKETS_A_CONNECTION).contains(&ids.len()));
            assert!(known_ids(&ids).all(|id| ids.contains(&id.to_string())));
        }
        Err(bad) => {
            let detail = bad.to_string();
            assert!(!detail.is_empty());
            let code = ErrorCode::BadFrame;
            let told = ServerFrame::Error { code, detail: &detail, index: None }.to_json();
            let told: Value = serde_json::from_str(&told).expect("a frame is JSON");
            assert_eq!(told["detail"], detail);
        }
    }
}
