//! One innocent struct, and the ways in which it is compiled.
use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;

/// The section with what the compiler says of the struct.
pub(super) const LAYOUT: &str = ".ringproof.layout";

/// The section with two items.
pub(super) const ITEMS: &str = ".ringproof.items";

/// The compilers that the environment names, as [`compiler::command`] takes them.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    pub(super) cc: String,
    pub(super) cxx: String,
    pub(super) rustc: String,
}

impl Tools {
    /// `CC`, `CXX` and `RUSTC`, else `gcc`, `g++` and `rustc`.
    pub(super) fn from_env() -> Tools {
        let named = |variable, usual: &str| {
            let text = env::var_os(variable).map(OsString::into_string);
            // A name that is no text cannot stand in a report.
            text.and_then(Result::ok)
                .filter(|text| !text.trim().is_empty())
                .unwrap_or_else(|| usual.to_owned())
        };
        Tools {
            cc: named("CC", "gcc"),
            cxx: named("CXX", "g++"),
            rustc: named("RUSTC", "rustc"),
        }
    }
}

/// A field of the struct.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    /// The type in C, of its elements if it is an array.
    c: &'static str,
    /// The same in Rust; its first letter is the description's: `u`, `i` or `f`.
    rust: &'static str,
    /// How many elements, if it is an array.
    array: Option<usize>,
    /// What the two items hold; nothing where it is padding.
    values: Option<[&'static str; 2]>,
}

impl Member {
    pub(super) fn is_array(&self) -> bool {
        self.array.is_some()
    }
}

const fn field(
    name: &'static str,
    c: &'static str,
    rust: &'static str,
    values: [&'static str; 2],
) -> Member {
    Member {
        name,
        c,
        rust,
        array: None,
        values: Some(values),
    }
}

const fn padding(name: &'static str, len: usize) -> Member {
    Member {
        name,
        c: "uint8_t",
        rust: "u8",
        array: Some(len),
        values: None,
    }
}

const SIDE: Member = field("side", "char", "i8", ["-1", "1"]);
const SEQ: Member = field("seq", "uint64_t", "u64", ["20260001", "20260002"]);
const VENUE: Member = field("venue", "short", "i16", ["12", "13"]);
const QTY: Member = field("qty", "int", "i32", ["300", "400"]);
const PRICE: Member = field("price", "double", "f64", ["101.25", "99.75"]);

/// The struct as somebody writes it who does not think of padding.
pub(super) const TICK: &[Member] = &[SIDE, SEQ, VENUE, QTY, PRICE];

/// The same with the padding named that 64-bit compilers put there.
pub(super) const NAMED: &[Member] = &padded(7);

/// The same as a compiler for 32-bit x86 lays it out, with that padding named.
pub(super) const NARROW: &[Member] = &padded(3);

const fn padded(first: usize) -> [Member; 7] {
    let (first, second) = (padding("_pad1", first), padding("_pad2", 2));
    [SIDE, first, SEQ, VENUE, second, QTY, PRICE]
}

/// What is done to the struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A C struct.
    C,
    /// A C struct with this attribute.
    Attribute(&'static str),
    /// Two fields in each other's place.
    Swapped(&'static str, &'static str),
    /// A field under another name.
    Renamed(&'static str, &'static str),
    /// A C++ struct.
    Cpp,
    /// The fields up to `venue` in a base class.
    Base,
    /// The same with a constructor in it.
    BaseConstructor,
    /// With a virtual function.
    Virtual,
    /// A Rust struct with this attribute.
    Rust(&'static str),
}

impl Form {
    pub(super) fn language(self) -> Language {
        match self {
            Form::C | Form::Attribute(_) | Form::Swapped(..) | Form::Renamed(..) => Language::C,
            Form::Cpp | Form::Base | Form::BaseConstructor | Form::Virtual => Language::Cpp,
            Form::Rust(_) => Language::Rust,
        }
    }
}

/// A language that a compiler is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// C11.
    C,
    /// C++20: constants of classes that are more than their members.
    Cpp,
    /// Rust, edition 2024.
    Rust,
}

/// The struct as one compiler with these arguments makes it.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) compiler: String,
    pub(super) flags: &'static [&'static str],
    pub(super) form: Form,
}

