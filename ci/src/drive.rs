//! Builds the layers and runs them, one after another.

use std::iter;
use std::time::{Duration, Instant};

use ringproof_record::{Record, SiteRow, Verdict};

use crate::collect::{self, Collected, Job};
use crate::layers::{self, Build, LAYERS, Layer, Limited, Sharing};
use crate::progress::Progress;
use crate::report::{About, Ran};
use crate::text::plural;
use crate::workspace::{self, Workspace};

/// A build on a slow machine from nothing takes minutes; this is for one that hangs.
const BUILD_DEADLINE: Duration = Duration::from_secs(1800);

/// Builds and runs the selected layers, as `about` says: the table of sites, and what came of every
/// layer. A layer that has nothing to do in this shard counts as not selected. The nightly sizes take no
/// more than so many `minutes` together, beyond what the layers take by day.
///
/// All builds come first, so that the time of a layer is the time of its checks.
pub fn run(
    workspace: &Workspace,
    selected: impl Fn(&Layer) -> bool,
    about: &About,
    minutes: Option<f64>,
) -> (Vec<SiteRow>, Vec<Ran>) {
    let selected = |layer: &Layer| selected(layer) && layer.runs_in(about.part.shard());
    let builds = Builds::run(workspace, LAYERS.iter().filter(|layer| selected(layer)));
    let mut ran = Vec::new();
    let sites = run_sites(workspace, &builds, &mut ran);
    for layer in &LAYERS {
        ran.push(if selected(layer) {
            run_layer(layer, workspace, &builds, about, minutes)
        } else {
            Ran {
                name: layer.name.to_owned(),
                rows: None,
                seconds: 0.0,
            }
        });
    }
    (sites, ran)
}

/// What was built, and what came of it: each layer's builds are looked up here, so that two
/// layers that share one build it once.
struct Builds(Vec<(Build, Result<(), String>)>);

impl Builds {
    fn run<'a>(workspace: &Workspace, selected: impl Iterator<Item = &'a Layer>) -> Self {
        let start = Instant::now();
        let wanted = selected.flat_map(|layer| layer.builds).copied();
        let mut done = Builds(Vec::new());
        for build in iter::once(layers::SITE_TABLE_BUILD).chain(wanted) {
            if done.of(build).is_some() {
                continue;
            }
            let mut progress = Progress::start("build");
            let mut command = workspace::cargo();
            command
                .arg("build")
                .args(build)
                .current_dir(&workspace.root);
            let outcome = collect::build(command, BUILD_DEADLINE, |line| progress.prose(line));
            let package = build.get(1).copied().unwrap_or_default();
            let mark = if outcome.is_ok() { "✓" } else { "✗" };
            progress.finish(&format!("{mark} build    {package}"));
            done.0.push((build, outcome));
        }
        eprintln!("  built in {:.0} s", start.elapsed().as_secs_f64());
        done
    }

    fn of(&self, build: Build) -> Option<&Result<(), String>> {
        self.0
            .iter()
            .find(|(other, _)| *other == build)
            .map(|(_, outcome)| outcome)
    }

    /// The first complaint among `builds`.
    fn complaint(&self, builds: &[Build]) -> Option<&str> {
        builds
            .iter()
            .find_map(|build| self.of(build)?.as_ref().err())
            .map(String::as_str)
    }
}

/// The table of sites. What is wrong with it becomes a result like any other.
fn run_sites(workspace: &Workspace, builds: &Builds, ran: &mut Vec<Ran>) -> Vec<SiteRow> {
    let job = Job {
        layer: layers::SITE_TABLE.to_owned(),
        program: layers::SITE_TABLE_PROGRAM.path(&workspace.root, &workspace.target),
        args: layers::SITE_TABLE_ARGS
            .iter()
            .map(ToString::to_string)
            .collect(),
        directory: workspace.root.clone(),
        deadline: layers::SITE_TABLE_DEADLINE,
        repeat: "cargo run --package ringproof-models -- sites --json".to_owned(),
    };
    let (sites, broken) = match builds.complaint(&[layers::SITE_TABLE_BUILD]) {
        Some(why) => (Vec::new(), Some(job.broken(why))),
        None => {
            let collected = collect::collect_sites(&job, |_| {});
            (collected.rows, collected.broken)
        }
    };
    if let Some(row) = broken {
        eprintln!("✗ {:<8} the table of sites could not be read", job.layer);
        ran.push(Ran {
            name: job.layer,
            rows: Some(vec![row]),
            seconds: 0.0,
        });
    }
    sites
}

