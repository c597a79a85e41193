//! A Redis that is not opened.

use store::gate::Gate;
use store::open::OpenError;

/// Why it is refused, in one line.
pub(crate) fn refusal(opened: Result<Gate, OpenError>) -> String {
    match opened {
        Err(OpenError::Refused(text)) => {
            assert!(!text.is_empty() && !text.contains('\n'), "one line: {text:?}");
            text
        }
        Err(OpenError::Unreachable(text)) => panic!("unreachable where refused is due: {text}"),
        Ok(_) => panic!("it opens"),
    }
}
