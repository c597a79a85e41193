//! The migrations are embedded at build time, so a new one must build the crate again.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
