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
