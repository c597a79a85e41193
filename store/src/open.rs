//! Why an engine cannot be used.

/// One line that says what is wrong and what to do; it never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// Nobody answers there: the same start may succeed later.
    #[error("{0}")]
    Unreachable(String),
    /// Something answers that Dibs must not or cannot use until somebody changes it.
    #[error("{0}")]
    Refused(String),
}