/// Every variant, compiled with `tools` where the compiler matters little.
pub(super) fn variants(tools: &Tools) -> Vec<Variant> {
    let one = |compiler: &str, flags: &'static [&'static str], what: &str, form| {
        let program = Path::new(compiler).file_name().unwrap_or_default();
        let mut name = program.to_string_lossy().into_owned();
        for flag in flags {
            name = format!("{name} {flag}");
        }
        if !what.is_empty() {
            name = format!("{name}, {what}");
        }
        Variant {
            name,
            compiler: compiler.to_owned(),
            flags,
            form,
        }
    };
    let c = |flags, what, form| one(&tools.cc, flags, what, form);
    let cpp = |what, form| one(&tools.cxx, &[], what, form);
    let rust = |what, form| one(&tools.rustc, &[], what, form);
    vec![
        rust("repr(C)", Form::Rust("#[repr(C)]")),
        c(&[], "", Form::C),
        one("clang", &[], "", Form::C),
        c(&["-m32"], "", Form::C),
        one("clang", &["-m32"], "", Form::C),
        c(&["-m32", "-malign-double"], "", Form::C),
        c(&[], "packed", Form::Attribute("__attribute__((packed))")),
        c(&["-funsigned-char"], "", Form::C),
        c(&[], "reordered", Form::Swapped("venue", "qty")),
        c(&[], "qty is lots", Form::Renamed("qty", "lots")),
        cpp("", Form::Cpp),
        cpp("base", Form::Base),
        cpp("base()", Form::BaseConstructor),
        cpp("virtual", Form::Virtual),
        rust("repr(Rust)", Form::Rust("")),
        rust("packed", Form::Rust("#[repr(C, packed)]")),
    ]
}

/// What a member is called in this form.
pub(super) fn name_in(form: Form, member: &Member) -> &'static str {
    match form {
        Form::Renamed(from, to) if from == member.name => to,
        _ => member.name,
    }
}

/// The members as this form has them.
pub(super) fn members_of(form: Form, members: &[Member]) -> Vec<Member> {
    let mut members = members.to_vec();
    for member in &mut members {
        member.name = name_in(form, member);
    }
    if let Form::Swapped(one, other) = form {
        let place = |name| members.iter().position(|member| member.name == name);
        if let (Some(one), Some(other)) = (place(one), place(other)) {
            members.swap(one, other);
        }
    }
    members
}

/// The struct's declaration, in C or C++.
pub(super) fn declaration(form: Form, members: &[Member]) -> String {
    let members = members_of(form, members);
    match form {
        Form::Attribute(attribute) => {
            format!("struct {attribute} tick {{\n{}}};\n", fields(&members))
        }
        Form::Virtual => format!(
            "struct tick {{\n{}{}  virtual bool stale() const;\n}};\n",
            fields(&members),
            constructor("tick", &members)
        ),
        Form::Base | Form::BaseConstructor => {
            let qty = members.iter().position(|member| member.name == QTY.name);
            let (base, own) = members.split_at(qty.unwrap_or_default());
            let constructor = match form {
                Form::Base => String::new(),
                _ => constructor("stamp", base),
            };
            format!(
                "struct stamp {{\n{}{constructor}}};\nstruct tick : stamp {{\n{}}};\n",
                fields(base),
                fields(own)
            )
        }
        _ => format!("struct tick {{\n{}}};\n", fields(&members)),
    }
}

fn fields(members: &[Member]) -> String {
    let mut text = String::new();
    for Member { name, c, array, .. } in members {
        let array = array.map_or(String::new(), |len| format!("[{len}]"));
        let _ = writeln!(text, "  {c} {name}{array};");
    }
    text
}

/// One that leaves nothing to chance, or a constant could not be made by it.
fn constructor(class: &str, members: &[Member]) -> String {
    let members: Vec<_> = members.iter().map(|m| format!("{}()", m.name)).collect();
    format!("  constexpr {class}() : {} {{}}\n", members.join(", "))
}

