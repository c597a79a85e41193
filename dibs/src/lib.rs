//! dibs
