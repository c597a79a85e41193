//! `dibs`: see the library.

fn main() -> std::process::ExitCode {
    dibs::run::main()
}
