//! The ring of the header-only C library beside the one in Rust, in the same rounds.
//!
//! c_header.c is compiled by the system's compiler and loaded into this process, so that both are
//! streamed through by the same two threads, in turn.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::process::Command;

use ringproof::{Ring, RingOptions, SegmentError};
use ringproof_record::Record;

use crate::cpus::Pair;
use crate::links::{SIZES, Size, Way, our_link};
use crate::report::{LAYER, Report, Trouble, build_note, conditions, conditions_row, per_mille};
use crate::rounds::Rounds;
use crate::run::{Extent, Settings, stream_all};
use crate::stats::{Effect, effect, ratios, summarize};
use crate::stream::{Fault, Link, Receiver, Sender};
use crate::table::{Cell, Table, spread};

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- c-header";

/// The ways that C has, too. (Its chunks are always in place.)
pub const WAYS: [Way; 3] = [Way::OneByOne, Way::Slices, Way::InPlace];

/// Compares in each of the [`WAYS`] at each of the sizes.
///
/// # Errors
/// [`Trouble`].
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let sizes: &[Size] = match settings.extent {
        Extent::Smoke => &SIZES[..1],
        Extent::Full | Extent::Quick => &SIZES,
    };
    let pair = settings.pair()?;
    let library = Library::make().map_err(Trouble::NotRun)?;
    let mut report =
        Report::new("c-header: the ring of ringproof.h beside the one in Rust, u64 items");
    report.notes.push(format!("{pair}"));
    report.notes.extend(build_note());
    report.notes.push(library.compiler.clone());
    let columns = [
        "how",
        "capacity",
        "C, million/s",
        "Rust, million/s",
        "ratio",
    ];
    let mut table = Table::new("", columns);
    for size in sizes {
        let rounds = compare(settings, pair, &library, *size)?;
        let experiment = format!("capacity {}", size.capacity);
        let said = conditions(&rounds);
        report.notes.push(format!("{experiment}: {said}"));
        let row = conditions_row(&format!("c-header, {experiment}"), &rounds, REPEAT);
        report.rows.push(row);
        for (way, series) in WAYS.iter().zip(rounds.series.chunks(2)) {
            add(&mut report, &mut table, *way, *size, series);
        }
    }
    report.tables.push(table);
    report.notes.push(
        "median [min–max]; ratios are taken round by round; every item is checked".to_owned(),
    );
    Ok(report)
}

/// Tells one comparison three times.
fn add(report: &mut Report, table: &mut Table, way: Way, size: Size, series: &[Vec<f64>]) {
    let [in_c, in_rust] = series else { return };
    let by_round = ratios(in_c, in_rust);
    let (Some(ratio), Some(c_rate), Some(rust_rate)) =
        (summarize(&by_round), summarize(in_c), summarize(in_rust))
    else {
        return;
    };
    let (name, capacity) = (way.name(), size.capacity);
    table.add([
        Cell::words(name),
        Cell::figure(capacity.to_string()),
        Cell::figure(spread(c_rate)),
        Cell::figure(spread(rust_rate)),
        Cell::figure(spread(ratio)),
    ]);
    let row = Record::passed(
        LAYER,
        "ring/C header",
        format!("{name} vs Rust, capacity {capacity}"),
    );
    report.rows.push(
        row.count(per_mille(ratio.median), "‰ of Rust's rate")
            .reason(format!(
                "median of {} rounds, {}–{} ‰; {:.0} against {:.0} million items/s",
                by_round.len(),
                per_mille(ratio.min),
                per_mille(ratio.max),
                c_rate.median,
                rust_rate.median,
            ))
            .repeat(REPEAT),
    );
    let said = match effect(&by_round) {
        Effect::Above => "faster than Rust",
        Effect::Below => "SLOWER than Rust",
        Effect::None => "as fast as Rust within the noise",
        Effect::TooFewRounds => return,
    };
    report.conclusions.push(format!(
        "{name}, capacity {capacity}: {said}, {:.2} of its rate.",
        ratio.median
    ));
}

fn compare(
    settings: &Settings,
    pair: Pair,
    library: &Library,
    size: Size,
) -> Result<Rounds, Trouble> {
    let mut options = RingOptions::new(size.capacity);
    if let Some(slots) = size.slots {
        options = options.slots(slots);
    }
    let first_item = settings.first_item();
    let name = format!("c-header, capacity {}", size.capacity);
    // The cases alternate: C and Rust, for each way.
    let cases = WAYS.len() * 2;
    stream_all(&name, cases, pair, settings, |order, with_links| {
        let mut rings: Vec<Option<Named>> = (0..cases).map(|_| None).collect();
        for &case in order {
            rings[case] = Some(Named::make(case, &options)?);
        }
        let mut links = Vec::new();
        for (case, ring) in rings.iter().enumerate() {
            let Some(ring) = ring else { continue };
            let way = WAYS[case / 2];
            links.push(if case.is_multiple_of(2) {
                library.link(way, ring, first_item)?
            } else {
                our_link(way, &ring.ring, first_item).map_err(no_ring)?
            });
        }
        with_links(&mut links)
    })
}

fn no_ring(error: SegmentError) -> Trouble {
    Trouble::NotRun(format!("no ring could be made: {error}"))
}

/// A ring that C can attach to, gone with this.
struct Named {
    name: String,
    ring: Ring<u64>,
}

impl Named {
    fn make(case: usize, options: &RingOptions) -> Result<Self, Trouble> {
        let name = format!("ringproof-perf-{}-{case}", std::process::id());
        let ring = Ring::create(&name, options).map_err(no_ring)?;
        Ok(Named { name, ring })
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // Nobody waits for what comes of it, and there is nothing else to do.
        let _ = self.ring.unlink();
    }
}

