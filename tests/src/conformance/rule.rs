//! What a suite says of an implementation that breaks a rule: which one, what was seen and within which limit it was to be, and
//! where to look.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use futures_lite::FutureExt;

/// A rule of a seam, and the check that it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The check, which can be run alone under this name.
    pub(super) check: &'static str,
    /// What the trait promises.
    pub(super) promise: &'static str,
    /// Where implementations that break it usually do.
    pub(super) look: &'static str,
}

impl Rule {
    /// Runs the check.
    ///
    /// # Panics
    /// With all that is known, if it panics.
    pub(super) fn hold(&self, check: impl FnOnce()) {
        let held = panic::catch_unwind(AssertUnwindSafe(check));
        held.unwrap_or_else(|found| self.broken(found));
    }

    /// Runs the check.
    ///
    /// # Panics
    /// With all that is known, if it panics.
    pub(super) async fn hold_async(&self, check: impl Future<Output = ()>) {
        let held = AssertUnwindSafe(check).catch_unwind().await;
        held.unwrap_or_else(|found| self.broken(found));
    }

    fn broken(&self, found: Box<dyn Any + Send>) -> ! {
        let text = found.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let found = text
            .or_else(|| found.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic that did not say why".to_owned());
        let Self {
            check,
            promise,
            look,
        } = self;
        panic!(
            "a rule is broken: {promise}\n  found: {found}\n  look:  {look}\n  alone: only(&mut subject, \"{check}\"), of the same \
             module"
        );
    }
}

/// The checks of a suite that wait for nobody, each a function of its `Subject`.
macro_rules! checks {
    ($($check:ident: $promise:literal, $look:literal;)*) => {
        /// Runs the whole suite.
        ///
        /// # Panics
        /// Where the implementation does not do what it must.
        pub fn suite(subject: &mut dyn Subject) {
            for (rule, check) in checks() {
                rule.hold(|| check(subject));
            }
        }

        /// Runs one check.
        ///
        /// # Panics
        /// Where the implementation does not do what it must, or if no check is called that.
        pub fn only(subject: &mut dyn Subject, check: &str) {
            for (rule, check) in $crate::conformance::rule::named(checks(), check) {
                rule.hold(|| check(subject));
            }
        }

        fn checks() -> Vec<($crate::conformance::rule::Rule, fn(&mut dyn Subject))> {
            vec![$((
                $crate::conformance::rule::Rule {
                    check: stringify!($check),
                    promise: $promise,
                    look: $look,
                },
                $check as fn(&mut dyn Subject),
            )),*]
        }
    };
}

pub(super) use checks;

/// The checks of a suite that are called `name`.
///
/// # Panics
/// If there are none.
pub(super) fn named<T>(checks: Vec<(Rule, T)>, name: &str) -> Vec<(Rule, T)> {
    let names: Vec<&str> = checks.iter().map(|(rule, _)| rule.check).collect();
    assert!(
        names.contains(&name),
        "no check is called {name}: {names:?}"
    );
    checks
        .into_iter()
        .filter(|(rule, _)| rule.check == name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_rule_is_told_with_what_was_found_and_where_to_look() {
        let rule = Rule {
            check: "frames_arrive",
            promise: "frames arrive",
            look: "at the queue",
        };
        rule.hold(|| ());
        let broken = panic::catch_unwind(|| rule.hold(|| panic!("{} of 2 frames, at least 2", 1)));
        let told = broken.unwrap_err();
        let told = told.downcast_ref::<String>().expect("words");
        let expected = "a rule is broken: frames arrive\n  found: 1 of 2 frames, at least 2\n  look:  at the queue\n  alone: \
                        only(&mut subject, \"frames_arrive\"), of the same module";
        assert_eq!(told, expected);
    }
}
