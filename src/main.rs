//! The `bascule` command.

fn main() -> std::process::ExitCode {
    bascule::cli::main()
}
