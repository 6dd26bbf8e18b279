//! From an address in this program to the line of source that it was compiled from.

use std::cell::OnceCell;
use std::path::Path;

use addr2line::Loader;

/// The parts of the source that make accesses as they are told to: the line that matters is the
/// one that told them.
const ACCESSES: [&str; 2] = ["memory.rs", "fault.rs"];

/// The debug information of this program, read when it is first asked for.
#[derive(Default)]
pub(super) struct Source {
    program: OnceCell<Option<Program>>,
}

struct Program {
    loader: Loader,
    /// Where it was loaded.
    base: u64,
}

impl Source {
    /// The file and line behind an instruction, as far as they are known.
    pub(super) fn line(&self, address: u64) -> String {
        let program = self.program.get_or_init(Program::open);
        (program.as_ref())
            .and_then(|program| program.line(address))
            .unwrap_or_else(|| format!("no line known for {address:#x}"))
    }
}

impl Program {
    fn open() -> Option<Program> {
        let path = std::env::current_exe().ok()?;
        let name = path.to_str()?;
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let first = maps.lines().find(|line| line.ends_with(name))?;
        let (start, _) = first.split_once('-')?;
        Some(Program {
            base: u64::from_str_radix(start, 16).ok()?,
            loader: Loader::new(&path).ok()?,
        })
    }

    fn line(&self, address: u64) -> Option<String> {
        let address = address.checked_sub(self.base)?;
        let mut frames = self.loader.find_frames(address).ok()?;
        let mut innermost = None;
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
            if !Path::new(file).starts_with("/rustc") && !ACCESSES.contains(&name) {
                return Some(place);
            }
            innermost.get_or_insert(place);
        }
        innermost
    }
}
