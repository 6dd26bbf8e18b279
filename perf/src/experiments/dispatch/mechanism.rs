//! The ways to a function: the same little function at the end of each.

use super::callable::Callable;

/// How a function that is chosen once, or at each call, is reached.
pub(super) trait Mechanism: Sized + Send + 'static {
    /// What tables call it.
    const NAME: &'static str;

    /// Whether values of this one type may lead to different functions.
    const CHOOSES: bool = true;

    /// Whether something has to be made before it can be called.
    const MAKES: bool = true;

    /// Leads to the function of this kind, below [`KINDS`], which has `by` with it.
    fn make(kind: usize, by: u64) -> Self;

    /// Calls the function.
    fn call(&self, number: u64) -> u64;

    /// What the function of that kind answers.
    fn answer(kind: usize, by: u64, number: u64) -> u64 {
        function(kind as u64, by, number)
    }
}

/// How many different functions there are.
pub(super) const KINDS: usize = 4;

/// What an expression is for the kind, which is a constant in it.
macro_rules! of_kind {
    ($kind:expr, $constant:ident => $value:expr) => {
        match $kind {
            0 => of_kind!(=0, $constant => $value),
            1 => of_kind!(=1, $constant => $value),
            2 => of_kind!(=2, $constant => $value),
            _ => of_kind!(=3, $constant => $value),
        }
    };
    (=$kind:literal, $constant:ident => $value:expr) => {{
        const $constant: u64 = $kind;
        $value
    }};
}

/// What they all do: about as little as a function can.
#[inline]
fn function(kind: u64, by: u64, number: u64) -> u64 {
    number.wrapping_mul(2 * kind + 1).wrapping_add(by)
}

/// No function: the loop around.
pub(super) struct Nothing;

impl Mechanism for Nothing {
    const NAME: &'static str = "the empty loop";
    const CHOOSES: bool = false;
    const MAKES: bool = false;

    fn make(_: usize, _: u64) -> Self {
        Nothing
    }

    #[inline]
    fn call(&self, number: u64) -> u64 {
        number
    }

    fn answer(_: usize, _: u64, number: u64) -> u64 {
        number
    }
}

/// A type parameter: the loop is compiled for it, and the function into the loop.
pub(super) struct Generic(u64);

impl Mechanism for Generic {
    const NAME: &'static str = "generic, inlined";
    const CHOOSES: bool = false;
    const MAKES: bool = false;

    fn make(_: usize, by: u64) -> Self {
        Generic(by)
    }

    #[inline]
    fn call(&self, number: u64) -> u64 {
        function(0, self.0, number)
    }
}

/// A function that the compiler knows and does not inline.
pub(super) struct Direct(u64);

impl Mechanism for Direct {
    const NAME: &'static str = "direct call";
    const CHOOSES: bool = false;
    const MAKES: bool = false;

    fn make(_: usize, by: u64) -> Self {
        Direct(by)
    }

    #[inline]
    fn call(&self, number: u64) -> u64 {
        #[inline(never)]
        fn direct(by: u64, number: u64) -> u64 {
            function(0, by, number)
        }
        direct(self.0, number)
    }
}

/// A pointer to a function, and what it needs beside it.
pub(super) struct Pointer(fn(u64, u64) -> u64, u64);

impl Mechanism for Pointer {
    const NAME: &'static str = "function pointer";
    const MAKES: bool = false;

    fn make(kind: usize, by: u64) -> Self {
        Pointer(
            of_kind!(kind, K => |by, number| function(K, by, number)),
            by,
        )
    }

    #[inline]
    fn call(&self, number: u64) -> u64 {
        (self.0)(self.1, number)
    }
}

/// The interface of [`Object`].
trait Operation: Send {
    fn run(&self, number: u64) -> u64;
}

struct Step<const KIND: u64>(u64);

impl<const KIND: u64> Operation for Step<KIND> {
    fn run(&self, number: u64) -> u64 {
        function(KIND, self.0, number)
    }
}

/// An object behind an interface, on the heap, as where C++ has a virtual function.
pub(super) struct Object(Box<dyn Operation>);

impl Mechanism for Object {
    const NAME: &'static str = "trait object (dyn)";

    fn make(kind: usize, by: u64) -> Self {
        Object(of_kind!(kind, K => Box::new(Step::<K>(by))))
    }

    #[inline]
    fn call(&self, number: u64) -> u64 {
        self.0.run(number)
    }
}

/// A closure that has its `by` with it.
fn small<const KIND: u64>(by: u64) -> impl Fn(u64) -> u64 + Send + Sync {
    move |number| function(KIND, by, number)
}

/// A closure that has more with it than fits into a [`Callable`].
fn large<const KIND: u64>(by: u64) -> impl Fn(u64) -> u64 + Send + Sync {
    let much = [by; 8];
    move |number| function(KIND, much[KIND as usize], number)
}

/// A closure on the heap.
pub(super) struct Boxed(Box<dyn Fn(u64) -> u64 + Send>);

impl Mechanism for Boxed {
    const NAME: &'static str = "boxed closure";

    fn make(kind: usize, by: u64) -> Self {
        Boxed(of_kind!(kind, K => Box::new(small::<K>(by))))
    }

    #[inline]
    fn call(&self, number: u64) -> u64 {
        (self.0)(number)
    }
}

/// A closure that has forgotten its type and lies in place.
pub(super) struct Inline(Callable);

impl Mechanism for Inline {
    const NAME: &'static str = "inline type-erased, 8 bytes captured";

    fn make(kind: usize, by: u64) -> Self {
        Inline(of_kind!(kind, K => Callable::new(small::<K>(by))))
    }

    #[inline]
    fn call(&self, number: u64) -> u64 {
        self.0.call(number)
    }
}

/// The same, too large to lie in place.
pub(super) struct Spilled(Callable);

impl Mechanism for Spilled {
    const NAME: &'static str = "inline type-erased, 64 bytes captured";

    fn make(kind: usize, by: u64) -> Self {
        Spilled(of_kind!(kind, K => Callable::new(large::<K>(by))))
    }

    #[inline]
    fn call(&self, number: u64) -> u64 {
        self.0.call(number)
    }
}
