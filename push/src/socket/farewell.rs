//! The end of a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use sale::frame::CloseCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use super::upgrade::Socket;

/// What is read of a peer that goes on sending, so that it gets to read why it was closed: a
/// connection closed over unread bytes is reset, and a reset can overtake the close frame.
const READ_ON: usize = 1024 * 1024;

/// Closes with a code, or answers a close that the peer began; then waits for the peer's side,
/// all of it at most `within`.
pub(super) async fn farewell(mut socket: Socket, code: Option<CloseCode>, within: Duration) {
    let goodbye = async {
        if let Some(code) = code {
            let frame = CloseFrame { code: code.number().into(), reason: "".into() };
            socket.send(Message::Close(Some(frame))).await.ok()?;
        }
        while let Some(Ok(_)) = socket.next().await {}
        let raw = socket.get_mut();
        raw.shutdown().await.ok()?;
        let mut scrap = [0; 1024];
        let mut read = 0;
        while read < READ_ON {
            match raw.read(&mut scrap).await.ok()? {
                0 => return Some(()),
                more => read += more,
            }
        }
        Some(())
    };
    // A peer that does not play along is dropped all the same.
    let _ = tokio::time::timeout(within, goodbye).await;
}
