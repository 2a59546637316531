//! Users' functions and their arguments, with types erased: what delayed values and submitted tasks have in common.
//!
//! Functions get references to their arguments. So values are shared between tasks and never copied, and a task can run
//! again, be it to retry it or to look at why it failed.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::error::{Call, Error, Result};

/// A value of any type, shared between those who read it.
pub(crate) type Shared = Arc<dyn Any + Send + Sync>;

/// A function that can run as a task: any `Fn` of up to eight references, such as `|x: &f64, y: &f64| x + y`.
///
/// `P` is the tuple of the types that it takes references to. Closures have to name them.
#[diagnostic::on_unimplemented(
    message = "a task calls its function with references to the arguments: `|x: &A, y: &B| …`",
    label = "not a function of references to `{P}`"
)]
pub trait Function<P>: Send + Sync + 'static {
    /// What the function returns.
    type Output;

    #[doc(hidden)]
    fn call(&self, arguments: &[&(dyn Any + Send + Sync)]) -> Self::Output;
}

/// A tuple of arguments for a function that takes references to the types in the tuple `P`.
pub trait Arguments<P, L> {
    #[doc(hidden)]
    fn push_to(self, list: &mut L);
}

/// Something that can stand for a value of type `A` in the list of arguments `L`: the value itself, or where it will come from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument where the function takes `&{A}`",
    note = "an argument is a value of that type, or a delayed value or future of it; a list of these stands for a `Vec`"
)]
pub trait Argument<A, L> {
    #[doc(hidden)]
    fn push_to(self, list: &mut L);
}

/// Where arguments are put.
#[doc(hidden)]
pub trait ArgumentList {
    /// Adds a value that is there.
    fn push_value(&mut self, value: Arc<dyn Any + Send + Sync>);
}

impl<A: Any + Send + Sync, L: ArgumentList> Argument<A, L> for A {
    fn push_to(self, list: &mut L) {
        list.push_value(Arc::new(self));
    }
}

macro_rules! arities {
    ($(($($a:ident $x:ident $i:tt),*))*) => {$(
        impl<Fun, Out, $($a: Any),*> Function<($($a,)*)> for Fun
        where
            Fun: Fn($(&$a),*) -> Out + Send + Sync + 'static,
        {
            type Output = Out;

            fn call(&self, _arguments: &[&(dyn Any + Send + Sync)]) -> Out {
                self($(typed::<$a>(_arguments[$i])),*)
            }
        }

        impl<List, $($a, $x),*> Arguments<($($a,)*), List> for ($($x,)*)
        where
            $($x: Argument<$a, List>),*
        {
            fn push_to(self, _list: &mut List) {
                $(self.$i.push_to(_list);)*
            }
        }
    )*};
}

arities! {
    ()
    (A X 0)
    (A X 0, B Y 1)
    (A X 0, B Y 1, C Z 2)
    (A X 0, B Y 1, C Z 2, D W 3)
    (A X 0, B Y 1, C Z 2, D W 3, E V 4)
    (A X 0, B Y 1, C Z 2, D W 3, E V 4, F U 5)
    (A X 0, B Y 1, C Z 2, D W 3, E V 4, F U 5, G T 6)
    (A X 0, B Y 1, C Z 2, D W 3, E V 4, F U 5, G T 6, H S 7)
}

fn typed<A: Any>(value: &(dyn Any + Send + Sync)) -> &A {
    value.downcast_ref().expect("arguments are of the types that were checked when they were bound")
}

/// Where a bound function gets one of its arguments from.
pub(crate) enum Slot {
    /// It is there.
    Value(Shared),
    /// The next input.
    Input,
    /// So many of the next inputs, as a list.
    List(usize, fn(&[Shared]) -> Shared),
}

/// A list of values of type `A`.
pub(crate) fn listed<A: Any + Clone + Send + Sync>(values: &[Shared]) -> Shared {
    Arc::new(values.iter().map(|value| typed::<A>(&**value).clone()).collect::<Vec<A>>())
}

/// A function without its types.
pub(crate) type Erased = Arc<dyn Fn(&[&(dyn Any + Send + Sync)]) -> Result<Shared> + Send + Sync>;

/// `function`, whose values are results.
pub(crate) fn erased<P, F>(function: F) -> Erased
where
    F: Function<P>,
    F::Output: Any + Send + Sync,
{
    Arc::new(move |arguments| Ok(Arc::new(function.call(arguments)) as Shared))
}

