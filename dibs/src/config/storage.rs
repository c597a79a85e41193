//! What Dibs keeps on this machine.

use std::path::PathBuf;

use super::parse;
use super::setting::section;

section! {
    /// The data folder.
    Storage in "Data" {
        /// The data folder: ledger, gate and the secrets that were made here. One process at a
        /// time.
        data: PathBuf = Plain("./data"), "FOLDER", parse::folder;
        /// Whether a data folder without any sale gets a demo sale, which opens within half a
        /// minute.
        demo: bool = Plain("true"), "true|false", parse::truth;
        /// Bytes that the gate's journal grows by before it is condensed; more, where what it
        /// condenses to is more. A start reads it all.
        checkpoint_after: usize = Plain("67108864"), "BYTES", parse::count(1_000..=1_000_000_000);
    }
}