/// A program whose object file holds, in a section each, what the compiler says of the struct (its
/// size and alignment; of each field the offset, the size of an element, how many there are and the
/// letter of its kind) and two items.
pub(super) fn program(form: Form, members: &[Member]) -> String {
    match form.language() {
        Language::Rust => rust_program(form, members),
        language => c_program(form, members, language),
    }
}

fn c_program(form: Form, members: &[Member], language: Language) -> String {
    let declared = declaration(form, members);
    let members = members_of(form, members);
    let mut layout = String::new();
    for Member { name, array, .. } in &members {
        let element = array.map_or("", |_| "[0]");
        let _ = writeln!(layout, "  FIELD({name}, {name}{element}),");
    }
    let values = |item: usize, before: &str, after: &str| -> String {
        let value = |member: &Member| Some((member.name, member.values?[item]));
        let set = |(name, value)| format!("{before}{name} = {value}{after} ");
        members.iter().filter_map(value).map(set).collect()
    };
    let items = match language {
        Language::C => format!(
            "IN({ITEMS:?}) const struct tick items[] = {{{{ {}}}, {{ {}}}}};\n",
            values(0, ".", ","),
            values(1, ".", ",")
        ),
        _ => format!(
            "constexpr tick first() {{ tick t{{}}; {}return t; }}\n\
             constexpr tick second() {{ tick t{{}}; {}return t; }}\n\
             IN({ITEMS:?}) constexpr tick items[] = {{first(), second()}};\n",
            values(0, "t.", ";"),
            values(1, "t.", ";")
        ),
    };
    let align = if language == Language::C {
        "_Alignof"
    } else {
        "alignof"
    };
    format!(
        "#include <stddef.h>\n#include <stdint.h>\n{declared}\
         #define IN(name) __attribute__((section(name), used))\n\
         #define OF(element) ((struct tick *)0)->element\n\
         #define LETTER(type) ((type)0.5 != 0 ? 'f' : (type)-1 < 0 ? 'i' : 'u')\n\
         #define FIELD(field, element) offsetof(struct tick, field), sizeof(OF(element)), \\\n  \
         sizeof(OF(field)) / sizeof(OF(element)), LETTER(__typeof__(OF(element)))\n\
         IN({LAYOUT:?}) const uint64_t layout[] = {{\n  \
         sizeof(struct tick), {align}(struct tick),\n{layout}}};\n{items}"
    )
}

fn rust_program(form: Form, members: &[Member]) -> String {
    let attribute = if let Form::Rust(attribute) = form {
        attribute
    } else {
        ""
    };
    let mut fields = String::new();
    let mut layout = String::new();
    let mut set = [String::new(), String::new()];
    for Member {
        name,
        rust,
        array,
        values,
        ..
    } in members
    {
        let ty = array.map_or((*rust).to_owned(), |len| format!("[{rust}; {len}]"));
        let _ = writeln!(fields, "    {name}: {ty},");
        let _ = writeln!(
            layout,
            "    offset_of!(Tick, {name}) as u64, size_of::<{rust}>() as u64, \
             (size_of::<{ty}>() / size_of::<{rust}>()) as u64, b'{}' as u64,",
            &rust[..1]
        );
        for (text, value) in set.iter_mut().zip(values.iter().flatten()) {
            let _ = write!(text, "t.{name} = {value}; ");
        }
    }
    let [first, second] = set;
    format!(
        "#![no_std]\nuse core::mem::{{offset_of, zeroed}};\n{attribute}\npub struct Tick {{\n{fields}}}\n\
         #[used]\n#[unsafe(link_section = {LAYOUT:?})]\npub static LAYOUT: [u64; {}] = [\n    \
         size_of::<Tick>() as u64, align_of::<Tick>() as u64,\n{layout}];\n\
         const EMPTY: Tick = unsafe {{ zeroed() }};\n\
         #[used]\n#[unsafe(link_section = {ITEMS:?})]\npub static ITEMS: [Tick; 2] = [\n    \
         {{ let mut t = EMPTY; {first}t }},\n    {{ let mut t = EMPTY; {second}t }},\n];\n",
        2 + 4 * members.len()
    )
}
