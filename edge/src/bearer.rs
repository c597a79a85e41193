//! The credentials of a request.

use axum::http::{HeaderMap, header};

/// The credentials of `Authorization: Bearer x`; the scheme's case does not matter.
///
/// None if there are none, if they are of another scheme, or if there are several headers.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, credentials) = only.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !credentials.is_empty()).then_some(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        for value in ["Bearer x.y", "bearer x.y", "BEARER  x.y"] {
            assert_eq!(bearer(&headers(&[value])), Some("x.y"), "{value}");
        }
    }

    #[test]
    fn anything_else_is_no_credentials() {
        for value in ["", "Bearer", "Bearer ", "Basic eA==", "x.y", "Bearerx y", "Bearer é"] {
            assert_eq!(bearer(&headers(&[value])), None, "{value}");
        }
        assert_eq!(bearer(&headers(&[])), None);
        assert_eq!(bearer(&headers(&["Bearer a", "Bearer b"])), None);
    }
}
