//! Builds the layers and runs them, one after another.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ringproof_record::{Record, SiteRow, Verdict, cargo, deadline};

use crate::collect::{self, Collected, Job};
use crate::layers::{self, Build, LAYERS, Layer, Limited, Program, Sharing};
use crate::progress::Progress;
use crate::report::{About, ProgramFile, Ran};
use crate::text::plural;
use crate::workspace::Workspace;

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
            Ran::left_out(layer.name)
        });
    }
    (sites, ran)
}

/// What came of each build: the program, where cargo says that it put it. Layers that share a
/// program find the one build here.
struct Builds(Vec<(Build, Result<PathBuf, String>)>);

impl Builds {
    fn run<'a>(workspace: &Workspace, selected: impl Iterator<Item = &'a Layer>) -> Self {
        let start = Instant::now();
        let mut builds = vec![layers::SITE_TABLE_PROGRAM];
        for build in selected.flat_map(Layer::builds) {
            if !builds.contains(&build) {
                builds.push(build);
            }
        }
        let mut progress = Progress::start("build");
        let mut command = cargo::command();
        command.current_dir(&workspace.root);
        let limit = deadline::scaled(BUILD_DEADLINE);
        let built = collect::build(command, &builds, limit, |line| progress.prose(line));
        let missing = built.iter().filter(|outcome| outcome.is_err()).count();
        let mark = if missing == 0 { "✓" } else { "✗" };
        progress.finish(&format!(
            "{mark} build    {}, {missing} failed, {:.1} s",
            plural(builds.len(), "program"),
            start.elapsed().as_secs_f64()
        ));
        Builds(builds.into_iter().zip(built).collect())
    }

    fn program(&self, build: Build) -> Result<PathBuf, String> {
        let found = self.0.iter().find(|(other, _)| *other == build);
        found.map_or_else(
            || Err(format!("{} was not built", build.program)),
            |(_, outcome)| outcome.clone(),
        )
    }

    /// What a layer runs as, as it is now: call it right before.
    fn equip(&self, layer: &Layer, workspace: &Workspace) -> Result<Equipment, String> {
        let program = match layer.program {
            Program::Built(build) => self.program(build)?,
            Program::Script(below) => workspace.root.join(below),
        };
        let mut files = vec![workspace.identify(&program)?];
        let mut args = Vec::new();
        for (option, build) in layer.runs {
            let other = self.program(*build)?;
            files.push(workspace.identify(&other)?);
            args.extend([OsString::from(option), other.into_os_string()]);
        }
        Ok(Equipment {
            program,
            args,
            files,
        })
    }
}

/// The programs that a layer needs.
struct Equipment {
    /// Its own.
    program: PathBuf,
    /// The arguments that hand over the others.
    args: Vec<OsString>,
    /// All of them.
    files: Vec<ProgramFile>,
}

/// The table of sites. What is wrong with it becomes a result like any other.
fn run_sites(workspace: &Workspace, builds: &Builds, ran: &mut Vec<Ran>) -> Vec<SiteRow> {
    let job = Job {
        layer: layers::SITE_TABLE.to_owned(),
        program: builds.program(layers::SITE_TABLE_PROGRAM),
        args: layers::SITE_TABLE_ARGS.iter().map(OsString::from).collect(),
        directory: workspace.root.clone(),
        deadline: deadline::scaled(layers::SITE_TABLE_DEADLINE),
        repeat: "cargo run --package ringproof-models -- sites --json".to_owned(),
    };
    let collected = collect::collect_sites(&job, |_| {});
    if let Some(row) = collected.broken {
        eprintln!("✗ {:<8} the table of sites could not be read", job.layer);
        ran.push(Ran {
            rows: Some(vec![row]),
            ..Ran::left_out(layers::SITE_TABLE)
        });
    }
    collected.rows
}

fn run_layer(
    layer: &Layer,
    workspace: &Workspace,
    builds: &Builds,
    about: &About,
    minutes: Option<f64>,
) -> Ran {
    let (args, limit) = arguments(layer, about, minutes);
    let mut args: Vec<_> = args.into_iter().map(OsString::from).collect();
    let (program, files) = match builds.equip(layer, workspace) {
        Ok(equipment) => {
            args.extend(equipment.args);
            (Ok(equipment.program), equipment.files)
        }
        Err(why) => (Err(why), Vec::new()),
    };
    let job = Job {
        layer: layer.name.to_owned(),
        program,
        args,
        directory: workspace.root.clone(),
        deadline: limit,
        repeat: format!("{} --layer {}", about.command(), layer.name),
    };
    let mut progress = Progress::start(layer.name);
    let collected = collect::collect(&job, |seen| progress.see(seen));
    let (line, ran) = finish(job.layer, files, collected);
    progress.finish(&line);
    ran
}

