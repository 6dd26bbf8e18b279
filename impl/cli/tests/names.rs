//! Names that others chose, of segments and of processes, on a terminal: no character of them does
//! anything, and no name looks like something else.

mod harness;

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use harness::programs::copy;
use harness::{Name, OnTerminal, Outcome, on, ringproof, run, start, until_seen};
use ringproof::{Ring, RingOptions, Role};

/// What a terminal obeys, and what may not be there twice.
const TRICKS: [&str; 8] = [
    "\x1b[8m",
    "\u{9b}2J",
    "\nlive     real  ring, its producer is process 1 (init)",
    "\r",
    "\x07\x08",
    "\u{202e}",
    "\u{2028}",
    "\x7f",
];

/// Whether nothing in it does anything but to be shown.
#[track_caller]
fn expect_printable(text: &str, lines: usize) {
    let harmful = |c: &char| {
        let is_format = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
        (c.is_control() && *c != '\n') || is_format
    };
    let found = text.chars().find(harmful);
    assert!(found.is_none(), "{found:?} in {text:?}");
    assert_eq!(text.lines().count(), lines, "{text}");
}

fn shown(args: &[&str]) -> Outcome {
    run(ringproof(args).stdout(Stdio::piped()))
}

/// What a shell makes of a word that was shown to it, which is there since POSIX had `$'…'`.
fn as_a_shell_reads_it(word: &str) -> Option<String> {
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("printf %s {word}")]);
    // A word of characters that are one to a shell, whatever the locale of who runs this.
    let read = bash.env("LC_ALL", "C").stdin(Stdio::null()).output();
    match read {
        Ok(read) => Some(String::from_utf8(read.stdout).unwrap()),
        Err(error) => {
            eprintln!("not run: there is no bash: {error}");
            None
        }
    }
}

#[test]
fn names_of_segments_are_shown_and_nothing_else() {
    for (number, trick) in TRICKS.into_iter().enumerate() {
        let name = Name::new(&format!("names-{number}-x{trick}"));
        drop(Ring::<u64>::create(&name, &RingOptions::new(5)).unwrap());
        let pattern = format!("ringproof-cli-names-{number}-x*");

        let dry = shown(&["gc", "--dry-run", &pattern]);
        dry.expect_silence();
        expect_printable(dry.said(), 2);
        assert!(
            dry.said().starts_with("free     $'ringproof-cli-names-"),
            "{}",
            dry.said()
        );
        let (_, rest) = dry.said().split_once("free     ").unwrap();
        let (word, _) = rest.split_once("  ring\n").unwrap();
        if let Some(read) = as_a_shell_reads_it(word) {
            assert_eq!(read, *name);
        }

        let text = shown(&["inspect", &name]);
        text.expect_silence();
        // A line of each property, and no more.
        expect_printable(text.said(), 12);

        for args in [
            &["inspect", "--json", &name][..],
            &["gc", "--dry-run", "--json", &name],
        ] {
            let json = shown(args);
            json.expect_silence();
            expect_printable(json.said(), json.said().lines().count());
            let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
            let found = value.get("name").unwrap_or(&value["segments"][0]["name"]);
            assert_eq!(found, &*name);
        }

        // Errors, of the library, of this program and of its parser.
        let ring = Ring::<u64>::attach(&name).unwrap();
        let claim = ring.segment().claim(Role::Producer).unwrap();
        let held = shown(&["gc", &name]);
        held.expect(5, "the producer of segment");
        expect_printable(&held.stderr, 1);
        drop(claim);
        for args in [["send", &name], ["recv", &name]] {
            let other = shown(&args);
            other.expect(4, "holds another payload");
            expect_printable(&other.stderr, 1);
        }
        for (args, words) in [
            (&["inspect", "one", &*name][..], "unexpected argument"),
            (&["send", "one", "--capacity", &name], "invalid value"),
        ] {
            let usage = shown(args);
            usage.expect(2, words);
            expect_printable(&usage.stderr, usage.stderr.lines().count());
            assert!(!usage.stderr.contains("\nlive "), "{}", usage.stderr);
        }

        ring.consumer().unwrap().close();
        std::fs::remove_file(name.path()).unwrap();
        let ring = Ring::<u8>::create(&name, &RingOptions::new(5)).unwrap();
        ring.consumer().unwrap().close();
        let stopped = shown(&["recv", &name]);
        stopped.expect(9, "`ringproof gc $'ringproof-cli-names-");
        expect_printable(&stopped.stderr, 1);
        let removed = shown(&["gc", &name]);
        removed.expect_silence();
        expect_printable(removed.said(), 2);
        let nothing = shown(&["inspect", &name]);
        nothing.expect(3, "does not exist");
        expect_printable(&nothing.stderr, 1);
    }
}

