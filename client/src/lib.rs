//! The buyer's side of Dibs: claim, and hear the final result.