/// A `struct link` of c_header.c.
#[repr(C)]
struct Raw {
    _private: [u8; 0],
}

type Open = unsafe extern "C" fn(*const c_char, *mut c_char, usize) -> *mut Raw;
type Close = unsafe extern "C" fn(*mut Raw);
type Move = unsafe extern "C" fn(*mut Raw, u64, u64) -> c_int;

/// c_header.c, compiled and loaded. It stays loaded until the process ends.
struct Library {
    open: Open,
    close: Close,
    /// For each of [`WAYS`], what sends and what receives.
    ways: [[Move; 2]; 3],
    /// Which compiler made it.
    compiler: String,
}

const RTLD_NOW: c_int = 2;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

impl Library {
    /// Compiles and loads it, or says why that cannot be done here.
    fn make() -> Result<Library, String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/c_header.c");
        let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../impl/ffi/include");
        let made = std::env::temp_dir().join(format!("ringproof-perf-{}.so", std::process::id()));
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut command = Command::new(&compiler);
        // As rustc does, it shall vectorise the loops that make and check the items of a batch.
        command.args(["-std=c11", "-O3", "-fPIC", "-shared", "-I"]);
        command.arg(include).arg(source).arg("-o").arg(&made);
        let output = (command.output()).map_err(|error| format!("`{compiler}`: {error}"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let first = errors.lines().next().unwrap_or("no word");
            return Err(format!("`{compiler}` does not compile c_header.c: {first}"));
        }
        let path = CString::new(made.as_os_str().as_encoded_bytes())
            .map_err(|_| "the temporary directory has a zero in its name".to_owned())?;
        // SAFETY: the path is a string of C; the library has no initialisers, so nothing runs.
        let handle = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
        // Loaded or not, it needs no name any more.
        let _ = std::fs::remove_file(&made);
        if handle.is_null() {
            return Err("what was compiled of c_header.c cannot be loaded".to_owned());
        }
        let symbol = |name: &CStr| {
            // SAFETY: the handle is that of a library that stays loaded; the name is a string.
            let found = unsafe { dlsym(handle, name.as_ptr()) };
            if found.is_null() {
                return Err(format!("c_header.c has no {name:?}"));
            }
            Ok(found)
        };
        let moves = |name: &CStr| -> Result<Move, String> {
            let found = symbol(name)?;
            // SAFETY: the functions of these names in c_header.c are of this type.
            Ok(unsafe { std::mem::transmute::<*mut c_void, Move>(found) })
        };
        let (open, close) = (symbol(c"link_open")?, symbol(c"link_close")?);
        Ok(Library {
            // SAFETY: as above.
            open: unsafe { std::mem::transmute::<*mut c_void, Open>(open) },
            // SAFETY: as above.
            close: unsafe { std::mem::transmute::<*mut c_void, Close>(close) },
            ways: [
                [moves(c"send_one_by_one")?, moves(c"receive_one_by_one")?],
                [moves(c"send_slices")?, moves(c"receive_slices")?],
                [moves(c"send_in_place")?, moves(c"receive_in_place")?],
            ],
            compiler: format!("{compiler} -O3: {}", version_of(&compiler)),
        })
    }

    /// Both ends of the ring, as C has them.
    fn link<'l>(&'l self, way: Way, ring: &Named, first_item: u64) -> Result<Link<'l>, Trouble> {
        let number = WAYS.iter().position(|known| *known == way).unwrap_or(0);
        let [send, receive] = self.ways[number];
        let name = CString::new(&*ring.name).unwrap_or_default();
        let mut why = [0_u8; 512];
        // SAFETY: a string of C, and room for as many bytes as is said.
        let raw = unsafe { (self.open)(name.as_ptr(), why.as_mut_ptr().cast(), why.len()) };
        if raw.is_null() {
            let why = CStr::from_bytes_until_nul(&why).unwrap_or_default();
            return Err(Trouble::Failed(format!("C: {}", why.to_string_lossy())));
        }
        let both = std::sync::Arc::new(Both {
            raw,
            close: self.close,
        });
        Ok(Link {
            name: format!("ringproof.h, {}", way.name()),
            sender: Box::new(End {
                both: both.clone(),
                step: send,
            }),
            receiver: Box::new(End {
                both,
                step: receive,
            }),
            warm_up: ring.ring.fixed().slots,
            next: first_item,
        })
    }
}

fn version_of(compiler: &str) -> String {
    let output = Command::new(compiler).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines()
        .next()
        .unwrap_or("of no known version")
        .to_owned()
}

/// A link that was opened; closed with the last of its two ends.
struct Both {
    raw: *mut Raw,
    close: Close,
}

// SAFETY: what the pointer leads to is no thread's own; its two halves are used by one end each,
// which is borrowed exclusively for every call.
unsafe impl Send for Both {}
// SAFETY: as above; nothing can be done through a shared reference.
unsafe impl Sync for Both {}

impl Drop for Both {
    fn drop(&mut self) {
        // SAFETY: opened by `link_open`, and closed once: here.
        unsafe { (self.close)(self.raw) }
    }
}

/// One end of it.
struct End {
    both: std::sync::Arc<Both>,
    step: Move,
}

impl End {
    fn step(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        // SAFETY: the link is open, and `step` touches the half that is this end's alone.
        match unsafe { (self.step)(self.both.raw, first, count) } {
            0 => Ok(()),
            1 => Err(Fault::Stalled(first)),
            _ => Err(Fault::OutOfOrder(first)),
        }
    }
}

impl Sender for End {
    fn send(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        self.step(first, count)
    }
}

impl Receiver for End {
    fn receive(&mut self, first: u64, count: u64) -> Result<(), Fault> {
        self.step(first, count)
    }
}
