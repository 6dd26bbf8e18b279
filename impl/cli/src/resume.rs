//! May this process go on with the stream that it found, and from where? Pure decisions.
//!
//! # Why nothing is lost or repeated
//!
//! A stream's byte `p` is byte `p` of the ring: positions are offsets. Write `B` for the base in
//! a side's notes (the offset of byte 0 in the file), `C` for what was committed and `R` for
//! what was released.
//!
//! **`send`** from a regular file reads byte `p` at `B + p`. What it committed is exactly
//! `[0, C)`, wherever it was killed, so its successor reads on at `B + C`.
//!
//! | killed | its successor finds | and |
//! | --- | --- | --- |
//! | before or within its notes | C = 0, no notes | starts |
//! | before its first commit | C = 0, notes | starts, with notes of its own: the old ones were not used |
//! | later | C > 0, notes (the commit's release store comes after them) | reads on at `B + C` |
//! | after it closed the ring | the end at C | has nothing to do if the input ends at `B + C` |
//!
//! Its input is a regular file that may grow, and must not shrink: if it is at its end before an end
//! that it was seen to have earlier, somebody cut it. The stream is not closed then, so that what
//! there is is not taken for all of it.
//!
//! **`recv`** into a regular file has byte `p` at `B + p`, because it only ever appends what it
//! peeks, in order. It releases a byte after `write` took it, so at any moment
//! `B + R ≤ length ≤ B + C`; what the file has beyond `B + R` was written and not released.
//! Its successor releases that much without writing it, and goes on. Once the ring is closed no room
//! is needed in it, so from then on `recv` holds what it has written until the file system has said
//! that all of it arrived, which some say only at the end.
//!
//! | killed | its successor finds | and |
//! | --- | --- | --- |
//! | before or within its notes | R = 0, no notes; nothing was written | starts |
//! | before its first write | notes, length = B | skips 0 |
//! | within or after a write | `B + R ≤ length ≤ B + C` | skips `length − B − R` |
//! | after it released what it wrote | length = B + R | skips 0 |
//! | after the end, before it removed the segment | the end at R, length = B + R | removes it |
//!
//! A length outside these bounds, or another file, means that somebody else had a hand in it:
//! refused. In particular `>` empties the file before this program starts. That is caught
//! whenever `B + R > 0`; with `B + R = 0` it did no harm, because all of the stream is still in
//! the ring. For the same reason any empty file will do while R = 0, wherever the stream went before.
//! At the end the file must have the length that it should, and a name, if it had one. And before each
//! write it must reach to where that begins: cut, it would get a hole there, and the right length.
//!
//! With anything but a regular file one of these numbers is unknown. What a killed `send` had
//! read from a pipe and not committed is gone, and it is not known how much it was; what a
//! killed `recv` had written to a pipe and not released is written again. The one is refused
//! unless the caller takes it upon himself, the other is said.
//!
//! A stream that was closed and drained is over. Nothing of it is ever resumed: `recv` removes
//! its segment, and a `send` that finds it makes a new one.

use crate::notes::{FileId, Notes};

/// A regular file as this process was given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileFacts {
    pub(crate) id: FileId,
    pub(crate) len: u64,
    /// How many names it has.
    pub(crate) links: u64,
    /// Where its description stands.
    pub(crate) offset: u64,
    /// Whether writes go to its end, wherever the description stands.
    pub(crate) append: bool,
}

impl FileFacts {
    /// Whether the next write extends the file.
    fn at_end(&self) -> bool {
        self.append || self.offset == self.len
    }
}

/// The stream as `send` finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) notes: Option<Notes>,
    /// The file that it is received into, if that is known.
    pub(crate) output: Option<FileId>,
    pub(crate) committed: u64,
    pub(crate) released: u64,
    pub(crate) closed: bool,
}

/// What `send` has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendPlan {
    /// Write notes, and send the input from where it stands.
    Start,
    /// Send the input from this offset.
    Seek(u64),
    /// Send the input from where it stands, in continuation of what was sent.
    Append,
    /// Nothing: all of the input was sent.
    Complete,
    /// Remove the segment and open it anew: its stream is over.
    Replace,
}

/// The stream as `recv` finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) notes: Option<Notes>,
    /// The file that it is sent from, if that is known.
    pub(crate) input: Option<FileId>,
    pub(crate) committed: u64,
    pub(crate) released: u64,
}

