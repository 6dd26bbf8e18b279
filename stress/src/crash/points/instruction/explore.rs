//! The four ways to die at an instruction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;

use anyhow::{Context, Result, anyhow, ensure};
use ringproof::memory::Native;

use super::image::{self, Watch};
use super::source;
use super::tracee::{Stage, Tracee};
use crate::crash::case::AnyOperation;
use crate::crash::operations::{End, Pair};
use crate::crash::trial::{Actor, Death, Judgement, Who};
use crate::desk::Setting;
use crate::words::{bytes_of, sealed_file};

/// What all explorations have in common.
pub(super) struct Explorer<'a> {
    pub(super) setting: &'a Setting<'a>,
    /// Whether to kill at each instruction, rather than once for each distinct image.
    pub(super) every: bool,
    /// What dies, or is stopped, in the middle of it.
    pub(super) operation: &'a dyn AnyOperation,
}

/// A walk, and after how many of its steps.
type Moment<'w> = (&'w Walk, u64);

/// One stepped run of an entry, from before its first instruction to after its last.
struct Walk {
    /// What each step executed.
    executed: Vec<u64>,
    /// The same with a repeated instruction counted once.
    instructions: u64,
    /// The images that the segment went through, each with the number of steps after which it
    /// was first seen. The first one is after none.
    images: Vec<(u64, Vec<u8>)>,
    answer: u64,
}

impl Walk {
    fn steps(&self) -> u64 {
        self.executed.len() as u64
    }

    /// The number of the image after this many steps.
    fn number_at(&self, steps: u64) -> usize {
        self.images.partition_point(|(first, _)| *first <= steps) - 1
    }

    fn image_at(&self, steps: u64) -> &[u8] {
        &self.images[self.number_at(steps)].1
    }

    /// The moments to die at: each one, or the first of each image.
    fn moments(&self, every: bool) -> Vec<u64> {
        if every {
            return (0..=self.steps()).collect();
        }
        self.images.iter().map(|(first, _)| *first).collect()
    }
}

