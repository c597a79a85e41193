//! What buyers sent and saw, in the order in which it happened: JSON lines, an event each.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Events that may wait for the file; whoever records more waits with them.
const WAITING: usize = 10_000;

/// Bytes that are read from the file at one time.
const READ_AT_ONCE: usize = 1 << 20;

/// Something that a buyer sent or saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in microseconds since the history began, on one monotonic clock.
    pub at: u64,
    /// The buyer's id.
    pub buyer: String,
    /// What.
    pub did: Did,
}

/// What a buyer did, or what he was told. Tickets are kept as the very bytes that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// Sent a claim. Every attempt is one.
    Claim {
        /// The sale's id.
        sale: String,
        /// Counts what this buyer wanted: attempts at the same claim share it.
        intent: u32,
        /// The idempotency key.
        request: String,
        /// How many.
        units: u32,
    },
    /// Was answered with a ticket.
    Granted {
        /// The sale's id.
        sale: String,
        /// As in the claim.
        intent: u32,
        /// As in the claim.
        request: String,
        /// When the attempt was sent, as [`Event::at`].
        asked: u64,
        /// The ticket.
        ticket: String,
    },
    /// Was refused for good, with this problem, such as `/problems/sold-out`.
    Refused {
        /// The sale's id.
        sale: String,
        /// As in the claim.
        intent: u32,
        /// As in the claim.
        request: String,
        /// The problem's type.
        problem: String,
    },
    /// Was not told whether it was granted: no answer, a broken connection, a 503.
    Unsure {
        /// The sale's id.
        sale: String,
        /// As in the claim.
        intent: u32,
        /// As in the claim.
        request: String,
        /// What came instead of an answer.
        why: String,
    },
    /// Asks no more for an answer to his claim: his patience is over, or what came instead of an
    /// answer would come again.
    Unanswered {
        /// The sale's id.
        sale: String,
        /// As in the claim.
        intent: u32,
        /// As in the claim.
        request: String,
    },
    /// Was shown his ticket.
    Saw {
        /// On which way.
        way: Way,
        /// When he asked, as [`Event::at`]: what one stream shows shares it.
        asked: u64,
        /// The ticket.
        ticket: String,
    },
    /// Was told that there is no such ticket, though he holds its token.
    NotFound {
        /// The ticket's id.
        id: String,
        /// On which way.
        way: Way,
    },
    /// Asked for a ticket of another buyer, and was shown this.
    Foreign {
        /// The ticket's id.
        id: String,
        /// On which way.
        way: Way,
        /// What should be nothing.
        shown: Option<String>,
    },
    /// Looked into the ledger after he was told that he has it.
    Looked {
        /// The ticket's id.
        id: String,
        /// When he asked, as [`Event::at`].
        asked: u64,
        /// The ticket as the ledger has it.
        found: Option<String>,
    },
    /// Waited no longer for a final result.
    GaveUp {
        /// The ticket's id.
        id: String,
    },
}

/// A way to follow a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// WebSocket.
    Socket,
    /// Server-Sent Events.
    Events,
    /// A request that is held until there is news.
    LongPoll,
    /// A request now and then.
    Poll,
}

/// Writes events to a file; its clones write to the same one.
#[derive(Debug, Clone)]
pub struct Recorder {
    begun: Instant,
    events: mpsc::Sender<Event>,
}

/// The file behind the recorders.
#[derive(Debug)]
pub struct Writing(JoinHandle<std::io::Result<()>>);

impl Recorder {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// The file cannot be created.
    #[expect(clippy::disallowed_methods, reason = "its owner is Writing, who awaits its end")]
    pub async fn create(path: &Path) -> std::io::Result<(Self, Writing)> {
        let file = BufWriter::new(File::create(path).await?);
        let (events, waiting) = mpsc::channel(WAITING);
        let writing = tokio::spawn(write(file, waiting));
        Ok((Self { begun: Instant::now(), events }, Writing(writing)))
    }

    /// The clock of [`Event::at`].
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The same for a moment that was taken before.
    pub fn at(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.begun).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// Records what happened at this moment. What the file does not take is told by [`Writing::end`].
    pub async fn record(&self, buyer: &str, did: Did) {
        let event = Event { at: self.now(), buyer: buyer.to_owned(), did };
        let _ = self.events.send(event).await;
    }
}

impl Writing {
    /// Waits until every recorder is gone and all of it is in the file.
    ///
    /// # Errors
    /// The file did not take all of it.
    pub async fn end(self) -> std::io::Result<()> {
        self.0.await.map_err(std::io::Error::other)?
    }
}

async fn write(
    mut file: BufWriter<File>,
    mut events: mpsc::Receiver<Event>,
) -> std::io::Result<()> {
    while let Some(event) = events.recv().await {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        file.write_all(&line).await?;
    }
    file.flush().await
}

/// Reads a history from its begin to its end.
#[derive(Debug)]
pub struct Reader {
    file: BufReader<File>,
    line: u64,
    cut_off: bool,
}

impl Reader {
    /// Opens the file.
    ///
    /// # Errors
    /// It is not there.
    pub async fn open(path: &Path) -> std::io::Result<Self> {
        let file = BufReader::with_capacity(READ_AT_ONCE, File::open(path).await?);
        Ok(Self { file, line: 0, cut_off: false })
    }

    /// The next event; none after the last. A last line that breaks off is none.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is no event.
    pub async fn next(&mut self) -> std::io::Result<Option<Event>> {
        let mut line = Vec::new();
        if self.file.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        match serde_json::from_slice(&line) {
            Ok(event) => {
                self.line += 1;
                Ok(Some(event))
            }
            Err(_) if line.last() != Some(&b'\n') => {
                self.cut_off = true;
                Ok(None)
            }
            Err(error) => {
                let says = format!("line {} is no event: {error}", self.line + 1);
                Err(std::io::Error::new(std::io::ErrorKind::InvalidData, says))
            }
        }
    }

    /// The line of the event that was read last, from 1; hence also how many were read.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Whether the last line breaks off, as it does when the writer was killed.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }
}