/// `function`, which may return an error.
pub(crate) fn erased_fallible<P, F, T, E>(call: Call, function: F) -> Erased
where
    F: Function<P, Output = Result<T, E>>,
    T: Any + Send + Sync,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Arc::new(move |arguments| match function.call(arguments) {
        Ok(value) => Ok(Arc::new(value) as Shared),
        Err(error) => Err(Error::of_function(call, error.into())),
    })
}

/// A function with its arguments, as far as they are there.
pub(crate) struct Bound {
    pub(crate) function: Erased,
    pub(crate) slots: Vec<Slot>,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a function of {} arguments", self.slots.len())
    }
}

impl Bound {
    pub(crate) fn has_lists(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::List(..)))
    }

    /// Calls the function; `inputs` are the values that were not there when it was bound.
    pub(crate) fn run(&self, inputs: &[Shared]) -> Result<Shared> {
        let mut next = 0;
        // Lists live until the function returns.
        let lists: Vec<Shared> = self
            .slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Value(_) => None,
                Slot::Input => {
                    next += 1;
                    None
                }
                Slot::List(n, join) => {
                    next += n;
                    Some(join(&inputs[next - n..next]))
                }
            })
            .collect();
        let (mut next, mut lists) = (0, lists.iter());
        let arguments: Vec<&(dyn Any + Send + Sync)> = self
            .slots
            .iter()
            .map(|slot| match slot {
                Slot::Value(value) => &**value,
                Slot::Input => {
                    next += 1;
                    &*inputs[next - 1]
                }
                Slot::List(n, _) => {
                    next += n;
                    &**lists.next().expect("each list was made")
                }
            })
            .collect();
        (self.function)(&arguments)
    }
}

/// What people call a function by: its name, or where it was written.
pub(crate) fn name_of<F>() -> String {
    short_name(std::any::type_name::<F>())
}

fn short_name(path: &str) -> String {
    let path = path.split('<').next().unwrap_or(path);
    let is_closure = path.ends_with("}}");
    let path = path.trim_end_matches("::{{closure}}");
    let name = path.rsplit("::").next().unwrap_or(path);
    if is_closure { format!("closure in {name}") } else { name.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct List(Vec<Slot>);

    impl ArgumentList for List {
        fn push_value(&mut self, value: Shared) {
            self.0.push(Slot::Value(value));
        }
    }

    fn bound<P, F: Function<P>>(function: F, arguments: impl Arguments<P, List>) -> Bound
    where
        F::Output: Any + Send + Sync,
    {
        let mut list = List::default();
        arguments.push_to(&mut list);
        Bound { function: erased(function), slots: list.0 }
    }

    fn double(x: &f64) -> f64 {
        2.0 * x
    }

    #[test]
    fn functions_and_closures_of_any_arity_are_called() {
        let value = |bound: Bound| *bound.run(&[]).unwrap().downcast_ref::<f64>().unwrap();
        assert_eq!(value(bound(double, (4.0,))), 8.0);
        assert_eq!(value(bound(|| 3.0, ())), 3.0);
        let text = |s: &String, x: &f64| s.len() as f64 + x;
        assert_eq!(value(bound(text, ("four".to_string(), 0.5))), 4.5);
    }

    #[test]
    fn inputs_and_lists_come_in_their_order() {
        let function = |a: &i32, list: &Vec<i32>, b: &i32, none: &Vec<i32>| {
            vec![*a, list.iter().sum(), *b, none.len() as i32]
        };
        let slots = vec![
            Slot::Input,
            Slot::List(3, listed::<i32>),
            Slot::Value(Arc::new(7)),
            Slot::List(0, listed::<i32>),
        ];
        let bound = Bound { function: erased(function), slots };
        let inputs = [1, 10, 20, 30].map(|i: i32| Arc::new(i) as Shared);
        let value = bound.run(&inputs).unwrap();
        assert_eq!(value.downcast_ref::<Vec<i32>>().unwrap(), &[1, 60, 7, 0]);
    }

    #[test]
    fn names_are_short() {
        assert_eq!(short_name(std::any::type_name_of_val(&double)), "double");
        let closure = || 1;
        assert!(
            short_name(std::any::type_name_of_val(&closure)).starts_with("closure in names_are")
        );
    }
}
