//! WebSockets that each watch one ticket.

use std::time::Instant;

use anyhow::{Context as _, bail};
use client::{Client, Frame, Seen};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Handshakes at one time.
const AT_ONCE: usize = 32;

/// What may wait to be taken in; then sockets are read no further.
const WAITING: usize = 32_768;

/// Open sockets, and what they are told. Dropped, they are closed.
pub(super) struct Watchers {
    reading: JoinSet<()>,
    told: mpsc::Receiver<Told>,
    tell: mpsc::Sender<Told>,
}

/// A ticket as one of them was shown it; none where a socket has broken.
pub(super) type Told = (Instant, Option<Seen>);

impl Watchers {
    pub(super) fn none() -> Self {
        let (tell, told) = mpsc::channel(WAITING);
        Self { reading: JoinSet::new(), told, tell }
    }

    /// One more for each token; each has been shown its ticket.
    pub(super) async fn watch(&mut self, client: &Client, tokens: &[String]) -> anyhow::Result<()> {
        let opening = tokens.iter().map(|token| async move {
            let mut socket = client.socket().await?;
            socket.watch(&[token]).await?;
            match socket.next().await? {
                Frame::Ticket(_) => Ok(socket),
                other @ (Frame::Fault { .. }
                | Frame::Drain { .. }
                | Frame::Closed { .. }
                | Frame::Unknown) => bail!("no ticket on a WebSocket: {other:?}"),
            }
        });
        let mut opened = stream::iter(opening).buffer_unordered(AT_ONCE);
        while let Some(mut socket) = opened.try_next().await? {
            let tell = self.tell.clone();
            self.reading.spawn(async move {
                loop {
                    let told = match socket.next().await {
                        Ok(Frame::Ticket(seen)) => Some(seen),
                        Ok(_) | Err(_) => None,
                    };
                    let goes_on = told.is_some();
                    if tell.send((Instant::now(), told)).await.is_err() || !goes_on {
                        return;
                    }
                }
            });
        }
        Ok(())
    }

    /// What one of them is told next.
    pub(super) async fn told(&mut self) -> anyhow::Result<(Instant, Seen)> {
        let (at, told) = self.told.recv().await.context("the sender is here")?;
        Ok((at, told.context("a WebSocket has broken")?))
    }

    /// Fails if one of them has broken.
    pub(super) fn all_stand(&mut self) -> anyhow::Result<()> {
        while let Ok((_, told)) = self.told.try_recv() {
            told.context("a WebSocket has broken")?;
        }
        Ok(())
    }
}