impl Explorer<'_> {
    /// What the attempts at the case are called, up to the instructions.
    fn address(&self) -> String {
        let (subject, state) = self.operation.names();
        format!("{subject}:{state}")
    }

    /// Every instruction: at each one the segment is looked at, and each distinct image that it
    /// went through is judged as what a death there leaves.
    pub(super) fn snapshots(&self) -> Result<u64> {
        let before = self.set_up()?;
        let walk = self.walk_alone(Who::Victim, &before)?;
        let at = [self.address(), String::new()];
        self.judge_images(Who::Victim, &before, &walk, at)?;
        self.setting.remark(format!(
            "each of {} instructions, {} distinct states",
            walk.instructions,
            walk.images.len()
        ));
        Ok(walk.instructions)
    }

    /// Real deaths: the process is killed, its role must be free, and who takes it is a real
    /// successor beside a peer that lives all along.
    pub(super) fn kills(&self) -> Result<u64> {
        let before = self.set_up()?;
        let walk = self.walk_alone(Who::Victim, &before)?;
        let address = self.address();
        let (mut reached, mut kills) = (0, 0);
        for step in walk.moments(self.every || self.setting.asks_within(&address)) {
            let address = format!("{address}:{step}");
            let attempt = self.setting.attempt(&address, None, || {
                (self.kill(&before, (&walk, step)))
                    .and_then(|now| go_on(&mut reached, now))
                    .with_context(|| place(&walk, step))
            })?;
            kills += u64::from(attempt.is_some());
        }
        self.setting.remark(format!(
            "{} distinct states of {} instructions",
            walk.images.len(),
            walk.instructions
        ));
        Ok(kills)
    }

    /// One real death: how far the victim came.
    fn kill(&self, before: &[u8], (walk, step): Moment<'_>) -> Result<u64> {
        let segment = sealed_file(before)?;
        self.judge(Who::Victim, &segment, &mut || {
            let found = bytes_of(&segment)?;
            self.replay(&segment, (walk, step))?.kill();
            ensure!(
                bytes_of(&segment)? == image::changed(&found, before, walk.image_at(step)),
                "the death leaves another segment than was seen between the instructions"
            );
            Ok(())
        })
    }

    /// The successor dies, too: for each image that a victim leaves, a successor is stepped
    /// through its recovery, and each image of that is judged.
    pub(super) fn second_deaths(&self) -> Result<u64> {
        let before = self.set_up()?;
        let first = self.walk_alone(Who::Victim, &before)?;
        let address = self.address();
        let (mut instructions, mut states, mut successors) = (0, 0, 0);
        for step in first.moments(self.setting.asks_within(&address)) {
            let left = first.image_at(step);
            let address = format!("{address}:{step}");
            let attempt = self.setting.attempt(&address, None, || {
                let victim = place(&first, step);
                let segment = sealed_file(left)?;
                let reached = (self.judge(Who::Victim, &segment, &mut || Ok(())))
                    .with_context(|| victim.clone())?;
                let who = Who::Successor(reached);
                let second = (self.walk_alone(who, left)).with_context(|| victim.clone())?;
                let at = [address.clone(), format!("{victim}, its successor ")];
                self.judge_images(who, left, &second, at)?;
                Ok((second.instructions, second.images.len()))
            })?;
            if let Some((more, images)) = attempt {
                instructions += more;
                states += images;
                successors += 1;
            }
        }
        self.setting.remark(format!(
            "{instructions} instructions of {successors} successors, {states} distinct states"
        ));
        Ok(instructions)
    }

    /// One of a pair is stopped after each of its instructions; meanwhile the other one runs and
    /// dies, once for each image that it makes; then the first goes on. Whatever both leave at any
    /// moment is judged, too. What the dying one does to the memory is taken from a run beside the
    /// same image, unless it is to die at each instruction: then it runs and is killed each time.
    pub(super) fn pairs(&self, pair: &Pair) -> Result<u64> {
        let before = self.set_up()?;
        let alone = self.walk_alone(Who::Victim, &before)?;
        let address = self.address();
        // It runs the same code over the same memory whatever the stopped one's registers hold.
        let mut beside: HashMap<usize, Walk> = HashMap::new();
        let mut runs = 0;
        for stop in alone.moments(true) {
            let address = format!("{address}:{stop}");
            let attempt = self.setting.attempt(&address, None, || {
                let dying = match beside.entry(alone.number_at(stop)) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        new.insert(self.walk_beside(pair, &alone, stop, &before)?)
                    }
                };
                let mut runs = 0;
                for death in dying.moments(self.every || self.setting.asks_within(&address)) {
                    let address = format!("{address}:{death}");
                    let run = self.setting.attempt(&address, None, || {
                        self.run_pair(pair, &before, (&alone, stop), (dying, death))
                            .with_context(|| place_pair(pair, (&alone, stop), (dying, death)))
                    })?;
                    runs += u64::from(run.is_some());
                }
                Ok(runs)
            })?;
            runs += attempt.unwrap_or_default();
        }
        let states = beside.values().map(|walk| walk.images.len()).max();
        self.setting.remark(format!(
            "each of {} instructions, with up to {} distinct states of the other",
            alone.instructions,
            states.unwrap_or(0)
        ));
        Ok(runs)
    }

    /// The same of the dying one of a pair.
    fn dying<'p>(&'p self, pair: &'p Pair) -> Explorer<'p> {
        Explorer {
            operation: pair.dying(),
            ..*self
        }
    }

    /// Steps the dying one of a pair through its entry beside one that stands after `stop` steps,
    /// and judges what both leave if they die together.
    fn walk_beside(&self, pair: &Pair, alone: &Walk, stop: u64, before: &[u8]) -> Result<Walk> {
        let segment = sealed_file(before)?;
        let beside = || place(alone, stop);
        let stopped = self.replay(&segment, (alone, stop)).with_context(beside)?;
        let dying = self.dying(pair).start(Who::Victim, &segment)?;
        let other = walk(&segment, dying).with_context(beside)?;
        let end = End::Killed(stopped.answer());
        stopped.kill();
        for death in other.moments(false) {
            let segment = sealed_file(other.image_at(death))?;
            (pair.judge(self.setting.seed, &segment, &end, &End::Killed(None)))
                .with_context(|| place_pair(pair, (alone, stop), (&other, death)))?;
        }
        Ok(other)
    }

    /// One schedule of a pair.
    fn run_pair(
        &self,
        pair: &Pair,
        before: &[u8],
        (alone, stop): Moment<'_>,
        (beside, death): Moment<'_>,
    ) -> Result<()> {
        let segment = sealed_file(before)?;
        let stopped = self.replay(&segment, (alone, stop))?;
        let answer = if self.every {
            let dying = self.dying(pair).replay(&segment, (beside, death))?;
            let answer = dying.answer();
            dying.kill();
            answer
        } else {
            image::change(&segment, beside.image_at(0), beside.image_at(death))?;
            (death == beside.steps()).then_some(beside.answer)
        };
        let reported = End::Reported(stopped.finish()?);
        pair.judge(self.setting.seed, &segment, &reported, &End::Killed(answer))
    }

    /// Starts a victim again and lets it take the first steps that a walk was seen to take.
    fn replay(&self, segment: &File, (walk, steps): Moment<'_>) -> Result<Tracee> {
        let mut tracee = self.start(Who::Victim, segment)?;
        for (step, address) in walk.executed[..steps as usize].iter().enumerate() {
            let executed = tracee.step()?;
            ensure!(
                executed == Some(*address),
                "in a second run instruction {} is another one than in the first ({})",
                step + 1,
                source::line(&[*address])
            );
        }
        Ok(tracee)
    }

    /// The bytes of a segment to begin with.
    fn set_up(&self) -> Result<Vec<u8>> {
        bytes_of(&self.operation.set_up(self.setting.seed)?.into())
    }

    /// Judges a death that `die` makes happen: how far the actor came.
    fn judge(&self, who: Who, segment: &File, die: &mut dyn FnMut() -> Result<()>) -> Result<u64> {
        self.operation.judge(&mut Judgement {
            setting: self.setting,
            who,
            once: true,
            segment,
            die: &mut |_| die().map(|()| Death::unseen(true)),
        })
    }

    /// Starts a process of an actor, with the injected fault if it concerns that one.
    fn start(&self, who: Who, segment: &File) -> Result<Tracee> {
        let fault = who.mistake(self.setting);
        Tracee::start(self.setting.alone, |stage: &Stage<'_>| {
            let actor = Actor {
                who,
                seed: self.setting.seed,
                once: true,
                memories: Native,
                fault,
                ledger: stage.ledger,
                segment: Some(segment),
                announce: &|entry| stage.announce(entry),
            };
            match fault {
                Some(fault) => self.operation.act_wrong(actor.with(fault)),
                None => self.operation.act_as_shipped(actor),
            }
        })
    }

    /// Steps an actor through its entry over a segment of its own.
    fn walk_alone(&self, who: Who, before: &[u8]) -> Result<Walk> {
        let segment = sealed_file(before)?;
        walk(&segment, self.start(who, &segment)?)
    }

    /// Judges each distinct image of a walk, and its end. `at` says of which: its address, and
    /// what happened before.
    fn judge_images(&self, who: Who, before: &[u8], walk: &Walk, at: [String; 2]) -> Result<()> {
        let [address, earlier] = at;
        let every = self.setting.asks_within(&address);
        let mut moments = walk.moments(every);
        if !every {
            moments.push(walk.steps());
        }
        let mut reached = 0;
        for step in moments {
            let address = format!("{address}:{step}");
            self.setting.attempt(&address, None, || {
                self.judge_image(who, before, (walk, step))
                    .and_then(|now| go_on(&mut reached, now))
                    .with_context(|| format!("{earlier}{}", place(walk, step)))
            })?;
        }
        Ok(())
    }

    /// Judges what is there after so many steps of a walk: how far it came.
    fn judge_image(&self, who: Who, before: &[u8], (walk, step): Moment<'_>) -> Result<u64> {
        let segment = sealed_file(before)?;
        let now = self.judge(who, &segment, &mut || {
            image::change(&segment, before, walk.image_at(step))
        })?;
        if step == walk.steps() {
            let (goal, answer) = (self.operation.goal(who, true), self.operation.answer(who));
            ensure!(
                (now, walk.answer) == (goal, answer),
                "it returned {}, its effect is {now}; expected {answer} and {goal}",
                walk.answer
            );
        }
        Ok(now)
    }
}