fn run_layer(
    layer: &Layer,
    workspace: &Workspace,
    builds: &Builds,
    about: &About,
    minutes: Option<f64>,
) -> Ran {
    let (args, deadline) = arguments(layer, about, minutes);
    let job = Job {
        layer: layer.name.to_owned(),
        program: layer.program.path(&workspace.root, &workspace.target),
        args,
        directory: workspace.root.clone(),
        deadline,
        repeat: format!("{} --layer {}", about.command(), layer.name),
    };
    let mut progress = Progress::start(layer.name);
    let collected = match builds.complaint(layer.builds) {
        Some(why) => Collected {
            rows: Vec::new(),
            broken: Some(job.broken(why)),
            tail: Vec::new(),
            took: Duration::ZERO,
        },
        None => collect::collect(&job, |seen| progress.see(seen)),
    };
    let (line, ran) = finish(job.layer, collected);
    progress.finish(&line);
    ran
}

/// What a layer is told, and how long it may take.
fn arguments(layer: &Layer, about: &About, minutes: Option<f64>) -> (Vec<String>, Duration) {
    let mut args: Vec<String> = layer.args.iter().map(ToString::to_string).collect();
    if layer.seeded {
        args.extend(["--seed".to_owned(), about.seed.to_string()]);
    }
    if let Some(shard) = about.part.shard()
        && layer.sharing != Sharing::Whole
    {
        args.extend(["--shard".to_owned(), shard.to_string()]);
    }
    let Some(nightly) = layer.nightly.filter(|_| about.nightly) else {
        return (args, layer.deadline);
    };
    match (minutes, nightly.limited) {
        (Some(minutes), Limited::Share(percent, more)) => {
            let minutes = minutes * percent / 100.0;
            args.extend(more.iter().map(ToString::to_string));
            args.extend(["--minutes".to_owned(), format!("{minutes:.2}")]);
            let more = Duration::from_secs_f64(60.0 * minutes);
            (args, layer.deadline + more)
        }
        (Some(minutes), Limited::From(least)) if minutes < least => (args, layer.deadline),
        (None, _) | (_, Limited::From(_)) => {
            args.extend(nightly.args.iter().map(ToString::to_string));
            (args, nightly.deadline)
        }
    }
}

/// The line that stays on the terminal, and the layer's part of the report.
fn finish(name: String, collected: Collected<Record>) -> (String, Ran) {
    let Collected {
        mut rows,
        broken,
        tail,
        took,
    } = collected;
    // The driver's own row carries the last lines already.
    let quiet = broken.is_some();
    rows.extend(broken);
    let ran = Ran {
        name,
        rows: Some(rows),
        seconds: took.as_secs_f64(),
    };
    let rows = ran.rows.as_deref().unwrap_or_default();
    let failed = rows
        .iter()
        .filter(|row| row.verdict == Verdict::Failed)
        .count();
    let mark = if failed == 0 { "✓" } else { "✗" };
    let count = plural(rows.len(), "check");
    let mut line = format!(
        "{mark} {:<8} {count}, {failed} failed, {:.1} s",
        ran.name, ran.seconds
    );
    if failed > 0 && !quiet {
        for prose in tail {
            line.push_str("\n  │ ");
            line.push_str(&prose);
        }
    }
    (line, ran)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::shard::{Part, Shard};

    fn told(name: &str, nightly: bool, part: Part, minutes: Option<f64>) -> (String, Duration) {
        let about = About {
            commit: None,
            machine: Machine::look(),
            seed: 7,
            nightly,
            part,
        };
        let layer = layers::find(name).unwrap();
        let (args, deadline) = arguments(layer, &about, minutes);
        (args.join(" "), deadline)
    }

    #[test]
    fn only_layers_of_models_are_told_of_night_and_shard() {
        let part = Part::Shard(Shard { number: 2, of: 3 });
        let night = Duration::from_secs(12 * 3600);
        let (args, deadline) = told("loom", true, part, None);
        assert_eq!(args, "loom --json --seed 7 --shard 2/3 --nightly");
        assert_eq!(deadline, night);
        let (args, deadline) = told("shuttle", false, Part::Whole, None);
        assert_eq!(args, "shuttle --json --seed 7");
        assert!(deadline < night);
        let (args, deadline) = told("asm", true, part, None);
        assert_eq!(args, "--json");
        assert!(deadline < night);
    }

    #[test]
    fn a_limited_night_gives_each_its_part() {
        let (args, deadline) = told("loom", true, Part::Whole, Some(60.0));
        assert_eq!(args, "loom --json --seed 7 --nightly --minutes 45.00");
        let day = layers::find("loom").unwrap().deadline;
        assert_eq!(deadline, day + Duration::from_secs(45 * 60));
        let (args, _) = told("soak", true, Part::Whole, Some(60.0));
        assert_eq!(args, "soak --json --seed 7 --minutes 9.00");
        // What has an end of its own waits for a longer night.
        let (args, deadline) = told("abi", true, Part::Whole, Some(60.0));
        assert_eq!(args, "abi --json --seed 7");
        assert_eq!(deadline, layers::find("abi").unwrap().deadline);
        let (args, _) = told("abi", true, Part::Whole, Some(600.0));
        assert_eq!(args, "abi --json --seed 7 --items 100000000");
    }
}
