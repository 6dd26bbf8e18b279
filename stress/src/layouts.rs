//! The layouts layer: one struct, as several compilers and flags lay it out; what a program reads
//! that takes such bytes for its own layout; and what ringproof answers.
//!
//! Every layout is read from an object file that a compiler made of a generated source ([`source`],
//! [`compile`]), so it needs neither a machine nor a C library that could run it. A segment of each
//! is made by the letter of the wire layout, and a program with our payload attaches to it
//! ([`answer`]). The answer is judged by a comparison that is not the library's. What has padding in
//! it gets no segment from the library: the headers for C and C++ are asked, too, and where the
//! program runs here it meets one in Rust ([`headers`]).

mod answer;
mod compile;
mod headers;
mod source;

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use clap::Args;
use ringproof::Payload;
use ringproof::shape::{Description, Value};
use ringproof_record::Record;

use crate::desk::{Asked, Check, Layer};
use answer::{Answer, Blind, NarrowTick, TRUTH, Tick, is_padding};
use compile::{Compiled, compile};
use source::{Form, Member, NAMED, TICK, Tools, Variant, name_in};

/// Lay one struct out as several compilers and flags do, and attach to a segment of each
///
/// A segment is accepted where its bytes mean the same, and refused with the first field that
/// differs where they do not. CC, CXX and RUSTC choose the compilers [else gcc, g++ and rustc];
/// clang is tried, too. Each row says where the compiler puts the fields, what is read by a program
/// that takes the bytes for its own layout, and what ringproof answers.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress layouts
      everything, in seconds
  CC=clang-19 ringproof-stress layouts --only clang-19
      that compiler in the place of gcc")]
pub(crate) struct Options {
    #[command(flatten)]
    asked: Asked,
}

/// Runs the layer.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    let checks = checks(&Rc::new(Tools::from_env()), folder.path());
    Layer::new("layouts", "layouts", &options.asked, checks).run()
}

fn checks(tools: &Rc<Tools>, folder: &Path) -> Vec<Check> {
    let folder: Rc<Path> = folder.into();
    let mut checks = Vec::new();
    let variants: Vec<_> = source::variants(tools).into_iter().map(Rc::new).collect();
    for variant in &variants {
        let blind: &[_] = match variant.form {
            Form::Swapped(..) => &[Blind::Offsets, Blind::AllButSizes],
            Form::Renamed(..) => &[Blind::Names, Blind::AllButSizes],
            _ if variant.flags == ["-funsigned-char"] => &[Blind::Kinds, Blind::AllButSizes],
            _ => &[],
        };
        let check = stands::<Tick>(variant, TICK, "as it stands", &folder);
        checks.push(blind.iter().fold(check, |check, blind| {
            let (variant, folder, blind) = (variant.clone(), folder.clone(), *blind);
            check.wrong(blind.what(), "accepted, but", move |_| {
                let compiled = compile(&variant, TICK, &folder)?;
                let (ours, theirs) = descriptions::<Tick>(&compiled)?;
                answer::judge(&ours, &theirs, &blind.answer(&ours, &theirs)).map(|()| 1)
            })
        }));
    }
    for variant in &variants {
        checks.push(stands::<Tick>(variant, NAMED, "padding named", &folder));
    }
    for variant in variants
        .iter()
        .filter(|variant| variant.flags.contains(&"-m32"))
    {
        let what = "as it stands, to a 32-bit program";
        checks.push(stands::<NarrowTick>(variant, TICK, what, &folder));
    }
    for asked in headers::ASKED {
        let (tools, folder) = (tools.clone(), folder.clone());
        checks.push(Check::new(asked.0, "header", "answers", move |setting| {
            setting.remark(headers::ask(asked, &tools, &folder)?);
            Ok(1)
        }));
    }
    let mut meet = |pairing: headers::Pairing, meets: headers::Meets| {
        let (tools, folder) = (tools.clone(), folder.clone());
        let what = "header and Rust, both ways";
        checks.push(Check::new(pairing.0, what, "segments", move |setting| {
            setting.remark(meets(pairing, &setting.name(), &tools, &folder)?);
            Ok(2)
        }));
    };
    for pairing in headers::PAIRINGS {
        meet(pairing, headers::both_ways::<Tick>);
    }
    for pairing in headers::NARROW_PAIRINGS {
        meet(pairing, headers::both_ways::<NarrowTick>);
    }
    checks
}

