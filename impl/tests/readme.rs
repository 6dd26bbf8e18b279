//! The two programs of the READMEs, run as two processes, and the C of the README as a third.
#![cfg(target_os = "linux")]

#[path = "../ffi/tests/common/c.rs"]
mod c;
mod common;

use std::process::Command;

use c::{Folder, compiler_for, include, succeeds};
use common::example::Process;
use common::named::{self, Named};

const README: &str = include_str!("../../README.md");
const ITEMS: u64 = 100_000;

/// The code blocks of that language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = document.split(fence.as_str()).skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

/// An example: its first argument is the name of the segment.
macro_rules! example {
    ($name:ident, $run:ident, $file:literal) => {
        mod $name {
            include!(concat!("../examples/readme/", $file));

            pub(super) fn start() -> Result<(), Box<dyn std::error::Error>> {
                main()
            }
        }

        #[test]
        #[ignore = "a process of the tests below"]
        fn $run() {
            common::example::run($name::start);
        }
    };
}

example!(producer, run_producer, "producer.rs");
example!(consumer, run_consumer, "consumer.rs");

/// The numbers that it prints. The runner prints other lines, and begins the first with a name.
fn numbers(process: &mut Process) -> impl Iterator<Item = u64> + use<> {
    let lines = process.lines();
    lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
}

#[test]
fn the_program_that_it_shows_is_the_example() {
    let example = include_str!("../examples/readme/producer.rs");
    assert_eq!(blocks(README, "rust"), [example]);
    // What it says of the other one.
    let other = include_str!("../examples/readme/consumer.rs");
    for part in ["ring.consumer()?", "PopError::PeerClosed", ".unlink()"] {
        assert!(other.contains(part), "{part}");
    }
}

#[test]
fn the_readme_of_the_package_shows_both_examples() {
    let both = [
        include_str!("../examples/readme/producer.rs"),
        include_str!("../examples/readme/consumer.rs"),
    ];
    assert_eq!(blocks(include_str!("../README.md"), "rust"), both);
}

#[test]
fn a_producer_that_is_killed_and_started_again_sends_every_number_once() {
    let name = Named::new("readme");
    let mut consumer = Process::example("consumer", &[&name]);
    let producer = Process::example("producer", &[&name]);
    let mut received = numbers(&mut consumer);
    let some: Vec<u64> = received.by_ref().take(10).collect();
    // Nothing reads what the consumer prints meanwhile, and a pipe and a ring hold far less than all.
    producer.kill();
    let again = Process::example("producer", &[&name]);
    let all = some.into_iter().chain(received);
    assert!(all.eq(0..ITEMS));
    consumer.end();
    again.end();
    assert!(!name.path().exists());
}

#[test]
fn its_c_sends_to_the_same_consumer() {
    let [shown] = blocks(README, "c")[..] else {
        panic!("one block of C");
    };
    let name = Named::new("readme-c");
    // The name that it shows would be another test run's as well.
    let shown = shown.replace("\"orders\"", "name[1]");
    let text = format!(
        "#include \"ringproof.h\"\n#include <sched.h>\n#include <stdio.h>\n\
         int main(int count, char **name) {{\n\
         struct ringproof_segment ring;\nstruct ringproof_producer producer;\n\
         struct ringproof_error error;\nuint64_t order = 7;\n(void)count;\n\
         {shown}\nringproof_producer_close(&producer);\nreturn 0;\n}}\n"
    );
    let folder = Folder::with(&[("shown.c", &text)]);
    let program = folder.path().join("shown");
    let mut command = compiler_for(false);
    command
        .arg(folder.path().join("shown.c"))
        .arg("-I")
        .arg(include());
    succeeds(command.arg("-o").arg(&program));
    let mut consumer = Process::example("consumer", &[&name]);
    Process::start(Command::new(&program).arg(&*name)).end();
    assert!(numbers(&mut consumer).eq([7]));
    consumer.end();
}
