// SPDX-License-Identifier: MIT OR Apache-2.0

//! A case: a named function that panics if the module does not do what it should.

use crate::sys::address::Family;
use std::time::Duration;

/// The network namespace a case runs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// A new one, with nothing but a loopback interface that is up. Cases of this kind may run side
    /// by side.
    New,
    /// One like that, in which others have run before, one after the other, and have left nothing.
    /// To make a new one for each would take the debug kernel longer than the cases themselves.
    Shared,
    /// The initial one, where some sysctls are. Such a case runs alone.
    Initial,
}

/// Nouns whose cases leave nothing behind but closed sockets, if they do not say otherwise.
const SHARING: [&str; 24] = [
    "accept",
    "bind",
    "bind_sharing",
    "connect",
    "create",
    "generic_options",
    "ioctl",
    "listen",
    "listen_alpn",
    "names",
    "option",
    "option_alpn",
    "option_config",
    "option_connection",
    "option_event",
    "option_handshake",
    "option_stream",
    "option_ticket",
    "option_token",
    "option_transport_param",
    "poll",
    "recvmsg",
    "sendmsg",
    "shutdown",
];

/// One test.
pub(crate) struct Case {
    /// `noun.what_is_expected`
    pub(crate) name: String,
    pub(crate) body: Box<dyn Fn()>,
    pub(crate) place: Place,
    /// What it may take on an ordinary machine.
    pub(crate) limit: Duration,
}

/// A suffix of the name, and the function to call.
pub(crate) type Variant = (&'static str, Box<dyn Fn()>);

/// A function that can be a case. `For` tells the two kinds of signature apart.
pub(crate) trait Body<For> {
    /// The cases it stands for.
    fn variants(self) -> Vec<Variant>;
}

impl<F: Fn() + 'static> Body<()> for F {
    fn variants(self) -> Vec<Variant> {
        vec![("", Box::new(self))]
    }
}

/// A function of an address family is one case for each family.
impl<F: Fn(Family) + Copy + 'static> Body<Family> for F {
    fn variants(self) -> Vec<Variant> {
        vec![
            ("_v4", Box::new(move || self(Family::V4))),
            ("_v6", Box::new(move || self(Family::V6))),
        ]
    }
}

/// The cases one function stands for, while their properties are being set.
pub(crate) struct Cases(pub(crate) Vec<Case>);

impl Cases {
    pub(crate) fn new<For>(noun: &str, name: &str, body: impl Body<For>) -> Self {
        let case = |(suffix, body)| Case {
            name: format!("{noun}.{name}{suffix}"),
            body,
            place: match SHARING.contains(&noun) {
                true => Place::Shared,
                false => Place::New,
            },
            limit: Duration::from_secs(30),
        };
        Self(body.variants().into_iter().map(case).collect())
    }

    /// Runs them in the initial network namespace.
    pub(crate) fn in_init_net(mut self) -> Self {
        self.0
            .iter_mut()
            .for_each(|case| case.place = Place::Initial);
        self
    }

    /// Runs each in a new network namespace, which it changes.
    pub(crate) fn in_new_net(mut self) -> Self {
        self.0.iter_mut().for_each(|case| case.place = Place::New);
        self
    }

    /// Gives them another time limit than the usual one.
    pub(crate) fn within(mut self, seconds: u64) -> Self {
        self.0
            .iter_mut()
            .for_each(|case| case.limit = Duration::from_secs(seconds));
        self
    }
}

/// `cases! { "noun": function, function.within(60), … }` defines `fn cases()` of a file of cases.
macro_rules! cases {
    ($noun:literal: $($name:ident $(.$property:ident($($value:literal)?))*),* $(,)?) => {
        /// The cases of this file, in the order they run in.
        pub(crate) fn cases() -> Vec<$crate::harness::case::Case> {
            let groups = [$(
                $crate::harness::case::Cases::new($noun, stringify!($name), $name)
                    $(.$property($($value)?))*
            ),*];
            groups.into_iter().flat_map(|group| group.0).collect()
        }
    };
}
pub(crate) use cases;
