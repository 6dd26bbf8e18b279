//! iceoryx2: publish and subscribe through shared memory, a service in either direction.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use std::{process, thread};

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{
    BackpressureStrategy, Config, FileName, LogLevel, Node, NodeBuilder, Path, PortFactory,
    SemanticString, ipc, set_log_level,
};
use ringproof_perf::cpus::stands;
use ringproof_perf::ipc::{Endpoint, Ends, Kept, Mechanism, Nature, Polls, Refused, Side, Terms};
use ringproof_record::deadline;

/// Words as they lie in a message.
type Words = [u64];

/// Publish and subscribe, polled.
pub(crate) const PUBLISH_SUBSCRIBE: Mechanism = Mechanism::new(
    "iceoryx2, publish and subscribe",
    Nature::MAPPED,
    prepare,
    |terms| join(&terms).map_err(|why| Refused(format!("iceoryx2 could not be joined: {why}"))),
);

fn prepare(_: usize) -> Result<Ends, Refused> {
    static NEXT: AtomicI32 = AtomicI32::new(0);
    // Relaxed: only that no two are the same matters.
    let numbers = vec![
        process::id().cast_signed(),
        NEXT.fetch_add(1, Ordering::Relaxed),
    ];
    let place = Place::of(&numbers);
    let folder = fs::create_dir(&place.folder);
    folder.map_err(Refused::of("no folder for its services can be made"))?;
    Ok(Ends {
        numbers,
        kept: Some(Box::new(Held(place))),
        ..Ends::default()
    })
}

/// Where the services of one use have their files, which are known by name only.
#[derive(Debug)]
struct Place {
    /// What the names of all shared memory begin with.
    prefix: String,
    /// Where the other files are.
    folder: PathBuf,
}

impl Place {
    fn of(numbers: &[i32]) -> Self {
        let numbers: Vec<_> = numbers.iter().map(i32::to_string).collect();
        let prefix = format!("ringproof_peers_{}_", numbers.join("_"));
        Place {
            folder: std::env::temp_dir().join(&prefix),
            prefix,
        }
    }

    fn config(&self) -> Result<Config, String> {
        let mut config = Config::default();
        config.global.prefix = FileName::new(self.prefix.as_bytes()).map_err(said)?;
        let folder = Path::new(self.folder.as_os_str().as_encoded_bytes()).map_err(said)?;
        config.global.set_root_path(&folder);
        Ok(config)
    }
}

/// A place that is emptied when this is dropped: processes that are killed leave their files.
#[derive(Debug)]
struct Held(Place);

impl Kept for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let Held(Place { prefix, folder }) = self;
        // What cannot be removed stays: nothing can be done about it here.
        let _ = fs::remove_dir_all(folder);
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(prefix.as_bytes()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// After so long the other process is taken to hang.
fn patience() -> Duration {
    deadline::seconds(60)
}

fn join(terms: &Terms) -> Result<Box<dyn Endpoint>, String> {
    // What goes wrong is an error that is handled; it need not be printed as well.
    set_log_level(LogLevel::Fatal);
    let config = Place::of(&terms.numbers).config()?;
    let node = NodeBuilder::new().config(&config).create::<ipc::Service>();
    let node = node.map_err(said)?;
    let (there, back) = match terms.side {
        Side::First => ("there", "back"),
        Side::Second => ("back", "there"),
    };
    // As many messages as our ring has: 256 KiB of them, and some of the largest.
    let capacity = (256 * 1024 / terms.size).max(16);
    let service = |name: &str| {
        node.service_builder(&name.try_into().map_err(said)?)
            .publish_subscribe::<Words>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(capacity)
            .history_size(0)
            .max_publishers(1)
            .max_subscribers(1)
            .open_or_create()
            .map_err(said)
    };
    let (out, into) = (service(there)?, service(back)?);
    let publisher = (out.publisher_builder())
        .initial_max_slice_len(terms.size / 8)
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()
        .map_err(said)?;
    let subscriber = into.subscriber_builder().create().map_err(said)?;
    // Whatever is published before the other side subscribes is lost.
    let deadline = Instant::now() + patience();
    while out.dynamic_config().number_of_subscribers() == 0
        || into.dynamic_config().number_of_publishers() == 0
    {
        if Instant::now() > deadline {
            return Err(format!(
                "waited {} s for the other side to publish and subscribe",
                patience().as_secs()
            ));
        }
        stands().map_err(|gone| gone.to_string())?;
        thread::yield_now();
    }
    let mut ports = Ports {
        publisher,
        subscriber,
        _node: node,
    };
    // A subscriber connects when it first receives, and until then a publisher whose buffer is full
    // drops messages, whatever its strategy: so each side sends one and receives one.
    let mut greeting = vec![0; terms.size / 8];
    ports.send(&greeting).map_err(said)?;
    ports.receive(&mut greeting).map_err(said)?;
    Ok(Box::new(ports))
}

fn said(error: impl fmt::Debug) -> String {
    format!("{error:?}")
}

struct Ports {
    publisher: Publisher<ipc::Service, Words, ()>,
    subscriber: Subscriber<ipc::Service, Words, ()>,
    _node: Node<ipc::Service>,
}

impl Endpoint for Ports {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let loan = self.publisher.loan_slice_uninit(messages.len());
        let sample = loan.map_err(io::Error::other)?.write_from_slice(messages);
        sample.send().map(drop).map_err(io::Error::other)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let mut polls = Polls::default();
        let sample = loop {
            match self.subscriber.receive().map_err(io::Error::other)? {
                Some(sample) => break sample,
                None => polls.wait()?,
            }
        };
        messages.copy_from_slice(sample.payload());
        Ok(())
    }
}