/// The arguments of a layer, and how long it may take.
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
        return (args, deadline::scaled(layer.deadline));
    };
    match (minutes, nightly.limited) {
        (Some(minutes), Limited::Share(percent, more)) => {
            let minutes = minutes * percent / 100.0;
            args.extend(more.iter().map(ToString::to_string));
            args.extend(["--minutes".to_owned(), format!("{minutes:.2}")]);
            let more = Duration::from_secs_f64(60.0 * minutes);
            (args, deadline::scaled(layer.deadline + more))
        }
        (Some(minutes), Limited::From(least)) if minutes < least => {
            (args, deadline::scaled(layer.deadline))
        }
        (None, _) | (_, Limited::From(_)) => {
            args.extend(nightly.args.iter().map(ToString::to_string));
            (args, deadline::scaled(nightly.deadline))
        }
    }
}

/// The line that stays on the terminal, and the layer's part of the report.
fn finish(name: String, programs: Vec<ProgramFile>, collected: Collected<Record>) -> (String, Ran) {
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
        programs,
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
    use std::fs;

    use ringproof_record::Shard;
    use ringproof_record::machine::Machine;

    use super::*;
    use crate::report::Part;

    fn asked(name: &str, nightly: bool, part: Part, minutes: Option<f64>) -> (String, Duration) {
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
    fn a_layer_is_handed_the_programs_that_it_runs() {
        let directory = tempfile::tempdir().unwrap();
        let [own, other] = ["own", "other"].map(|name| directory.path().join(name));
        let workspace = Workspace {
            root: directory.path().to_owned(),
            target: directory.path().join("target"),
        };
        for name in ["stream", "hostile"] {
            let layer = layers::find(name).unwrap();
            let programs = [&own, &other];
            let named = programs.map(|path| Ok::<_, String>(path.clone()));
            let builds = Builds(layer.builds().zip(named).collect());
            for path in programs {
                fs::write(path, name).unwrap();
            }
            let equipment = builds.equip(layer, &workspace).unwrap();
            assert_eq!(equipment.program, own);
            assert_eq!(equipment.args, ["--cli".as_ref(), other.as_os_str()]);
            let paths = equipment.files.iter().map(|file| file.path.as_str());
            assert_eq!(paths.collect::<Vec<_>>(), ["own", "other"]);

            fs::remove_file(&other).unwrap();
            let why = builds.equip(layer, &workspace).map(drop).unwrap_err();
            assert!(why.contains("other cannot be read"), "{why}");
        }
    }

    #[test]
    fn only_layers_of_models_get_night_and_shard() {
        let part = Part::Shard(Shard { number: 2, of: 3 });
        let night = deadline::seconds(12 * 3600);
        let (args, limit) = asked("loom", true, part, None);
        assert_eq!(args, "loom --json --seed 7 --shard 2/3 --nightly");
        assert_eq!(limit, night);
        let (args, limit) = asked("shuttle", false, Part::Whole, None);
        assert_eq!(args, "shuttle --json --seed 7");
        assert!(limit < night);
        let (args, limit) = asked("asm", true, part, None);
        assert_eq!(args, "--json");
        assert!(limit < night);
    }

    #[test]
    fn a_limited_night_gives_each_its_part() {
        let (args, limit) = asked("loom", true, Part::Whole, Some(60.0));
        assert_eq!(args, "loom --json --seed 7 --nightly --minutes 45.00");
        let day = layers::find("loom").unwrap().deadline;
        assert_eq!(limit, deadline::scaled(day + Duration::from_secs(45 * 60)));
        let (args, _) = asked("soak", true, Part::Whole, Some(60.0));
        assert_eq!(args, "soak --json --seed 7 --minutes 9.00");
        // What has an end of its own waits for a longer night.
        let (args, limit) = asked("abi", true, Part::Whole, Some(60.0));
        assert_eq!(args, "abi --json --seed 7");
        assert_eq!(
            limit,
            deadline::scaled(layers::find("abi").unwrap().deadline)
        );
        let (args, _) = asked("abi", true, Part::Whole, Some(600.0));
        assert_eq!(args, "abi --json --seed 7 --items 100000000");
    }
}
