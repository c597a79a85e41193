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
    }
}
