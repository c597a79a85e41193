//! Server-Sent Events, read line by line up to a bound.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use sale::id::TicketId;
use tokio::time::timeout;

use crate::Client;
use crate::error::Error;
use crate::http::Call;
use crate::ticket::Seen;

/// The most bytes of one event. A ticket has a few hundred.
const LONGEST: usize = 16 * 1024;

/// An open stream of events.
pub(super) struct Events {
    body: Incoming,
    parser: Parser,
    pub(super) begun: Instant,
    silent_within: Duration,
}

/// What a stream tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Ticket(Seen),
    /// After the end, come back in this while.
    Retry(Duration),
    /// The stream has ended.
    End,
}

impl Events {
    /// Opens one. The version that is known is not told: the present state, which then comes first,
    /// shows that nothing on the way holds the events back.
    pub(super) async fn open(client: &Client, id: TicketId, token: &str) -> Result<Self, Error> {
        let begun = Instant::now();
        let call = Call::get(format!("{}/events", client.ticket(id))).bearer(token)?;
        let answer = client.http().open(call).await?;
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return Err(Error::protocol("it is no stream of events"));
        }
        let silent_within = client.options().silent_within;
        Ok(Self { body: answer.into_body(), parser: Parser::default(), begun, silent_within })
    }

    pub(super) async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.parser.next()? {
                return Ok(event);
            }
            let frame = timeout(self.silent_within, self.body.frame())
                .await
                .map_err(|_| Error::no_answer("silence", "no sign of life on the events"))?;
            match frame {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.parser.push(bytes);
                    }
                }
                Some(Err(error)) => return Err(Error::no_answer("the connection broke", error)),
                None => return Ok(Event::End),
            }
        }
    }
}

/// Cuts bytes into events.
#[derive(Default)]
struct Parser {
    /// What was not read yet: never more than an event and a chunk.
    waiting: Vec<u8>,
    data: String,
    /// An event named otherwise is none of ours.
    foreign: bool,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next event, if all of it is there.
    fn next(&mut self) -> Result<Option<Event>, Error> {
        let mut read = 0;
        let event = loop {
            let rest = &self.waiting[read..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break None };
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            let line = std::str::from_utf8(line).map_err(Error::protocol)?.to_owned();
            read += end + 1;
            if let Some(event) = self.line(&line)? {
                break Some(event);
            }
        };
        self.waiting.drain(..read);
        let long = self.data.len() > LONGEST || (event.is_none() && self.waiting.len() > LONGEST);
        if long {
            return Err(Error::protocol(format!("an event of more than {LONGEST} bytes")));
        }
        Ok(event)
    }

    fn line(&mut self, line: &str) -> Result<Option<Event>, Error> {
        if line.is_empty() {
            return self.event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" if self.data.is_empty() => value.clone_into(&mut self.data),
            "data" => {
                self.data.push('\n');
                self.data.push_str(value);
            }
            "event" => self.foreign = value != "ticket",
            "retry" => {
                return Ok(value.parse().ok().map(|ms| Event::Retry(Duration::from_millis(ms))));
            }
            _ => {}
        }
        Ok(None)
    }

    fn event(&mut self) -> Result<Option<Event>, Error> {
        let data = std::mem::take(&mut self.data);
        let foreign = std::mem::take(&mut self.foreign);
        if data.is_empty() || foreign {
            return Ok(None);
        }
        serde_json::from_str(&data).map(|seen| Some(Event::Ticket(seen))).map_err(Error::protocol)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICKET: &str = r#"{"id":"AQEBAQEBAQEBAQEBAQEBAQ","sale":"demo","round":"16843009","units":1,"status":"pending","reason":null,"version":1,"final":false,"granted_at":"2026-01-02T03:04:05.678Z","decided_at":null}"#;

    fn all(parser: &mut Parser) -> Vec<Event> {
        std::iter::from_fn(|| parser.next().unwrap()).collect()
    }

    #[test]
    fn a_ticket_is_read_to_the_byte_however_it_is_cut() {
        let text = format!(":\n\nid: 1\nevent: ticket\ndata: {TICKET}\n\nretry: 700\n\n");
        let mut told = Vec::new();
        let mut parser = Parser::default();
        for byte in text.as_bytes() {
            parser.push(&[*byte]);
            told.extend(all(&mut parser));
        }
        let [Event::Ticket(seen), Event::Retry(after)] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!(&*seen.bytes, TICKET);
        assert_eq!(*after, Duration::from_millis(700));
        let mut whole = Parser::default();
        whole.push(text.replace('\n', "\r\n").as_bytes());
        assert_eq!(all(&mut whole), told);
    }

    #[test]
    fn what_is_not_ours_is_passed_over() {
        let mut parser = Parser::default();
        parser.push(b"event: weather\ndata: rain\n\nretry: soon\n\nx\nid\n\n:data: 1\n\n");
        assert_eq!(all(&mut parser), []);
    }

    #[test]
    fn what_never_ends_is_given_up() {
        for endless in ["x", "data: x\n", "\u{e9}"] {
            let mut parser = Parser::default();
            let given_up = (0..=LONGEST).any(|_| {
                parser.push(endless.as_bytes());
                parser.next().is_err()
            });
            assert!(given_up, "{endless}");
        }
    }

    #[test]
    fn what_is_no_ticket_or_no_text_is_an_error() {
        for bad in [&b"data: {}\n\n"[..], b"data: \xff\n\n"] {
            let mut parser = Parser::default();
            parser.push(bad);
            assert!(parser.next().is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_read_or_refused(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    prop::sample::select(vec!["\n", "\r\n", "data: ", "event: ticket\n", "retry: 9", TICKET])
                        .prop_map(|text| text.as_bytes().to_vec()),
                ],
                0..20,
            ),
        ) {
            let mut parser = Parser::default();
            for piece in pieces {
                parser.push(&piece);
                while let Ok(Some(_)) = parser.next() {}
            }
        }
    }
}
