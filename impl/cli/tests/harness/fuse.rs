//! A file system of one file that takes every write and complains late, as those on a network do: what
//! it was given it then throws away. It speaks the kernel's protocol itself (linux/fuse.h).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::appending;

/// When it complains, and of what.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broken {
    /// When somebody closes the file.
    Close(Errno),
    /// When somebody asks whether all has arrived.
    Sync(Errno),
}

#[derive(Default)]
struct State {
    content: Vec<u8>,
    broken: Option<Broken>,
    /// Who wrote last, and hears the complaints. (Children that others fork at this moment close
    /// the file, too, when they become what they are.)
    writer: Option<u32>,
}

/// The file system, until its files are closed.
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
}

const ROOT: u64 = 1;
const FILE: u64 = 2;

impl Server {
    /// Starts it, with its file opened twice. `None`, and said why, where there is no such thing.
    pub(crate) fn start(broken: Broken) -> Option<(Server, [File; 2])> {
        match Self::try_start(broken) {
            Ok(server) => Some(server),
            Err(error) => {
                eprintln!("not run: no file system can be made of a process here: {error}");
                None
            }
        }
    }

    fn try_start(broken: Broken) -> io::Result<(Server, [File; 2])> {
        let kernel = File::options().read(true).write(true).open("/dev/fuse")?;
        let state = Arc::new(Mutex::new(State {
            broken: Some(broken),
            ..State::default()
        }));
        let served = Arc::clone(&state);
        // A thread with mounts of its own: no other sees this one, and it goes with the thread and
        // the files.
        let mounting = std::thread::spawn(move || {
            let none = None::<&str>;
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            let options = format!(
                "fd={},rootmode=40000,user_id=0,group_id=0",
                kernel.as_raw_fd()
            );
            let directory = tempfile::tempdir()?;
            let place = directory.path();
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount(Some("late"), place, Some("fuse"), flags, Some(&*options))?;
            std::thread::spawn(move || serve(kernel, &served));
            let files = [(); 2].map(|()| appending(&place.join("out")));
            umount2(place, MntFlags::MNT_DETACH)?;
            Ok(files)
        });
        let files: io::Result<_> = mounting.join().expect("no panic");
        Ok((Server { state }, files?))
    }

    /// Is as good as any other from now on.
    pub(crate) fn repair(&self) {
        self.state.lock().expect("no panic").broken = None;
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.state.lock().expect("no panic").content.clone()
    }
}

/// Answers until the last file is closed.
fn serve(mut kernel: File, state: &Mutex<State>) {
    let mut request = vec![0; 1 << 18];
    // Of a file system that is gone it says ENODEV.
    while let Ok(len) = kernel.read(&mut request) {
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().expect("8 bytes"));
        let (operation, unique, node, process) = (word(4), long(8), long(16), word(32));
        let body = &request[40..len];
        let mut state = state.lock().expect("no panic");
        let Some(answer) = answer(operation, node, process, body, &mut state) else {
            continue;
        };
        drop(state);
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (-(error as i32), Vec::new()),
        };
        let mut reply = Vec::new();
        reply.extend((16 + body.len() as u32).to_ne_bytes());
        reply.extend(error.to_ne_bytes());
        reply.extend(unique.to_ne_bytes());
        reply.extend(body);
        // What was interrupted needs no answer.
        let _ = kernel.write(&reply);
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn longs(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_ne_bytes()).collect()
}

/// The properties of a node.
fn attributes(node: u64, state: &State) -> Vec<u8> {
    let (mode, size) = if node == ROOT {
        (0o040_755, 0)
    } else {
        (0o100_644, state.content.len() as u64)
    };
    let mut bytes = longs(&[node, size, size.div_ceil(512), 0, 0, 0]);
    bytes.extend(words(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]));
    bytes
}

/// The answer, if the kernel waits for one.
fn answer(
    operation: u32,
    node: u64,
    process: u32,
    body: &[u8],
    state: &mut State,
) -> Option<Result<Vec<u8>, Errno>> {
    let long = |at: usize| u64::from_ne_bytes(body[at..at + 8].try_into().expect("8 bytes"));
    let word = |at: usize| u32::from_ne_bytes(body[at..at + 4].try_into().expect("4 bytes"));
    Some(match operation {
        // FORGET, INTERRUPT, BATCH_FORGET
        2 | 36 | 42 => return None,
        // LOOKUP
        1 if body == b"out\0" => {
            let mut bytes = longs(&[FILE, 0, 0, 0, 0]);
            bytes.extend(attributes(FILE, state));
            Ok(bytes)
        }
        1 => Err(Errno::ENOENT),
        // GETATTR, SETATTR
        3 | 4 => {
            if operation == 4 && word(0) & 8 != 0 {
                state.content.resize(long(16) as usize, 0);
            }
            let mut bytes = longs(&[0, 0]);
            bytes.extend(attributes(node, state));
            Ok(bytes)
        }
        // OPEN
        14 => Ok(longs(&[0, 0])),
        // WRITE
        16 => {
            let (offset, size) = (long(8) as usize, word(16) as usize);
            let end = offset + size;
            state.writer = Some(process);
            if state.content.len() < end {
                state.content.resize(end, 0);
            }
            state.content[offset..end].copy_from_slice(&body[40..40 + size]);
            Ok(words(&[size as u32, 0]))
        }
        // FSYNC, FLUSH
        20 | 25 => match (operation, state.broken) {
            (20, Some(Broken::Sync(error))) | (25, Some(Broken::Close(error)))
                if state.writer == Some(process) =>
            {
                state.content.clear();
                Err(error)
            }
            _ => Ok(Vec::new()),
        },
        // INIT: version 7.31, 128 KiB at once
        26 => {
            let mut bytes = words(&[7, 31, 0, 0, 0, 1 << 17, 1, 0]);
            bytes.resize(64, 0);
            Ok(bytes)
        }
        // RELEASE, DESTROY
        18 | 38 => Ok(Vec::new()),
        _ => Err(Errno::ENOSYS),
    })
}
