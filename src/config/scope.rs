//! Settings that hold for a while on one thread, and for the tasks of a run that starts meanwhile.

use std::cell::RefCell;

use super::Config;

thread_local! {
    /// The overrides that hold on this thread, each including those below it.
    static STACK: RefCell<Vec<Ambient>> = const { RefCell::new(Vec::new()) };
}

/// The overrides that hold at one place, to be carried to another thread.
#[derive(Clone, Debug)]
pub(crate) struct Ambient(Option<Config>);

impl Ambient {
    /// The overrides that hold right here.
    pub(crate) fn capture() -> Self {
        STACK.with_borrow(|stack| stack.last().cloned()).unwrap_or(Ambient(None))
    }

    /// Calls `f` with these overrides and no others, be they fewer than those that hold here.
    ///
    /// A thread that waits for one run may help with another one, whose settings are different.
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        STACK.with_borrow_mut(|stack| stack.push(self.clone()));
        let _pop = Pop;
        f()
    }

    /// How many overrides are stacked on this thread; tasks of runs are inside of one at least.
    pub(crate) fn depth() -> usize {
        STACK.with_borrow(Vec::len)
    }

    pub(super) fn config(&self) -> Option<&Config> {
        self.0.as_ref()
    }
}

/// Calls `f` with `config` on top of the overrides that hold here.
pub(super) fn with<R>(config: &Config, f: impl FnOnce() -> R) -> R {
    let mut merged = Ambient::capture().0.unwrap_or_default();
    merged.override_with(Some(config));
    Ambient(Some(merged)).enter(f)
}

/// Takes the last override off again, also when unwinding.
struct Pop;

impl Drop for Pop {
    fn drop(&mut self) {
        STACK.with_borrow_mut(|stack| stack.pop());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads() -> usize {
        Config::current().unwrap().threads()
    }

    #[test]
    fn inner_scopes_override_and_outer_ones_come_back() {
        let outer = Config::new().with_threads(7).with_split_every(9);
        outer.scope(|| {
            Config::new().with_threads(3).scope(|| {
                assert_eq!((threads(), Config::current().unwrap().split_every()), (3, 9));
            });
            assert_eq!(threads(), 7);
            let caught = std::panic::catch_unwind(|| {
                Config::new().with_threads(5).scope(|| std::panic::resume_unwind(Box::new(())))
            });
            assert!(caught.is_err());
            assert_eq!(threads(), 7);
        });
    }

    #[test]
    fn an_ambient_masks_what_holds_where_it_is_entered() {
        let nothing = Ambient::capture();
        Config::new().with_split_every(11).scope(|| {
            let something = Ambient::capture();
            nothing.enter(|| assert_eq!(Config::current().unwrap().split_every(), 4));
            std::thread::scope(|s| {
                s.spawn(|| {
                    assert_eq!(Config::current().unwrap().split_every(), 4);
                    something.enter(|| {
                        assert_eq!(Config::current().unwrap().split_every(), 11);
                    });
                });
            });
        });
    }
}
