//! From an address in this program to the line of source that it was compiled from.

use std::path::Path;

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, Error, NativeEndian};
use object::{Object, ObjectSection};

/// The parts of the source that make accesses for others: the line that matters is the one that called
/// them.
const ACCESSES: [&str; 3] = ["memory.rs", "interposed.rs", "fault.rs"];

/// The file and line behind an instruction of this program, as far as its debug information has
/// them: behind the last of `executed`, or, where that is in a function that makes accesses for
/// others, behind the one that called it. It is read anew each time: only failures have a place.
pub(super) fn line(executed: &[u64]) -> String {
    let Some(last) = executed.last() else {
        return "no instruction".to_owned();
    };
    find(executed).unwrap_or_else(|| format!("no line known for {last:#x}"))
}

/// How many instructions to look back for who called.
const BACK: usize = 1000;

fn find(executed: &[u64]) -> Option<String> {
    let path = std::env::current_exe().ok()?;
    let program = std::fs::read(&path).ok()?;
    let program = object::File::parse(&*program).ok()?;
    let dwarf = Dwarf::load(|section| {
        let found = program.section_by_name(section.name());
        let bytes = found.and_then(|section| section.data().ok());
        Ok::<_, Error>(EndianSlice::new(bytes.unwrap_or_default(), NativeEndian))
    });
    let lines = Context::from_dwarf(dwarf.ok()?).ok()?;
    let base = base(path.to_str()?)?;
    let mut innermost = None;
    for address in executed.iter().rev().take(BACK) {
        let frames = lines.find_frames(address.checked_sub(base)?);
        let mut frames = frames.skip_all_loads().ok()?;
        // From the innermost inlined function outwards.
        while let Some(frame) = frames.next().ok()? {
            let Some(location) = frame.location else {
                continue;
            };
            let (Some(file), Some(line)) = (location.file, location.line) else {
                continue;
            };
            let name = Path::new(file).file_name()?.to_str()?;
            let place = format!("{name}:{line}");
            // (Where the standard library's source is installed its frames have a path there.)
            let of_library = file.starts_with("/rustc") || file.contains("/library/");
            if !of_library && !ACCESSES.contains(&name) {
                return Some(place);
            }
            innermost.get_or_insert(place);
        }
    }
    innermost
}

/// Where this program was loaded.
fn base(path: &str) -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let first = maps.lines().find(|line| line.ends_with(path))?;
    let (start, _) = first.split_once('-')?;
    u64::from_str_radix(start, 16).ok()
}
