//! Which processor this is: raw events mean something on the one that documents them.

use std::fmt;
use std::fs;

use ringproof_record::machine::value;

/// A processor as `/proc/cpuinfo` names it on x86.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// `GenuineIntel`, `AuthenticAMD`.
    pub vendor: String,
    /// The family, extended one included.
    pub family: u32,
    /// The model, extended one included.
    pub model: u32,
}

impl Processor {
    /// The one that this runs on; none if the kernel names it otherwise, as on Arm.
    pub fn this() -> Option<Self> {
        Processor::named_in(&fs::read_to_string("/proc/cpuinfo").ok()?)
    }

    /// The first one of a text in the form of `/proc/cpuinfo`.
    pub fn named_in(cpuinfo: &str) -> Option<Self> {
        let number = |key| value(cpuinfo, key, ':')?.parse().ok();
        Some(Processor {
            vendor: value(cpuinfo, "vendor_id", ':')?,
            family: number("cpu family")?,
            model: number("model")?,
        })
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Processor {
            vendor,
            family,
            model,
        } = self;
        write!(f, "{vendor}, family {family}, model {model} ({model:#x})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_processor_is_read_as_the_kernel_writes_it() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n\
                       model\t\t: 143\nmodel name\t: Some Xeon\n\nprocessor\t: 1\nmodel\t\t: 9\n";
        let processor = Processor::named_in(cpuinfo).unwrap();
        assert_eq!(
            processor.to_string(),
            "GenuineIntel, family 6, model 143 (0x8f)"
        );
    }

    #[test]
    fn a_processor_of_another_kind_has_no_such_name() {
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n";
        assert_eq!(Processor::named_in(arm), None);
        assert_eq!(Processor::named_in(""), None);
    }
}
