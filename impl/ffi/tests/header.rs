//! The header in `include` is what the sources say.

use std::env;
use std::fs;
use std::path::Path;

/// Set, the header is written instead of compared.
const WRITE: &str = "RINGPROOF_WRITE_HEADER";

const COMMAND: &str = "RINGPROOF_WRITE_HEADER=1 cargo test -p ringproof-ffi --test header";

/// The modules of `src`, in the order of the header.
const SOURCES: [&str; 7] = [
    "failure.rs",
    "payload.rs",
    "segment.rs",
    "ring.rs",
    "value.rs",
    "wait.rs",
    "inspection.rs",
];

/// The header that these sources are.
fn generated(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = SOURCES.iter().fold(builder, |builder, source| {
        builder.with_src(root.join("src").join(source))
    });
    let mut header = Vec::new();
    builder
        .generate()
        .expect("sources that cbindgen understands")
        .write(&mut header);
    String::from_utf8(header).expect("a text")
}

/// What is wrong with a header.
fn stale(header: &str, generated: &str) -> Option<String> {
    if header == generated {
        return None;
    }
    let lines = header.lines().zip(generated.lines());
    let number = 1 + lines.take_while(|(here, there)| here == there).count();
    Some(format!(
        "include/ringproof_lib.h is not what the sources say, from line {number} on; \
         `{COMMAND}` writes it anew"
    ))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_header_is_what_the_sources_say() {
    let path = root().join("include/ringproof_lib.h");
    let generated = generated(root());
    if env::var_os(WRITE).is_some() {
        fs::write(&path, &generated).expect("write the header");
        return;
    }
    let header = fs::read_to_string(&path).expect("the header");
    if let Some(problem) = stale(&header, &generated) {
        panic!("{problem}");
    }
}

/// Every change of a source that C sees makes the header stale.
#[test]
fn a_change_of_the_sources_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let header = fs::read_to_string(root().join("include/ringproof_lib.h")).expect("the header");
    for (source, right, wrong) in [
        (
            "failure.rs",
            "RINGPROOF_LIB_EMPTY = 2",
            "RINGPROOF_LIB_VOID = 2",
        ),
        (
            "failure.rs",
            "RINGPROOF_LIB_PANIC = 24",
            "RINGPROOF_LIB_PANIC = 25",
        ),
        ("wait.rs", "timeout: u64", "timeout: i64"),
        ("wait.rs", "WAIT_SPIN = 3", "WAIT_SPIN = 4"),
        (
            "payload.rs",
            "RINGPROOF_LIB_F64 = 12",
            "RINGPROOF_LIB_F64 = 13",
        ),
        (
            "failure.rs",
            "RINGPROOF_LIB_MESSAGE_SIZE: usize = 2048",
            "RINGPROOF_LIB_MESSAGE_SIZE: usize = 1024",
        ),
        ("segment.rs", "pub mode: u32", "pub mode: u16"),
        (
            "ring.rs",
            "extern \"C\" fn ringproof_lib_pop(",
            "extern \"C\" fn ringproof_lib_take(",
        ),
        ("value.rs", "attempts: u32", "attempts: u64"),
        ("inspection.rs", "pub read_index: u64,", ""),
        ("payload.rs", "pub offset: usize", "pub offset: u64"),
    ] {
        fs::create_dir_all(folder.join("src")).expect("a folder");
        for name in SOURCES {
            let text = fs::read_to_string(root().join("src").join(name)).expect(name);
            let text = if name == source {
                assert!(text.contains(right), "{right}: no longer in {source}");
                text.replace(right, wrong)
            } else {
                text
            };
            fs::write(folder.join("src").join(name), text).expect(name);
        }
        let config = root().join("cbindgen.toml");
        fs::copy(config, folder.join("cbindgen.toml")).expect("cbindgen.toml");
        let problem = stale(&header, &generated(folder));
        let problem = problem.unwrap_or_else(|| panic!("{right} -> {wrong}: not noticed"));
        assert!(problem.contains(COMMAND), "{problem}");
    }
}

/// The enumerators of a header that stand there without their number, which other languages need.
fn unnumbered(header: &str) -> Vec<&str> {
    let enums = header.split("\nenum ").filter_map(|rest| {
        let (name, rest) = rest.split_once(" {\n")?;
        // Not a function that returns one.
        (!name.contains(' ')).then(|| rest.split("\n};").next().unwrap_or(""))
    });
    let lines = enums.flat_map(str::lines);
    let names = lines
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    names.filter(|line| !line.contains(" = ")).collect()
}

#[test]
fn every_enumerator_has_its_number() {
    let header = fs::read_to_string(root().join("include/ringproof_lib.h")).expect("the header");
    assert_eq!(unnumbered(&header), Vec::<&str>::new());
    // And this can fail.
    for (right, wrong) in [
        ("RINGPROOF_LIB_FULL = 1,", "RINGPROOF_LIB_FULL,"),
        ("RINGPROOF_LIB_F64 = 12,", "RINGPROOF_LIB_F64,"),
    ] {
        assert!(header.contains(right), "{right}");
        assert_eq!(unnumbered(&header.replace(right, wrong)), [wrong]);
    }
}

/// No panic crosses into C: every function runs its body where one is caught, or does nothing
/// that could.
#[test]
fn every_function_catches_panics() {
    let mut functions = 0;
    for source in SOURCES {
        let text = fs::read_to_string(root().join("src").join(source)).expect(source);
        assert_eq!(uncaught(&text), Vec::<&str>::new(), "{source}");
        functions += text.matches("extern \"C\" fn ").count();
    }
    assert!(
        functions > 30,
        "{functions} functions: is this still how they are written?"
    );
    // What two macros say for most of them.
    for (source, body) in [
        ("failure.rs", "crate::failure::call($error, || $body)"),
        ("segment.rs", "crate::failure::promised!($error, {"),
    ] {
        let text = fs::read_to_string(root().join("src").join(source)).expect(source);
        assert_eq!(text.matches(body).count(), 1, "{body}");
    }
    // And this can fail.
    let open = "pub unsafe extern \"C\" fn ringproof_lib_bad(at: *const u8) -> u8 {\n    unsafe { at.read() }\n}\n";
    assert_eq!(uncaught(open), ["ringproof_lib_bad"]);
}

/// The functions of a source whose body is neither run by `call` nor one of those that only look
/// at a handle.
fn uncaught(source: &str) -> Vec<&str> {
    let functions = source.split("extern \"C\" fn ").skip(1);
    let uncaught = functions.filter(|function| {
        let body = function.split("\n}\n").next().unwrap_or("");
        let body: String = body.split_whitespace().collect();
        let calls = [
            "promised!(error,{",
            "handed_over!(error,",
            "unsafe{call(error,||",
            "unsafe{give_back(",
            ".as_ref()};",
            "WORDS.get(",
        ];
        !calls.iter().any(|begin| body.contains(begin))
    });
    uncaught
        .map(|function| function.split('(').next().unwrap_or(""))
        .collect()
}
