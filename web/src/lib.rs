//! The countdown page and the browser's client, embedded in the binary at build time.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

/// The routes of the page: `/` lists the sales, `/sales/{sale}` is the countdown, `/client.js` with
/// `/client/{file}` is the client for merchants' pages, `/assets/{path}` is what the page loads.
///
/// The client may be imported by pages of any origin: a browser asks that of modules, and there is
/// nothing secret in it. Every answer forbids inline code and third-party requests; a file carries
/// an `ETag` and may be cached for a minute. Needs no state and reads no file at run time.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let file = |path: &'static str| get(async move |asked: HeaderMap| serve(path, &asked));
    Router::new()
        .route("/", file("index.html"))
        .route("/sales/{sale}", file("sale.html"))
        .route("/client.js", get(async |asked: HeaderMap| importable("client.js", &asked)))
        .route(
            "/client/{file}",
            get(async |Path(file): Path<String>, asked: HeaderMap| {
                importable(&format!("client/{file}"), &asked)
            }),
        )
        .route(
            "/assets/{*path}",
            get(async |Path(path): Path<String>, asked: HeaderMap| serve(&path, &asked)),
        )
}

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; \
             img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

fn serve(path: &str, asked: &HeaderMap) -> Response {
    let Some(file) = Assets::get(path) else {
        return (StatusCode::NOT_FOUND, ALWAYS, "Nothing here.\n").into_response();
    };
    let tag = entity_tag(&file);
    let cached = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60")),
    ];
    if holds(asked, &tag) {
        return (StatusCode::NOT_MODIFIED, ALWAYS, cached).into_response();
    }
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    (ALWAYS, cached, [kind], Body::from(file.data)).into_response()
}

fn importable(path: &str, asked: &HeaderMap) -> Response {
    let any = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))];
    (any, serve(path, asked)).into_response()
}

/// The first half of the file's SHA-256, quoted.
fn entity_tag(file: &EmbeddedFile) -> HeaderValue {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).expect("quoted hex digits are a header value")
}

/// Whether `If-None-Match` names this version; a proxy may have made the tag weak.
fn holds(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|held| held == b"*" || held.strip_prefix(b"W/").unwrap_or(held) == tag.as_bytes())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(method: Method, path: &str, if_none_match: Option<&str>) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(tags) = if_none_match {
            request = request.header(header::IF_NONE_MATCH, tags);
        }
        router::<()>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn fetch(path: &str) -> Response {
        ask(Method::GET, path, None).await
    }

    async fn text(answer: Response) -> String {
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn header_of(answer: &Response, name: HeaderName) -> String {
        answer.headers()[name].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn each_address_serves_its_file_with_its_type() {
        for (path, kind, holds) in [
            ("/", "text/html; charset=utf-8", "/assets/index.js"),
            ("/sales/demo", "text/html; charset=utf-8", "/assets/sale.js"),
            ("/sales/any-other-sale", "text/html; charset=utf-8", "/assets/sale.js"),
            ("/client.js", "text/javascript; charset=utf-8", "export class Dibs"),
            ("/client/watch.js", "text/javascript; charset=utf-8", "dibs.v1"),
            ("/assets/client.js", "text/javascript; charset=utf-8", "export class Dibs"),
            ("/assets/client/watch.js", "text/javascript; charset=utf-8", "dibs.v1"),
            ("/assets/page.css", "text/css; charset=utf-8", "prefers-color-scheme"),
            ("/assets/favicon.svg", "image/svg+xml", "<svg"),
        ] {
            let answer = fetch(path).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            assert_eq!(header_of(&answer, header::CONTENT_TYPE), kind, "{path}");
            assert_eq!(header_of(&answer, header::CACHE_CONTROL), "public, max-age=60", "{path}");
            assert!(text(answer).await.contains(holds), "{path} lacks {holds}");
        }
    }

    #[tokio::test]
    async fn what_each_page_and_module_loads_is_served() {
        for path in ["/", "/sales/demo", "/client.js", "/assets/index.js", "/assets/sale.js"] {
            let base = path.rsplit_once('/').unwrap().0;
            let body = text(fetch(path).await).await;
            let quoted: Vec<&str> = body.split('"').skip(1).step_by(2).collect();
            let local = quoted.iter().filter_map(|it| match it.strip_prefix("./") {
                Some(sibling) if sibling.ends_with(".js") => Some(format!("{base}/{sibling}")),
                Some(_) => None,
                None => it.starts_with("/assets/").then(|| (*it).to_owned()),
            });
            for address in local {
                assert_eq!(fetch(&address).await.status(), StatusCode::OK, "{path}: {address}");
            }
        }
    }

    #[tokio::test]
    async fn a_held_version_is_not_sent_again() {
        let tag = header_of(&fetch("/assets/sale.js").await, header::ETAG);
        for held in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let answer = ask(Method::GET, "/assets/sale.js", Some(&held)).await;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{held}");
            assert_eq!(header_of(&answer, header::ETAG), tag);
            assert_eq!(text(answer).await, "");
        }
        let changed = ask(Method::GET, "/assets/sale.js", Some("\"other\"")).await;
        assert_eq!(changed.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn pages_of_any_origin_may_import_the_client_and_nothing_else() {
        let tag = header_of(&fetch("/client.js").await, header::ETAG);
        for answer in [
            fetch("/client.js").await,
            fetch("/client/watch.js").await,
            ask(Method::GET, "/client.js", Some(&tag)).await,
        ] {
            assert_eq!(header_of(&answer, header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
        }
        for path in ["/", "/sales/demo", "/assets/sale.js"] {
            let answer = fetch(path).await;
            assert!(!answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{path}");
        }
    }

    #[tokio::test]
    async fn two_files_never_share_a_tag() {
        let sale = header_of(&fetch("/sales/demo").await, header::ETAG);
        let index = header_of(&fetch("/").await, header::ETAG);
        assert_ne!(sale, index);
    }

    #[tokio::test]
    async fn every_answer_forbids_inline_code_and_strangers() {
        let tag = header_of(&fetch("/").await, header::ETAG);
        for answer in [
            fetch("/sales/demo").await,
            fetch("/assets/none.js").await,
            ask(Method::GET, "/", Some(&tag)).await,
        ] {
            let policy = header_of(&answer, header::CONTENT_SECURITY_POLICY);
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(header_of(&answer, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert_eq!(header_of(&answer, header::REFERRER_POLICY), "no-referrer");
        }
    }

    #[tokio::test]
    async fn the_pages_hold_no_inline_code_or_style() {
        for path in ["/", "/sales/demo"] {
            let body = text(fetch(path).await).await;
            assert!(!body.contains("<style") && !body.contains(" style="), "{path}");
            assert!(!body.contains(" onclick=") && !body.contains("<script>"), "{path}");
            assert!(!body.contains("https://"), "{path} names another host");
        }
    }

    #[tokio::test]
    async fn what_is_not_embedded_is_not_found() {
        for path in [
            "/assets/none.js",
            "/assets/../Cargo.toml",
            "/assets/%2e%2e/Cargo.toml",
            "/assets/..%2fsrc%2flib.rs",
            "/client/none.js",
            "/sales/a/b",
        ] {
            assert_eq!(fetch(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn head_has_the_headers_and_no_body() {
        let answer = ask(Method::HEAD, "/sales/demo", None).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().contains_key(header::ETAG));
        assert_eq!(text(answer).await, "");
    }
}
