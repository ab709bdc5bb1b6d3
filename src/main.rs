//! The `rpostmap` command.

fn main() -> std::process::ExitCode {
    rpostmap::cli::main(std::env::args_os())
}
