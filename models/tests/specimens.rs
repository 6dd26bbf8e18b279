//! measure
#![cfg(feature = "loom")]
use ringproof_models::specimen::{self, Fault, Control};
#[test]
fn measure() {
    for mut s in specimen::all() {
        for f in &mut s.faults {
            match f { Fault::Model { loom, shuttle, .. } => { *loom = 5000; if let Some(x) = shuttle { *x = 5000; } }
              Fault::Property { cases, .. } => *cases = 100_000 }
        }
        for c in &mut s.controls { if let Control::Model(_m) = c {} }
        for r in specimen::judge(&s) {
            println!("{:?} | {} | {} | {:?} {:?} | {}", r.verdict, r.subject, r.check, r.count, r.unit, r.reason.unwrap_or_default());
            if std::env::var("T").is_ok() && let Some(t) = r.trace { println!("{t}"); }
        }
    }
}
