//! The two programs of the READMEs, run as two processes, and the C of the README as a third.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::named::Named;
use ringproof_record::compiler;

const README: &str = include_str!("../../README.md");
const ITEMS: u64 = 100_000;

/// The variable that says to a test that it is a process of another one.
const PROCESS: &str = "RINGPROOF_README_PROCESS";

/// The code blocks of that language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = document.split(fence.as_str()).skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

/// An example, as the test that runs it in a process of its own: its first argument, the name of the
/// segment, is a filter to the test runner, which no test is called.
macro_rules! example {
    ($name:ident, $file:literal) => {
        mod $name {
            include!(concat!("../examples/readme/", $file));

            #[test]
            #[ignore = "a process of the tests below"]
            fn run() {
                if std::env::var_os(super::PROCESS).is_none() {
                    return;
                }
                let end_with = nix::sys::signal::Signal::SIGKILL;
                nix::sys::prctl::set_pdeathsig(end_with).expect("set a death signal");
                // Whoever hangs dies of this, and whoever waits for its lines goes on.
                let hangs = ringproof_record::deadline::seconds(120).as_secs();
                nix::unistd::alarm::set(u32::try_from(hangs).unwrap_or(u32::MAX));
                if let Err(error) = main() {
                    panic!("{error}");
                }
            }
        }
    };
}

example!(producer, "producer.rs");
example!(consumer, "consumer.rs");

/// A process, killed and collected at the end, also of a test that failed.
struct Process(Child);

impl Process {
    fn example(module: &str, name: &str) -> Process {
        let program = std::env::current_exe().expect("path of the test program");
        let mut command = Command::new(program);
        (command.arg(name).arg(format!("{module}::run")))
            .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(PROCESS, module);
        Process::start(&mut command)
    }

    fn start(command: &mut Command) -> Process {
        Process(command.stdout(Stdio::piped()).spawn().expect("start it"))
    }

    /// The numbers that it prints. The runner prints other lines, and begins the first with a name.
    fn numbers(&mut self) -> impl Iterator<Item = u64> + use<> {
        let output = BufReader::new(self.0.stdout.take().expect("its output"));
        let lines = output.lines().map(|line| line.expect("a line"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
    }

    fn kill(mut self) {
        self.0.kill().expect("kill it");
        self.0.wait().expect("collect it");
    }

    fn end(mut self) {
        assert!(self.0.wait().expect("wait for it").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_program_that_it_shows_is_the_example() {
    let example = include_str!("../examples/readme/producer.rs");
    assert_eq!(blocks(README, "rust"), [example]);
    // What it says of the other one.
    let other = include_str!("../examples/readme/consumer.rs");
    for part in ["ring.consumer()?", "PopError::Ended", ".unlink()"] {
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
    let mut consumer = Process::example("consumer", &name);
    let producer = Process::example("producer", &name);
    let mut numbers = consumer.numbers();
    let some: Vec<u64> = numbers.by_ref().take(10).collect();
    // Nobody reads what the consumer prints meanwhile, and a pipe and a ring hold far less than all.
    producer.kill();
    let again = Process::example("producer", &name);
    let all = some.into_iter().chain(numbers);
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
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&*name);
    let source = program.with_extension("c");
    // The name that it shows would be another test run's as well.
    let shown = shown.replace("\"orders\"", "name[1]");
    let text = format!(
        "#include \"ringproof.h\"\n#include <sched.h>\n#include <stdio.h>\n\
         int main(int count, char **name) {{\n\
         struct ringproof_segment ring;\nstruct ringproof_producer producer;\n\
         struct ringproof_error error;\nuint64_t order = 7;\n(void)count;\n\
         {shown}\nringproof_producer_close(&producer);\nreturn 0;\n}}\n"
    );
    fs::write(&source, text).expect("write the source");
    let compiled = compiler::from_env("CC", "cc")
        .args([
            "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-I",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/ffi/include"))
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .status();
    assert!(compiled.expect("a C compiler").success());
    let mut consumer = Process::example("consumer", &name);
    Process::start(Command::new(&program).arg(&*name)).end();
    assert!(consumer.numbers().eq([7]));
    consumer.end();
    for file in [program, source] {
        fs::remove_file(file).expect("remove it");
    }
}
