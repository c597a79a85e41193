//! Whoever follows one ticket: one connection or request at a time, and the pauses between them.

use std::time::{Duration, Instant};

use sale::id::TicketId;
use tokio::time::{sleep_until, timeout_at};

use super::events::{Event, Events};
use super::ladder::Ladder;
use super::{News, Way};
use crate::Client;
use crate::backoff::{backoff, pause_after};
use crate::error::Error;
use crate::read::Ask;
use crate::socket::{Frame, Socket};
use crate::ticket::{Held, Seen};

/// A stream that stands must show the ticket within this time.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// A stream that lasted this long was a good one.
const STEADY: Duration = Duration::from_secs(10);

/// How long a server is asked to hold an answer.
const WAIT: Duration = Duration::from_secs(25);

/// An answer without news that came sooner was not held.
const HELD: Duration = Duration::from_secs(5);

/// The longest pause that a server which drains is obeyed for.
const DRAINED: Duration = Duration::from_secs(60);

pub(super) struct Follower {
    client: Client,
    id: TicketId,
    token: String,
    /// The highest version that was told.
    known: u32,
    everything: bool,
    ladder: Ladder,
    link: Link,
    /// Failures in a row, over all ways.
    failures: u32,
    /// Nothing is asked before.
    pause_until: Option<Instant>,
    over: bool,
}

/// The stream that is open.
enum Link {
    None,
    Socket(Box<Socket>, Welcome),
    Events(Box<Events>, Welcome),
}

/// When a stream was opened, and when it brought the ticket first.
#[derive(Clone, Copy)]
struct Welcome {
    opened: Instant,
    welcomed: Option<Instant>,
}

impl Welcome {
    fn awaited() -> Self {
        Self { opened: Instant::now(), welcomed: None }
    }

    /// Until when something must be heard, beside signs of life.
    fn patience(self) -> Option<Instant> {
        self.welcomed.is_none().then(|| self.opened + FIRST_WITHIN)
    }

    fn was_steady(self) -> bool {
        self.welcomed.is_some_and(|at| at.elapsed() >= STEADY)
    }
}

/// How a stream ended.
enum Ended {
    /// It may be tried again, after this pause or one of the client's own.
    Again(Option<Duration>),
    /// Coming back would only be refused again, for this reason.
    ForGood(Error),
}

