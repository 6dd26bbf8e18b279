//! The bytes that are sent, and whether they arrived.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::item::mix;

/// Writes `len` bytes that follow from `seed`. No block of them is like another one.
pub(crate) fn generate(path: &Path, len: u64, seed: u64) -> Result<()> {
    let file = File::create(path).context("cannot create the input")?;
    let mut file = BufWriter::new(file);
    for counter in 0..len.div_ceil(8) {
        let word = mix(mix(seed) ^ counter).to_le_bytes();
        let count = (len - 8 * counter).min(8) as usize;
        (file.write_all(&word[..count])).context("cannot write the input")?;
    }
    file.flush().context("cannot write the input")
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq)]
struct Digested {
    len: u64,
    sha256: Vec<u8>,
}

fn digest(path: &Path) -> Result<Digested> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hash = Sha256::new();
    let (mut buffer, mut len) = (vec![0; 1 << 18], 0);
    loop {
        let count = (file.read(&mut buffer)).with_context(|| format!("cannot read {path:?}"))?;
        if count == 0 {
            let sha256 = hash.finalize().to_vec();
            return Ok(Digested { len, sha256 });
        }
        hash.update(&buffer[..count]);
        len += count as u64;
    }
}

/// How an output differs from its input, `None` if it does not: by length and SHA-256.
pub(crate) fn difference(input: &Path, output: &Path) -> Result<Option<String>> {
    let (sent, received) = (digest(input)?, digest(output)?);
    if sent == received {
        return Ok(None);
    }
    let hex = |digested: &Digested| -> String {
        (digested.sha256.iter())
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    Ok(Some(format!(
        "sent {} bytes with SHA-256 {}, received {} bytes with {}; they differ from byte {}",
        sent.len,
        hex(&sent),
        received.len,
        hex(&received),
        first_difference(input, output)?
    )))
}

/// The offset of the first byte that differs, or the length of the shorter file.
fn first_difference(one: &Path, other: &Path) -> Result<u64> {
    let open = |path| -> Result<_> {
        let file = File::open(path).context("cannot open a file to compare")?;
        Ok(BufReader::with_capacity(1 << 18, file).bytes())
    };
    let mut offset = 0;
    for (one, other) in open(one)?.zip(open(other)?) {
        if one.context("cannot read the input")? != other.context("cannot read the output")? {
            break;
        }
        offset += 1;
    }
    Ok(offset)
}

/// Something that happens to bytes.
pub(crate) type Damage = fn(&mut Vec<u8>);

/// What a wrong transfer would make of the bytes.
pub(crate) const DAMAGES: [(Fault, Damage); 5] = [
    (Fault::FlippedByte, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }),
    (Fault::LostBlock, |bytes| {
        let middle = bytes.len() / 2;
        bytes.drain(middle..middle + 512);
    }),
    (Fault::RepeatedBlock, |bytes| {
        let middle = bytes.len() / 2;
        let block = bytes[middle..middle + 512].to_vec();
        bytes.splice(middle..middle, block);
    }),
    (Fault::ExchangedBlocks, |bytes| {
        let (one, other) = bytes.split_at_mut(512);
        one.swap_with_slice(&mut other[..512]);
    }),
    (Fault::MissingEnd, |bytes| {
        bytes.pop();
    }),
];

/// Compares a copy with this damage to the original, in files of its own: an error says how they
/// differ.
pub(crate) fn compare(fault: Fault, seed: u64, directory: &Path) -> Result<u64> {
    let (input, output) = (directory.join("original"), directory.join("copy"));
    generate(&input, 64 * 1024 + 5, seed)?;
    let mut bytes = std::fs::read(&input).context("cannot read the input")?;
    for (damage, make) in DAMAGES {
        if damage == fault {
            make(&mut bytes);
        }
    }
    std::fs::write(&output, &bytes).context("cannot write the output")?;
    match difference(&input, &output)? {
        Some(difference) => bail!("{difference}"),
        None => Ok(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damage_is_noticed_and_no_damage_is_no_difference() {
        let directory = tempfile::tempdir().unwrap();
        for (fault, _) in DAMAGES {
            compare(fault, 3, directory.path()).unwrap_err();
        }
        compare(Fault::Loss, 3, directory.path()).unwrap();
    }

    #[test]
    fn a_difference_says_where() {
        let directory = tempfile::tempdir().unwrap();
        let (input, output) = (directory.path().join("in"), directory.path().join("out"));
        std::fs::write(&input, b"abcdef").unwrap();
        std::fs::write(&output, b"abcxef").unwrap();
        let reported = difference(&input, &output).unwrap().unwrap();
        assert!(reported.ends_with("from byte 3"), "{reported}");
        std::fs::write(&output, b"abc").unwrap();
        let reported = difference(&input, &output).unwrap().unwrap();
        assert!(
            reported.contains("received 3") && reported.ends_with("from byte 3"),
            "{reported}"
        );
    }

    #[test]
    fn the_bytes_follow_from_the_seed() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = |seed| {
            let path = directory.path().join("in");
            generate(&path, 13, seed).unwrap();
            std::fs::read(path).unwrap()
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
        assert_eq!(bytes(1).len(), 13);
    }
}
