//! The ways to a function, the same little function at the end of each; and what is timed: calls of one
//! function, of several in no order, and of one that is made for it.

use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Arc;

use super::callable::Callable;
use crate::cost::Work;

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

/// A mechanism: what it holds, its name, whether it chooses and makes anything, how it is made and how it
/// calls.
macro_rules! mechanism {
    ($(#[$doc:meta])* $name:ident($($held:ty),*) = $called:literal, $chooses:literal, $makes:literal,
     make($kind:tt, $by:tt) $make:expr, call($way:tt, $number:ident) $call:expr) => {
        $(#[$doc])*
        pub(super) struct $name($($held),*);

        impl Mechanism for $name {
            const NAME: &'static str = $called;
            const CHOOSES: bool = $chooses;
            const MAKES: bool = $makes;

            fn make($kind: usize, $by: u64) -> Self {
                $make
            }

            #[inline]
            fn call(&self, $number: u64) -> u64 {
                let $way = self;
                $call
            }
        }
    };
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

mechanism! {
    /// A type parameter: the loop is compiled for it, and the function into the loop.
    Generic(u64) = "generic, inlined", false, false,
    make(_, by) Generic(by),
    call(way, number) function(0, way.0, number)
}

#[inline(never)]
fn direct(by: u64, number: u64) -> u64 {
    function(0, by, number)
}

mechanism! {
    /// A function that the compiler knows and does not inline.
    Direct(u64) = "direct call", false, false,
    make(_, by) Direct(by),
    call(way, number) direct(way.0, number)
}

mechanism! {
    /// A pointer to a function, and what it needs beside it.
    Pointer(fn(u64, u64) -> u64, u64) = "function pointer", true, false,
    make(kind, by) Pointer(of_kind!(kind, K => |by, number| function(K, by, number)), by),
    call(way, number) (way.0)(way.1, number)
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

mechanism! {
    /// An object behind an interface, on the heap, as where C++ has a virtual function.
    Object(Box<dyn Operation>) = "trait object (dyn)", true, true,
    make(kind, by) Object(of_kind!(kind, K => Box::new(Step::<K>(by)))),
    call(way, number) way.0.run(number)
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

mechanism! {
    /// A closure on the heap.
    Boxed(Box<dyn Fn(u64) -> u64 + Send>) = "boxed closure", true, true,
    make(kind, by) Boxed(of_kind!(kind, K => Box::new(small::<K>(by)))),
    call(way, number) (way.0)(number)
}

mechanism! {
    /// A closure that has forgotten its type and lies in place.
    Inline(Callable) = "inline type-erased, 8 bytes captured", true, true,
    make(kind, by) Inline(of_kind!(kind, K => Callable::new(small::<K>(by)))),
    call(way, number) way.0.call(number)
}

mechanism! {
    /// The same, too large to lie in place.
    Spilled(Callable) = "inline type-erased, 64 bytes captured", true, true,
    make(kind, by) Spilled(of_kind!(kind, K => Callable::new(large::<K>(by)))),
    call(way, number) way.0.call(number)
}

/// So many calls go by before their order repeats: more than branch predictors remember.
const CALLS: usize = 1 << 16;

/// Which function is called when.
#[derive(Clone)]
pub(super) struct Order(Arc<[u8; CALLS]>);

impl Order {
    /// Always the first.
    pub(super) fn same() -> Self {
        Order(Arc::new([0; CALLS]))
    }

    /// None that could be predicted; another one for each seed.
    pub(super) fn random(seed: u64) -> Self {
        let mut state = seed | 1;
        let kinds = std::array::from_fn(|_| {
            // An xorshift generator: its high bits look random, and only to predictors they must.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 60) as u8 % KINDS as u8
        });
        Order(Arc::new(kinds))
    }

    #[inline]
    fn at(&self, index: u64) -> usize {
        // Below KINDS by how it was made; the remainder spares the check in each call.
        usize::from(self.0[index as usize % CALLS]) % KINDS
    }
}

/// Calls, the function of each chosen by an order.
pub(super) struct Calls<M> {
    ways: [M; KINDS],
    by: u64,
    order: Order,
}

impl<M: Mechanism> Calls<M> {
    pub(super) fn new(by: u64, order: Order) -> Self {
        Calls {
            ways: std::array::from_fn(|kind| M::make(if M::CHOOSES { kind } else { 0 }, by)),
            by,
            order,
        }
    }
}

impl<M: Mechanism> Work for Calls<M> {
    fn name(&self) -> String {
        format!("call by {}", M::NAME)
    }

    #[inline]
    fn once(&mut self, index: u64) -> u64 {
        self.ways[self.order.at(index)].call(black_box(index))
    }

    fn expected(&self, index: u64) -> u64 {
        M::answer(self.order.at(index), self.by, index)
    }
}

/// Makes what is called, calls it once, and drops it.
pub(super) struct Making<M> {
    by: u64,
    made: PhantomData<M>,
}

impl<M> Making<M> {
    pub(super) fn new(by: u64) -> Self {
        Making {
            by,
            made: PhantomData,
        }
    }
}

impl<M: Mechanism> Work for Making<M> {
    fn name(&self) -> String {
        format!("make, call and drop {}", M::NAME)
    }

    #[inline]
    fn once(&mut self, index: u64) -> u64 {
        let way = M::make(0, black_box(self.by));
        black_box(&way).call(black_box(index))
    }

    fn expected(&self, index: u64) -> u64 {
        M::answer(0, self.by, index)
    }
}
