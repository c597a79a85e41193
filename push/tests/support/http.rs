//! Reads over HTTP.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode};

use super::{House, within};

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A GET of the ticket's path, with headers.
pub(crate) async fn get(house: &House, path: &str, headers: &[(&str, &str)]) -> Answered {
    let url = house.url(path);
    let request = Client::new().get(url).headers(header_map(headers));
    let response = within(request.send()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = within(response.text()).await.unwrap();
    Answered { status, headers, body }
}

/// The same with a bearer.
pub(crate) async fn get_as(
    house: &House,
    path: &str,
    bearer: &str,
    headers: &[(&str, &str)],
) -> Answered {
    let authorization = format!("Bearer {bearer}");
    let mut all = vec![("authorization", authorization.as_str())];
    all.extend_from_slice(headers);
    get(house, path, &all).await
}

fn header_map(headers: &[(&str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

/// An open event stream.
pub(crate) struct Events {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    response: reqwest::Response,
    text: String,
}

impl Events {
    pub(crate) async fn open(
        house: &House,
        id: &str,
        bearer: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let request = Client::new()
            .get(format!("{}/events", house.url(id)))
            .bearer_auth(bearer)
            .headers(header_map(headers));
        let response = within(request.send()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, response, text: String::new() }
    }

    /// The next block, without the empty line after it; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = within(self.response.chunk()).await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// The block that tells this ticket.
pub(crate) fn event(ticket: &sale::ticket::Ticket) -> String {
    format!("id: {}\nevent: ticket\ndata: {}", ticket.state.version, ticket.to_json())
}