#[test]
fn a_name_of_printable_characters_is_not_taken_for_something_else() {
    for (number, forged) in [
        "real  ring, its producer is process 1 (init)",
        "real ring",
        "$(reboot)",
        "it's",
        "`reboot`",
    ]
    .into_iter()
    .enumerate()
    {
        let name = Name::new(&format!("forged-{number}-{forged}"));
        drop(Ring::<u64>::create(&name, &RingOptions::new(5)).unwrap());
        let dry = shown(&[
            "gc",
            "--dry-run",
            &format!("ringproof-cli-forged-{number}-*"),
        ]);
        dry.expect_silence();
        let (_, rest) = dry.said().split_once("free     ").unwrap();
        let (word, _) = rest.split_once("  ring\n").unwrap();
        assert!(word.starts_with('\'') || word.starts_with("$'"), "{word}");
        if let Some(read) = as_a_shell_reads_it(word) {
            assert_eq!(read, *name);
        }
    }
}

#[test]
fn names_of_processes_are_shown_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // The kernel keeps 15 bytes.
    for (called, expected) in [
        ("plain-1", "(plain-1)"),
        ("\x1b[8mhidden", "($'\\033[8mhidden')"),
        ("a\nb  ring", "($'a\\nb  ring')"),
        ("x), process 1 (", "('x), process 1 (')"),
        ("a\u{202e}b", "($'a\\342\\200\\256b')"),
        // Fifteen bytes end within a character.
        ("fourteen-bytesé", "('fourteen-bytes\u{fffd}')"),
    ] {
        let name = Name::new("processes");
        // A process is called as its file is.
        let program = dir.path().join(called);
        copy(env!("CARGO_BIN_EXE_ringproof").as_ref(), &program).unwrap();
        let mut command = harness::program(&program, ["send", &name]);
        let sender = start(command.stdin(Stdio::piped()));
        until_seen(&name, "send to take its role", |seen| {
            seen.roles[0].held && seen.roles[0].epoch > 0
        });
        let live = shown(&["gc", "--dry-run", &format!("{}*", &*name)]);
        live.expect_silence();
        expect_printable(live.said(), 2);
        let expected = format!("process {} {expected}\n", sender.id());
        live.prints(&expected);
        let json = shown(&["gc", "--dry-run", "--json", &format!("{}*", &*name)]);
        json.expect_silence();
        expect_printable(json.said(), json.said().lines().count());
        let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let program = value["segments"][0]["holders"][0]["program"]
            .as_str()
            .unwrap();
        let kept = &called.as_bytes()[..called.len().min(15)];
        assert_eq!(program, String::from_utf8_lossy(kept));
        drop(sender);
        let _ = std::fs::remove_file(name.path());
    }
}

#[test]
fn a_progress_bar_shows_a_name_and_nothing_else() {
    let name = Name::new("bar-x\nlive\u{9b}8m");
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    std::fs::write(&input, vec![7; 5000]).unwrap();
    let mut command = on("send", &name, &["--capacity", "1000"]);
    let mut sender = OnTerminal::start(command.stdin(harness::reading(&input)));
    let shown = sender.until_shown("waiting for recv");
    assert!(
        shown.contains("send $'ringproof-cli-bar-x\\nlive\\302\\2338m-"),
        "{shown:?}"
    );
    assert!(
        !shown.contains('\u{9b}') && !shown.contains("x\r\nlive"),
        "{shown:?}"
    );
}

#[test]
fn arguments_that_are_no_text_are_refused_and_shown_as_nothing_else() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let no_text = OsStr::from_bytes(b"\xff\x1b[8m");
    for command in ["send", "recv", "inspect", "gc"] {
        // As a name it is one that no segment has.
        let outcome = run(ringproof([OsStr::new(command), no_text]).stdout(Stdio::piped()));
        outcome.expect(3, "it is not UTF-8");
        expect_printable(&outcome.stderr, 1);
    }
    for (command, option) in [
        ("send", "--capacity"),
        ("recv", "--mode"),
        ("inspect", "--peek"),
    ] {
        let args = [command, "a", option].map(OsStr::new);
        let outcome = run(ringproof([&args[..], &[no_text]].concat()).stdout(Stdio::piped()));
        outcome.expect(2, "invalid UTF-8");
        expect_printable(&outcome.stderr, outcome.stderr.lines().count());
    }
    // A program may be called anything, too.
    let mut command = ringproof(["send"]);
    let outcome = run(command.arg0("x\x1b[8m\u{9b}"));
    outcome.expect(2, "Usage: ");
    expect_printable(&outcome.stderr, outcome.stderr.lines().count());
}
