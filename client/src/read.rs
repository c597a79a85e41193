//! One read of a ticket.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::header::{HeaderName, IF_NONE_MATCH};
use sale::id::TicketId;

use crate::Client;
use crate::error::Error;
use crate::http::{Call, read};
use crate::ticket::Seen;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const POLL_AFTER: &str = "dibs-poll-after-ms";

/// What a read asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// The version that the reader has: the same again is not sent.
    pub known: Option<u32>,
    /// How long the server may hold the answer while there is no other version than that, in
    /// whole seconds. Servers hold one for 30 s at most.
    pub wait: Option<Duration>,
}

/// What a read was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The ticket; none where it still is at the version that the reader has.
    pub seen: Option<Seen>,
    /// When the server would be asked again; none when the ticket is final.
    pub poll_after: Option<Duration>,
}

impl Client {
    /// Reads a ticket, by its token or by its owner's JWT.
    ///
    /// # Errors
    /// No answer, or no such ticket for these credentials.
    pub async fn read(&self, id: TicketId, credentials: &str, ask: Ask) -> Result<Read, Error> {
        let mut call = Call::get(self.ticket(id)).bearer(credentials)?;
        if let Some(version) = ask.known {
            call = call.header(IF_NONE_MATCH, &format!("\"{version}\""))?;
        }
        if let Some(wait) = ask.wait {
            call = call.header(PREFER, &format!("wait={}", wait.as_secs()))?.waits(wait);
        }
        let answered = self.http().send(call).await?;
        let seen = match answered.status {
            StatusCode::NOT_MODIFIED if ask.known.is_some() => None,
            _ => Some(read::<Seen>(&answered.body)?),
        };
        if seen.as_ref().is_some_and(|seen| seen.ticket.id != id) {
            return Err(Error::protocol("it is another ticket"));
        }
        Ok(Read { seen, poll_after: poll_after(&answered.headers) })
    }
}

fn poll_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(POLL_AFTER)?.to_str().ok()?;
    Some(Duration::from_millis(text.parse().ok()?))
}