/// What `recv` has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecvPlan {
    /// Write notes before the first byte.
    Start,
    /// Release this many bytes, which the output has, and go on.
    Skip(u64),
    /// Go on from what was released; the output may be given some bytes again.
    Repeat,
}

/// There are no notes where there must be some: it is not known whose stream this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoNotes;

/// Why a side may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "a finished stream of {end} bytes waits in it, {left} of them not taken yet, and this \
         input is not the file that it came from: run `ringproof recv` first"
    )]
    Finished { end: u64, left: u64 },
    #[error(
        "its first {committed} bytes came from an input that is no regular file: what the last \
         send had read and not committed is gone, and it cannot be known how much that was; if this \
         input goes on exactly after byte {committed}, or you accept the gap, say --continue"
    )]
    InputUnknown { committed: u64 },
    #[error(
        "its first {committed} bytes came from a regular file (device {}, inode {}), and this \
         input is none: restart send with < that file", file.device, file.inode
    )]
    InputNoFile { committed: u64, file: FileId },
    #[error(
        "it is sent from another file: device {}, inode {}, but this input is device {}, inode \
         {}; restart send with < the same file",
        file.device, file.inode, found.device, found.inode
    )]
    InputOther { file: FileId, found: FileId },
    #[error(
        "the input is only {len} bytes long, but it was sent up to byte {needed}: somebody cut \
         or replaced it"
    )]
    InputShort { len: u64, needed: u64 },
    #[error(
        "the input is only {len} bytes long, but it had {promised} before: somebody cut or \
         replaced it while it was sent. The stream is not closed: restart send with < the same file \
         when that has its bytes again, or give the stream up with `ringproof gc`"
    )]
    InputCut { len: u64, promised: u64 },
    #[error("the input is the ring itself")]
    InputIsRing,
    #[error(
        "the input is the file that the stream is received into: it would grow without end; receive \
         into another file"
    )]
    InputIsOutput,
    #[error(
        "the output is the file that the stream is sent from: it would grow without end; receive into \
         another file"
    )]
    OutputIsInput,
    #[error(
        "the output is a file of {len} bytes that stands at byte {offset}: data would be written \
         over, and a restart could not tell what was written; use >> (or > for a new file)"
    )]
    OutputNotAtEnd { len: u64, offset: u64 },
    #[error(
        "it was received into no regular file before, so it cannot be known which bytes this file \
         has; go on as before, for example with `ringproof recv … | cat >> FILE`"
    )]
    OutputUnknown,
    #[error(
        "it is received into another file: device {}, inode {}, but this output is device {}, \
         inode {}; restart recv with >> the same file",
        file.device, file.inode, found.device, found.inode
    )]
    OutputOther { file: FileId, found: FileId },
    #[error(
        "the output is {len} bytes long, but {needed} had been written and released: was it \
         truncated by >? Those bytes are no longer in the ring; restart recv with >> on a file \
         that still has them"
    )]
    OutputShort { len: u64, needed: u64 },
    #[error(
        "the output is {len} bytes long, but no more than {most} can have been written: \
         somebody else wrote to it"
    )]
    OutputLong { len: u64, most: u64 },
    #[error(
        "the output is only {len} bytes long, but it was written up to byte {needed}: somebody cut it \
         meanwhile. The ring still holds the stream from byte {held_from} on: restart recv with >> on \
         the same file when that has what comes before"
    )]
    OutputCut {
        len: u64,
        needed: u64,
        held_from: u64,
    },
    #[error(
        "the output's file was removed while it was written, so nobody can read it. The ring still \
         holds the stream from byte {held_from} on"
    )]
    OutputUnlinked { held_from: u64 },
}

