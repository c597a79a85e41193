//! Requests, and what every answer of a kind must look like.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder, Response};
use sale::time::Timestamp;
use serde_json::{Value, json};

use crate::harness::claimer::{Owed, jwt};
use crate::harness::{ADMIN_KEY, SHOP_SECRET, Server};

impl Server {
    /// A request without credentials.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.call(Method::GET, path).send().await.unwrap()
    }

    /// A claim of a buyer of the shop, still without a body.
    pub(crate) fn claim(&self, sale: &str, buyer: &str) -> RequestBuilder {
        self.call(Method::POST, &format!("/v1/sales/{sale}/tickets")).bearer_auth(jwt(buyer))
    }

    /// A claim of one unit, answered.
    pub(crate) async fn claim_one(&self, sale: &str, buyer: &str) -> Response {
        self.claim(sale, buyer).json(&json!({ "units": 1 })).send().await.unwrap()
    }

    /// A read of a ticket with its token.
    pub(crate) fn ticket(&self, owed: &Owed) -> RequestBuilder {
        self.call(Method::GET, &format!("/v1/tickets/{}", owed.id)).bearer_auth(&owed.token)
    }

    /// The text of a ticket, as a plain read answers it.
    pub(crate) async fn ticket_text(&self, owed: &Owed) -> String {
        self.ticket(owed).send().await.unwrap().text().await.unwrap()
    }

    /// A call of the admin API with the right key.
    pub(crate) fn operator(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, &format!("/v1/admin/{path}")).bearer_auth(ADMIN_KEY)
    }

    /// A sale with some fields other than those of one that has been open for years.
    pub(crate) async fn create(&self, id: &str, fields: Value) -> Response {
        let body = sale(id, fields);
        self.operator(Method::POST, "sales").json(&body).send().await.unwrap()
    }

    /// Its change.
    pub(crate) async fn patch(&self, id: &str, key: Option<&str>, change: Value) -> Response {
        let mut call = self.operator(Method::PATCH, &format!("sales/{id}")).json(&change);
        if let Some(key) = key {
            call = call.header("idempotency-key", key);
        }
        call.send().await.unwrap()
    }

    /// What the ops server measures.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.http.get(format!("{}/metrics", self.ops)).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// The value of a series without labels; 0 before it was first set.
    pub(crate) async fn gauge(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// What creates a sale: open for years, ten units, one a buyer, save for the given fields.
pub(crate) fn sale(id: &str, fields: Value) -> Value {
    let mut sale = json!({
        "id": id, "name": format!("Sale {id}"), "stock": 10, "limit": 1,
        "opens_at": "2020-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z",
    });
    for (key, value) in fields.as_object().unwrap() {
        sale[key] = value.clone();
    }
    sale
}

/// A JWT of any claims, signed in any way.
pub(crate) fn signed(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap()
}

/// The key that the shop signs with.
pub(crate) fn shop_key() -> EncodingKey {
    EncodingKey::from_secret(SHOP_SECRET.as_bytes())
}

/// Seconds since 1970, `from_now` seconds after the present.
pub(crate) fn seconds(from_now: i64) -> i64 {
    store::clock::now().millis() / 1000 + from_now
}

/// An RFC 3339 time, `from_now` seconds after the present.
pub(crate) fn time(from_now: i64) -> String {
    Timestamp::from_millis(seconds(from_now) * 1000).unwrap().to_string()
}

/// Whether it is a time as answers show it, such as `2026-01-02T03:04:05.678Z`.
pub(crate) fn is_time(text: &Value) -> bool {
    text.as_str().is_some_and(|text| {
        Timestamp::parse(text).is_ok_and(|at| at.to_string() == text) && text.len() == 24
    })
}

/// The text that a ticket of these values is shown as, wherever it is shown.
pub(crate) fn text_of(ticket: &Value) -> String {
    let of = |key: &str| ticket[key].to_string();
    let keys = [
        "id",
        "sale",
        "round",
        "units",
        "status",
        "reason",
        "version",
        "final",
        "granted_at",
        "decided_at",
    ];
    assert_eq!(ticket.as_object().unwrap().len(), keys.len(), "{ticket}");
    let fields: Vec<_> = keys.iter().map(|key| format!("\"{key}\":{}", of(key))).collect();
    format!("{{{}}}", fields.join(","))
}

/// The answer is the problem of this status and type, told as every problem is. Its document.
pub(crate) async fn problem(answer: Response, status: u16, kind: &str) -> Value {
    let (told, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    assert_eq!(told, status, "{kind}: {text}");
    assert_eq!(headers["content-type"], "application/problem+json", "{text}");
    assert_eq!(headers["cache-control"], "no-store", "{text}");
    assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{text}");
    assert_eq!(headers.contains_key("retry-after"), status == 503, "{text}");
    if status == 503 {
        let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(seconds >= 1, "{text}");
    }
    let head = format!(r#"{{"type":"/problems/{kind}","title":""#);
    assert!(text.starts_with(&head), "{head} {text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["status"], status);
    for words in ["title", "detail"] {
        assert!(document[words].as_str().is_some_and(|words| !words.is_empty()), "{text}");
    }
    document
}