impl Follower {
    pub(super) fn new(client: Client, held: &Held, order: &[Way], everything: bool) -> Self {
        let ticket = &held.ticket.ticket;
        Self {
            client,
            id: ticket.id,
            token: held.token.clone(),
            known: ticket.version,
            everything,
            ladder: Ladder::new(order),
            link: Link::None,
            failures: 0,
            pause_until: None,
            over: ticket.is_final,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<News, Error>> {
        while !self.over {
            match self.step().await {
                Ok(Some(news)) if self.takes(&news.seen) => return Some(Ok(news)),
                Ok(_) => {}
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        if let Link::Socket(socket, _) = std::mem::replace(&mut self.link, Link::None) {
            socket.close().await;
        }
        None
    }

    /// Takes note of a ticket, and answers whether it is told.
    fn takes(&mut self, seen: &Seen) -> bool {
        let ticket = &seen.ticket;
        if ticket.id != self.id {
            return false;
        }
        let newer = ticket.version > self.known;
        self.known = self.known.max(ticket.version);
        self.over |= ticket.is_final;
        newer || self.everything
    }

    /// One thing that happens. An error is for good.
    async fn step(&mut self) -> Result<Option<News>, Error> {
        match &mut self.link {
            Link::Socket(socket, welcome) => {
                let welcome = *welcome;
                let begun = socket.begun();
                let told = within(welcome.patience(), socket.next()).await;
                self.heard_on_socket(told, welcome, begun)
            }
            Link::Events(events, welcome) => {
                let welcome = *welcome;
                let begun = events.begun;
                let told = within(welcome.patience(), events.next()).await;
                self.heard_on_events(told, welcome, begun)
            }
            Link::None => self.ask().await,
        }
    }

    fn heard_on_socket(
        &mut self,
        told: Result<Frame, Error>,
        welcome: Welcome,
        begun: Instant,
    ) -> Result<Option<News>, Error> {
        let ended = match told {
            Ok(Frame::Ticket(seen)) => {
                self.welcomed(Way::Socket);
                return Ok(Some(News { seen, way: Way::Socket, begun }));
            }
            Ok(Frame::Unknown) => return Ok(None),
            Ok(Frame::Fault { code, detail, .. }) if code == "not-found" => {
                return Err(Error::NotFound(detail));
            }
            Ok(Frame::Fault { detail, .. }) => Ended::ForGood(Error::Protocol(detail)),
            Ok(Frame::Drain { reconnect_after }) => Ended::Again(Some(reconnect_after)),
            Ok(Frame::Closed { code }) if Frame::stays_away(code) => {
                let code = code.map_or_else(String::new, |code| format!(" with {code}"));
                Ended::ForGood(Error::Protocol(format!("the WebSocket was closed{code}")))
            }
            Ok(Frame::Closed { .. }) | Err(_) => Ended::Again(None),
        };
        self.link = Link::None;
        self.ended(Way::Socket, welcome, ended)
    }

    fn heard_on_events(
        &mut self,
        told: Result<Event, Error>,
        welcome: Welcome,
        begun: Instant,
    ) -> Result<Option<News>, Error> {
        let pause = match told {
            Ok(Event::Ticket(seen)) => {
                self.welcomed(Way::Events);
                return Ok(Some(News { seen, way: Way::Events, begun }));
            }
            Ok(Event::Retry(after)) => Some(after),
            Ok(Event::End) | Err(_) => None,
        };
        self.link = Link::None;
        self.ended(Way::Events, welcome, Ended::Again(pause))
    }

    /// The open stream has brought a ticket.
    fn welcomed(&mut self, way: Way) {
        if let Link::Socket(_, welcome) | Link::Events(_, welcome) = &mut self.link {
            welcome.welcomed.get_or_insert_with(Instant::now);
        }
        self.ladder.worked(way);
    }

    /// A stream is over: when and how to go on.
    fn ended(&mut self, way: Way, welcome: Welcome, ended: Ended) -> Result<Option<News>, Error> {
        let pause = match ended {
            Ended::ForGood(error) => {
                self.ladder.bar(way);
                return if self.ladder.way(Instant::now()).is_some() {
                    Ok(None)
                } else {
                    Err(error)
                };
            }
            Ended::Again(pause) => pause.map(|pause| pause.min(DRAINED)),
        };
        // A server that takes connections only to drop them must not be asked ever faster.
        self.failures = if welcome.was_steady() { 0 } else { self.failures + 1 };
        if welcome.welcomed.is_none() && self.ladder.failed(way, rest()) {
            return Ok(None);
        }
        self.pause(pause.unwrap_or_else(|| backoff(self.failures)));
        Ok(None)
    }

    /// Opens a stream or asks once, on the best way that there is.
    async fn ask(&mut self) -> Result<Option<News>, Error> {
        if let Some(until) = self.pause_until.take() {
            sleep_until(until.into()).await;
        }
        let way = self.ladder.way(Instant::now());
        let way =
            way.ok_or_else(|| Error::Setup("no way to follow a ticket is left".to_owned()))?;
        let opened = match way {
            Way::Socket => self.open_socket().await,
            Way::Events => self.open_events().await,
            Way::LongPoll => return self.read(way, Some(WAIT)).await,
            Way::Poll => return self.read(way, None).await,
        };
        match opened {
            Ok(link) => {
                self.link = link;
                Ok(None)
            }
            Err(error) if error.is_worth_another_try() => {
                let pause = error.retry_after().map(|_| pause_after(&error, self.failures));
                self.ended(way, Welcome::awaited(), Ended::Again(pause))
            }
            Err(error) => self.ended(way, Welcome::awaited(), Ended::ForGood(error)),
        }
    }

    async fn open_socket(&self) -> Result<Link, Error> {
        let mut socket = self.client.socket().await?;
        socket.watch(&[&self.token]).await?;
        Ok(Link::Socket(Box::new(socket), Welcome::awaited()))
    }

    async fn open_events(&self) -> Result<Link, Error> {
        let events = Events::open(&self.client, self.id, &self.token).await?;
        Ok(Link::Events(Box::new(events), Welcome::awaited()))
    }

    async fn read(&mut self, way: Way, wait: Option<Duration>) -> Result<Option<News>, Error> {
        let begun = Instant::now();
        let ask = Ask { known: Some(self.known), wait };
        let read = match self.client.read(self.id, &self.token, ask).await {
            Ok(read) => read,
            Err(error) if error.is_worth_another_try() => {
                self.failures += 1;
                if !self.ladder.failed(way, rest()) {
                    self.pause(pause_after(&error, self.failures));
                }
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // A server that was away explains why the better ways failed: they are tried again soon.
        if std::mem::take(&mut self.failures) > 0 {
            self.ladder.wake(Instant::now() + spread(Duration::ZERO, Duration::from_secs(10)));
        }
        let newer = read.seen.as_ref().is_some_and(|seen| seen.ticket.version > self.known);
        let held = wait.is_some() && begun.elapsed() >= HELD;
        if wait.is_none() || newer || held {
            self.ladder.worked(way);
        } else {
            self.ladder.failed(way, rest());
        }
        if !(held || newer && wait.is_some()) {
            let after = read.poll_after.unwrap_or(Duration::from_secs(3));
            let after = after.clamp(Duration::from_millis(500), Duration::from_secs(60));
            self.pause(spread(after, after / 4));
        }
        Ok(read.seen.map(|seen| News { seen, way, begun }))
    }

    fn pause(&mut self, pause: Duration) {
        self.pause_until = Some(Instant::now() + pause);
    }
}

async fn within<T>(
    patience: Option<Instant>,
    told: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match patience {
        None => told.await,
        Some(until) => timeout_at(until.into(), told).await.unwrap_or_else(|_| {
            Err(Error::no_answer("no answer in time", "the stream does not show the ticket"))
        }),
    }
}

/// Until when a way rests that has failed.
fn rest() -> Instant {
    Instant::now() + spread(Duration::from_secs(45), Duration::from_secs(30))
}

fn spread(least: Duration, over: Duration) -> Duration {
    least + over.mul_f64(rand::random_range(0.0..1.0))
}
