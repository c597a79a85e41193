//! SQLite's write-ahead log, as far as a torn end needs it.

use std::ops::Range;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Where a log may be cut so that it holds all that `earlier` held, and beyond that a begun
/// and unfinished transaction. `None` if the log has begun anew since, or nothing was added.
pub(crate) fn torn(earlier: &[u8], later: &[u8]) -> Option<Range<usize>> {
    if earlier.len() < HEADER || later.get(..HEADER)? != &earlier[..HEADER] {
        return None;
    }
    let last = commits(earlier).last().unwrap_or(HEADER);
    let next = commits(later).find(|end| *end > last)?;
    Some(last + 1..next)
}

/// The ends of the transactions in a log.
fn commits(log: &[u8]) -> impl Iterator<Item = usize> {
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let frame = FRAME_HEADER + usize::try_from(number(8)).unwrap();
    let salts = &log[16..24];
    (HEADER..)
        .step_by(frame)
        .take_while(move |at| at + frame <= log.len() && &log[at + 8..at + 16] == salts)
        .filter(move |at| number(at + 4) != 0)
        .map(move |at| at + frame)
}
