//! A schedule that failed, in a file: one line of JSON that says of what, then the schedule as
//! shuttle writes it, so that `shuttle::replay` takes it, too.

use std::fmt;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::change::Change;

/// The key of the first line that names the format; its value is the version.
const FORMAT: &str = "ringproof_schedule";
const VERSION: u64 = 1;
/// How shuttle marks its schedules.
const SHUTTLES_MARK: u8 = 0x91;
/// Characters per line of the schedule.
const WIDTH: usize = 76;

/// A schedule that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The scenario.
    pub scenario: String,
    /// What was changed in it.
    pub change: Option<Change>,
    /// The run's crash point.
    pub crash_point: Option<u64>,
    /// What was found.
    pub finding: String,
    /// Which thread ran, step by step.
    pub tasks: Vec<usize>,
}

impl Saved {
    /// Writes it into `directory`, which is made if it is not there, under a name of its
    /// scenario's and change's; an older file of that name is replaced.
    ///
    /// # Errors
    /// A sentence, where the file system refuses.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, String> {
        let change = self
            .change
            .map_or(String::new(), |change| format!(" {change}"));
        let name: Vec<_> = format!("{}{change}", self.scenario)
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let path = directory.join(name.join("-")).with_extension("schedule");
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, self.to_string()))
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
        Ok(path)
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// A sentence, where the file cannot be read, or is no such file, or one of another version.
    pub fn read(path: &Path) -> Result<Saved, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        Saved::parse(&text).map_err(|problem| format!("`{}`: {problem}", path.display()))
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Saved, String> {
        let (header, schedule) = text.split_once('\n').unwrap_or((text, ""));
        let header: Value = serde_json::from_str(header)
            .map_err(|error| format!("not a saved schedule: no header of JSON: {error}"))?;
        match header.get(FORMAT).map(Value::as_u64) {
            None => return Err(format!("not a saved schedule: no `{FORMAT}` in its header")),
            Some(Some(VERSION)) => {}
            Some(_) => {
                let found = &header[FORMAT];
                return Err(format!(
                    "a saved schedule of version {found}, version {VERSION} is read here"
                ));
            }
        }
        let text_of = |key: &str| {
            let text = header.get(key).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| format!("the header's `{key}` is missing or no text"))
        };
        let crash_point = match &header["crash_point"] {
            Value::Null => None,
            point => Some(
                point
                    .as_u64()
                    .ok_or("the header's `crash_point` is no number")?,
            ),
        };
        let change = match &header["change"] {
            Value::Null => None,
            _ => Some(Change::parse(&text_of("change")?)?),
        };
        Ok(Saved {
            scenario: text_of("scenario")?,
            change,
            crash_point,
            finding: text_of("finding")?,
            tasks: decode(schedule)
                .ok_or("the schedule after the header is damaged, or not one of shuttle's")?,
        })
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = json!({
            FORMAT: VERSION,
            "scenario": self.scenario,
            "change": self.change.map(|change| change.to_string()),
            "crash_point": self.crash_point,
            "finding": self.finding,
        });
        writeln!(f, "{header}")?;
        let schedule = encode(&self.tasks);
        for start in (0..schedule.len()).step_by(WIDTH) {
            let end = schedule.len().min(start + WIDTH);
            writeln!(f, "{}", &schedule[start..end])?;
        }
        Ok(())
    }
}

/// A schedule as shuttle writes it, in hexadecimal digits: the mark; the bits of a task's number,
/// the number of steps and the seed, each seven bits to a byte, the lowest first; then one 0 and
/// the task's number per step, the lowest bit first. (A 1 would be a random number, which no
/// scenario of ours draws.)
fn encode(tasks: &[usize]) -> String {
    let highest = tasks.iter().copied().max().unwrap_or(0);
    let width = (usize::BITS - highest.leading_zeros()).max(1) as usize;
    let mut bytes = vec![SHUTTLES_MARK];
    for mut number in [width, tasks.len(), 0] {
        while number > 0x7f {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }
    let bits: Vec<bool> = (tasks.iter())
        .flat_map(|task| iter::once(false).chain((0..width).map(move |bit| task >> bit & 1 == 1)))
        .collect();
    bytes.extend(bits.chunks(8).map(|bits| {
        (bits.iter().enumerate()).fold(0, |byte, (bit, &set)| byte | u8::from(set) << bit)
    }));
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`encode`] wrote.
fn decode(text: &str) -> Option<Vec<usize>> {
    let digits: Vec<_> = (text.chars())
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let mut bytes = digits.chunks(2).map(|pair| match *pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    let mut next = || bytes.next().flatten();
    if next()? != SHUTTLES_MARK {
        return None;
    }
    let mut number = || {
        let mut number = 0_u64;
        for shift in (0..63).step_by(7) {
            let byte = next()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    };
    let (width, steps, _seed) = (number()?, number()?, number()?);
    let mut bits = bytes.flat_map(|byte| (0..8).map(move |bit| byte.map(|b| b >> bit & 1 == 1)));
    let mut bit = || bits.next().flatten();
    if !(1..=usize::BITS.into()).contains(&width) {
        return None;
    }
    let mut tasks = Vec::new();
    for _ in 0..steps {
        if bit()? {
            return None;
        }
        let mut task = 0;
        for place in 0..width {
            task |= usize::from(bit()?) << place;
        }
        tasks.push(task);
    }
    Some(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Saved {
        Saved {
            scenario: "long/ring".to_owned(),
            change: Some(Change::planted()[0]),
            crash_point: Some(17),
            finding: "a \"finding\"\nof two lines".to_owned(),
            tasks: (0..1000).map(|step| step * step % 5).collect(),
        }
    }

    #[test]
    fn a_saved_schedule_is_read_back() {
        let unchanged = Saved {
            change: None,
            crash_point: None,
            tasks: Vec::new(),
            ..one()
        };
        for saved in [one(), unchanged] {
            assert_eq!(Saved::parse(&saved.to_string()), Ok(saved));
        }
    }

    #[test]
    fn what_is_no_saved_schedule_is_refused_with_a_reason() {
        let good = one().to_string();
        let refused = |text: &str, why: &str| {
            let problem = Saved::parse(text).expect_err("a refusal");
            assert!(problem.contains(why), "{problem}");
        };
        refused("", "not a saved schedule");
        refused("{}", "not a saved schedule");
        refused("[1]", "not a saved schedule");
        refused(&good.replacen(":1,", ":2,", 1), "version 2");
        refused(&good.replace("\"scenario\"", "\"scene\""), "`scenario`");
        refused(&good.replace("one too many", "some"), "no change");
        refused(&good.replace(":17,", ":\"x\","), "`crash_point`");
        let (header, schedule) = good.split_once('\n').expect("a header and a schedule");
        for damaged in [
            "",
            "9",
            "zz",
            "910180808080808080808001",
            &schedule[2..],
            &schedule[..schedule.len() / 2],
        ] {
            refused(&format!("{header}\n{damaged}"), "damaged");
        }
    }

    /// A damaged file may be another schedule, but is never a panic or a flood of memory.
    #[test]
    fn any_damage_is_taken() {
        let good = one().to_string();
        for place in 0..good.len().min(400) {
            for with in ["0", "8", "f"] {
                let mut text = good.clone();
                text.replace_range(place..=place, with);
                let _ = Saved::parse(&text);
            }
        }
    }
}