/// A moment of a walk, in words.
fn place(walk: &Walk, steps: u64) -> String {
    match &walk.executed[..steps as usize] {
        [] => "before its first instruction".to_owned(),
        executed => format!("after instruction {steps} ({})", source::line(executed)),
    }
}

fn place_pair(pair: &Pair, stopped: Moment<'_>, dying: Moment<'_>) -> String {
    format!(
        "stopped {}, {} killed {}",
        place(stopped.0, stopped.1),
        pair.dying().names().0,
        place(dying.0, dying.1)
    )
}

/// Steps a process to the end of its entry, and looks at the segment after each step.
fn walk(segment: &File, mut tracee: Tracee) -> Result<Walk> {
    let mut watch = Watch::new(segment)?;
    let mut images = vec![(0, watch.image().to_vec())];
    let mut executed = Vec::new();
    while let Some(address) = tracee.step()? {
        executed.push(address);
        if watch.look()? {
            images.push((executed.len() as u64, watch.image().to_vec()));
        }
    }
    Ok(Walk {
        executed,
        instructions: tracee.instructions(),
        images,
        answer: (tracee.answer()).ok_or_else(|| anyhow!("it did not return"))?,
    })
}

/// What took effect stays.
fn go_on(reached: &mut u64, now: u64) -> Result<()> {
    ensure!(
        now >= *reached,
        "it had come to {reached} already, and is at {now} now"
    );
    *reached = now;
    Ok(())
}
