//! The program `ringproof-stress`; all of it is in the library.

use ringproof_record::Exit;

fn main() -> Exit {
    ringproof_stress::main()
}
