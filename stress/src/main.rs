//! The program `ringproof-stress`; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringproof_stress::main()
}