/// A program with the payload `T` is right about a segment of these members.
fn stands<T: Payload>(
    variant: &Rc<Variant>,
    members: &'static [Member],
    what: &'static str,
    folder: &Rc<Path>,
) -> Check {
    let (variant, folder) = (variant.clone(), folder.clone());
    Check::new(variant.name.clone(), what, "segments", move |setting| {
        let compiled = compile(&variant, members, &folder)?;
        let said = judged::<T>(&compiled)?;
        setting.remark(match what {
            "as it stands" => summary(variant.form, &compiled, &said)?,
            _ => said,
        });
        Ok(1)
    })
}

/// Our payload, and the one of a segment of what was compiled.
fn descriptions<T: Payload>(compiled: &Compiled) -> Result<(Description, Description)> {
    let ours = Description::of::<T>().context("our payload cannot be described")?;
    Ok((ours, answer::with_padding_named(&compiled.description)?))
}

/// What a program with the payload `T` answers, if it is right.
fn judged<T: Payload>(compiled: &Compiled) -> Result<String> {
    let (ours, theirs) = descriptions::<T>(compiled)?;
    let answer = answer::attach::<T>(&ours, &theirs, compiled)?;
    let said = match &answer {
        Answer::Accepted(_) => "accepted, the bytes mean the same".to_owned(),
        Answer::Refused(lines) => format!("refused: {}", first(lines).join("; ")),
    };
    let judged = answer::judge(&ours, &theirs, &answer);
    judged.with_context(|| said.clone())?;
    Ok(said)
}

/// The first line of a diff, and the first one that is about more than padding.
fn first(lines: &[String]) -> Vec<&str> {
    let about = |line: &&String| line.strip_prefix("field \"").is_some_and(is_padding);
    let padding = lines.first().filter(about);
    let data = lines.iter().find(|line| !about(line));
    let both = padding.into_iter().chain(data);
    both.map(String::as_str).collect()
}

/// A layout in a line, what is read where it is taken for ours, and what is answered.
fn summary(form: Form, compiled: &Compiled, said: &str) -> Result<String> {
    let ours = Description::of::<Tick>()?;
    let described = &compiled.description;
    let offset = |member: &Member| {
        let mut fields = described.fields().iter();
        let field = fields.find(|field| field.name == name_in(form, member))?;
        Some(format!("{} {}", field.name, field.offset))
    };
    let offsets: Vec<_> = TICK.iter().filter_map(offset).collect();
    let read = answer::values(&ours, &compiled.items).into_iter();
    let read = TICK.iter().zip(read).zip(TRUTH[0]);
    let wrong = read.filter(|((_, value), truth)| value != truth);
    let wrong = wrong.map(|((member, value), truth)| {
        format!("{} {} for {}", member.name, shown(value), shown(truth))
    });
    let wrong: Vec<_> = wrong.collect();
    let taken = match wrong.is_empty() {
        true => "every number right".to_owned(),
        false => wrong.join(", "),
    };
    Ok(format!(
        "{} bytes, aligned to {}: {}; taken for our layout: {taken}; {said}",
        described.size(),
        compiled.align,
        offsets.join(", ")
    ))
}

/// A number; one that is too long in full, with its exponent.
fn shown(value: Value) -> String {
    match value {
        Value::Double(number) if number != 0.0 && !(1e-4..1e9).contains(&number.abs()) => {
            format!("{number:.3e}")
        }
        value => value.to_string(),
    }
}