/// Decides what `send` does, given its input (`None`: no regular file) and whether the caller
/// takes it upon himself that the input continues what was sent.
pub(crate) fn send(
    found: &Sent,
    input: Option<&FileFacts>,
    go_on: bool,
) -> Result<Result<SendPlan, Refusal>, NoNotes> {
    let Sent {
        notes,
        output,
        committed,
        released,
        closed,
    } = *found;
    // An empty stream is over only when `recv` has seen its end, and then it has no segment.
    if closed && committed > 0 && released == committed {
        return Ok(Ok(SendPlan::Replace));
    }
    if is_output(output, input) {
        return Ok(Err(Refusal::InputIsOutput));
    }
    if closed {
        return Ok(if is_complete(notes, committed, input) {
            Ok(SendPlan::Complete)
        } else {
            Err(Refusal::Finished {
                end: committed,
                left: committed.saturating_sub(released),
            })
        });
    }
    if committed == 0 {
        return Ok(Ok(SendPlan::Start));
    }
    let notes = notes.ok_or(NoNotes)?;
    let needed = notes.base.saturating_add(committed);
    let input = input.map(|input| (input.id, input.len));
    Ok(match (notes.file, input) {
        (Some(file), Some((found, _))) if found != file => Err(Refusal::InputOther { file, found }),
        (Some(_), Some((_, len))) if len < needed => Err(Refusal::InputShort { len, needed }),
        (Some(_), Some(_)) => Ok(SendPlan::Seek(needed)),
        (Some(file), None) => Err(Refusal::InputNoFile { committed, file }),
        (None, _) if go_on => Ok(SendPlan::Append),
        (None, _) => Err(Refusal::InputUnknown { committed }),
    })
}

/// Whether the input is the file that the stream is received into.
pub(crate) fn is_output(output: Option<FileId>, input: Option<&FileFacts>) -> bool {
    input.is_some_and(|input| output == Some(input.id))
}

/// What is wrong with the output at the end: it should be `needed` bytes long, and have a name if it
/// had one in the beginning. (What others appended meanwhile does no harm.)
pub(crate) fn check_at_end(
    before: &FileFacts,
    now: &FileFacts,
    needed: u64,
    held_from: u64,
) -> Result<(), Refusal> {
    if now.len < needed {
        return Err(Refusal::OutputCut {
            len: now.len,
            needed,
            held_from,
        });
    }
    if before.links > 0 && now.links == 0 {
        return Err(Refusal::OutputUnlinked { held_from });
    }
    Ok(())
}

/// Whether the input is the file that was sent, to its very end.
fn is_complete(notes: Option<Notes>, end: u64, input: Option<&FileFacts>) -> bool {
    match (notes, input) {
        (Some(notes), Some(input)) => {
            notes.file == Some(input.id) && notes.base.checked_add(end) == Some(input.len)
        }
        _ => false,
    }
}

/// Decides what `recv` does, given its output (`None`: no regular file).
pub(crate) fn recv(
    found: &Received,
    output: Option<&FileFacts>,
) -> Result<Result<RecvPlan, Refusal>, NoNotes> {
    // Of an empty stream nothing is written.
    if found.committed > 0
        && let (Some(input), Some(output)) = (found.input, output)
        && input == output.id
    {
        return Ok(Err(Refusal::OutputIsInput));
    }
    let Some(notes) = found.notes else {
        // Bytes were released, so somebody received them, and left no notes.
        if found.released > 0 {
            return Err(NoNotes);
        }
        return Ok(match output {
            Some(output) if !output.at_end() => Err(not_at_end(output)),
            _ => Ok(RecvPlan::Start),
        });
    };
    let Some(output) = output else {
        return Ok(Ok(RecvPlan::Repeat));
    };
    // Nothing of the stream is in it, and all of it is in the ring.
    if found.released == 0 && output.len == 0 && notes.file != Some(output.id) {
        return Ok(Ok(RecvPlan::Start));
    }
    let needed = notes.base.saturating_add(found.released);
    let most = notes.base.saturating_add(found.committed);
    let FileFacts { id: found, len, .. } = *output;
    Ok(match notes.file {
        None => Err(Refusal::OutputUnknown),
        Some(file) if file != found => Err(Refusal::OutputOther { file, found }),
        Some(_) if len < needed => Err(Refusal::OutputShort { len, needed }),
        Some(_) if len > most => Err(Refusal::OutputLong { len, most }),
        Some(_) if !output.at_end() => Err(not_at_end(output)),
        Some(_) => Ok(RecvPlan::Skip(len - needed)),
    })
}

fn not_at_end(output: &FileFacts) -> Refusal {
    Refusal::OutputNotAtEnd {
        len: output.len,
        offset: output.offset,
    }
}

#[cfg(test)]
mod tests;
