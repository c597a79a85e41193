//! What Dibs keeps on this machine.

use std::path::PathBuf;

use super::parse;
use super::setting::section;

section! {
    /// The data folder, which there is where gate and log are local.
    Storage in "Data" {
        /// The data folder: ledger, gate and the secrets that were made here. One process at a
        /// time.
        data: PathBuf = Plain("./data"), "FOLDER", parse::folder;
        /// Whether a ledger without any sale gets a demo sale, which opens within half a minute:
        /// at the start where gate and log are local, else by `dibs migrate`. Unset, it does
        /// where gate, log and ledger are local.
        demo: Option<bool> = Plain(""), "true|false", parse::optional(parse::truth);
        /// Bytes that the gate's journal grows by before it is condensed; more, where what it
        /// condenses to is more. A start reads it all.
        checkpoint_after: usize = Plain("67108864"), "BYTES", parse::count(1_000..=1_000_000_000);
    }
}
