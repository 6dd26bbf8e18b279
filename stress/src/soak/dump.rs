//! A segment as it was found, on paper.

use std::fmt::Write;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ringproof::layout::NOTES;
use ringproof::{Inspection, Role, Segment};

/// Bytes to a line.
const LINE: usize = 32;

/// Writes what the segment says of itself, the notes in it, and all its bytes.
pub(crate) fn write(
    directory: &Path,
    name: &str,
    segment: &Segment,
    heading: &str,
) -> Result<PathBuf> {
    let mut text = format!("{heading}\n\n{:#?}\n\n", Inspection::of_segment(segment)?);
    for (role, whose) in [(Role::Producer, "producer"), (Role::Consumer, "consumer")] {
        let notes: Vec<_> = (0..NOTES)
            .map_while(|index| segment.note(role, index))
            .collect();
        let _ = writeln!(text, "notes of the {whose}: {notes:?}");
    }
    text.push('\n');
    text += &hex(&bytes(segment)?);
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn bytes(segment: &Segment) -> Result<Vec<u8>> {
    let file = File::from(segment.descriptor()?);
    let mut bytes = vec![0; segment.fixed().segment_len as usize];
    file.read_exact_at(&mut bytes, 0)
        .context("cannot read the segment")?;
    Ok(bytes)
}

/// Offset and bytes, line by line; lines like the one before are one star.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut last = None;
    let mut starred = false;
    for (number, line) in bytes.chunks(LINE).enumerate() {
        if last == Some(line) {
            if !starred {
                text.push_str("*\n");
            }
            starred = true;
            continue;
        }
        (last, starred) = (Some(line), false);
        let _ = write!(text, "{:08x}", number * LINE);
        for word in line.chunks(8) {
            text.push(' ');
            for byte in word {
                let _ = write!(text, "{byte:02x}");
            }
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{:08x}", bytes.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_are_one_star() {
        let mut bytes = [0; 5 * LINE];
        bytes[4 * LINE + 9] = 0xab;
        let zeros = " 0000000000000000".repeat(4);
        assert_eq!(
            hex(&bytes),
            format!(
                "00000000{zeros}\n*\n\
                 00000080 0000000000000000 00ab000000000000 0000000000000000 0000000000000000\n\
                 000000a0\n"
            )
        );
    }
}
