//! A reader of server-sent events.

use reqwest::{RequestBuilder, Response};
use tokio::time::timeout;

use crate::harness::claimer::Owed;
use crate::harness::{PATIENCE, Server};

/// One open stream.
pub(crate) struct Stream {
    pub(crate) answer: Response,
    unread: String,
}

impl Server {
    /// A request for the events of a ticket, with its token.
    pub(crate) fn events(&self, owed: &Owed) -> RequestBuilder {
        let path = format!("/v1/tickets/{}/events", owed.id);
        self.call(reqwest::Method::GET, &path).bearer_auth(&owed.token)
    }

    /// The stream of a ticket's events.
    pub(crate) async fn stream(&self, owed: &Owed) -> Stream {
        Stream::of(self.events(owed)).await
    }
}

impl Stream {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Self { answer, unread: String::new() }
    }

    /// The next block, signs of life included; none when the stream has ended.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let block = block.to_owned();
                self.unread = rest.to_owned();
                return Some(block);
            }
            match timeout(PATIENCE, self.answer.chunk()).await.expect("it should go on").unwrap() {
                Some(chunk) => self.unread.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => {
                    assert_eq!(self.unread, "", "it ends between two events");
                    return None;
                }
            }
        }
    }

    /// The next event; none when the stream has ended.
    pub(crate) async fn event(&mut self) -> Option<String> {
        loop {
            match self.block().await {
                Some(block) if block == ":" => {}
                other => return other,
            }
        }
    }
}

/// The event that tells a ticket of this text at this version.
pub(crate) fn event_of(version: u64, ticket: &str) -> String {
    format!("id: {version}\nevent: ticket\ndata: {ticket}")
}
