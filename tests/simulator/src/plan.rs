// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Plan`]: what the applications at both ends do with their connection, and what must come of it.
//!
//! Each end knows the whole plan. The stream with index `i` of those of a type that an endpoint
//! opens is entry `i` of the plan's list for them, so the peer knows from the stream ID alone which
//! bytes it must get, and how they end.

use crate::pattern::Pattern;
use crate::random::{scramble, Chance, Random};
use quic_core::role::Role;
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::Duration;

/// A workload.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides the bytes.
    pub seed: u64,
    /// The streams, those of each opener and type in the order in which they are opened.
    pub streams: Vec<StreamPlan>,
    /// The lengths of the datagrams that the client sends, and those of the server.
    pub datagrams: [Vec<usize>; 2],
    /// Between two datagrams.
    pub datagram_interval: Duration,
    /// Who updates keys, how long after its handshake is confirmed.
    pub key_updates: Vec<(Role, Duration)>,
    /// When the client goes to another address of its own, how long after its handshake is
    /// confirmed. Sorted.
    pub migrations: Vec<Duration>,
    /// Who closes the connection when all is done.
    pub closer: Role,
}

/// What happens on a stream.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// Who opens it.
    pub opener: Role,
    /// When it may be opened at the earliest, after the first one could be.
    pub start: Duration,
    /// What the opener sends.
    pub request: HalfPlan,
    /// What the other sends: only on a bidirectional stream.
    pub response: Option<(Reply, HalfPlan)>,
}

/// When a response is sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Without regard to the request.
    AtOnce,
    /// After all of the request.
    After,
    /// It is the request, byte for byte as it comes in.
    Echo,
}

/// What happens in one direction of a stream.
#[derive(Clone, Debug)]
pub struct HalfPlan {
    /// How many bytes are sent.
    pub size: u64,
    /// The sender resets the stream after them, with this code, instead of finishing it.
    pub reset: Option<u64>,
    /// The receiver stops the stream after at least so many bytes, with this code.
    pub stop: Option<(u64, u64)>,
    /// How many bytes the sender writes at once.
    pub write: usize,
    /// How many bytes the receiver reads at once.
    pub read: usize,
    /// How long the receiver waits between two reads.
    pub pause: Duration,
}

impl HalfPlan {
    /// `size` bytes, written and read as fast as possible, then the end.
    pub fn plain(size: u64) -> Self {
        Self {
            size,
            reset: None,
            stop: None,
            write: 16 << 10,
            read: 64 << 10,
            pause: Duration::ZERO,
        }
    }

    fn random(random: &mut Random, budget: u64) -> Self {
        let size = random.magnitude(0..=budget);
        Self::random_of(random, size)
    }

    /// It takes at most 200 writes, and as many reads: with all pauses less than an idle timeout.
    fn random_of(random: &mut Random, size: u64) -> Self {
        let some = Chance::percent(10);
        Self {
            size,
            reset: random.happens(some).then(|| random.magnitude(0..=1 << 40)),
            stop: random
                .happens(some)
                .then(|| (random.within(0..=size), random.magnitude(0..=1 << 40))),
            write: random.magnitude(1 + size / 200..=size / 4 + 16_384) as usize,
            read: random.magnitude(1 + size / 200..=size / 4 + 16_384) as usize,
            pause: match random.happens(some) {
                true => Duration::from_micros(random.magnitude(1..=5_000)),
                false => Duration::ZERO,
            },
        }
    }
}

impl StreamPlan {
    /// Its type.
    pub fn directionality(&self) -> Directionality {
        match self.response {
            Some(_) => Directionality::Bidirectional,
            None => Directionality::Unidirectional,
        }
    }

    /// What `sender` sends on it.
    pub fn half(&self, sender: Role) -> Option<&HalfPlan> {
        if sender == self.opener {
            return Some(&self.request);
        }
        self.response.as_ref().map(|(_, half)| half)
    }

    /// Whether the response is the request.
    pub fn echoes(&self) -> bool {
        matches!(self.response, Some((Reply::Echo, _)))
    }
}

impl Plan {
    /// Nothing but a handshake.
    pub fn empty(seed: u64) -> Self {
        Self {
            seed,
            streams: Vec::new(),
            datagrams: [Vec::new(), Vec::new()],
            datagram_interval: Duration::ZERO,
            key_updates: Vec::new(),
            migrations: Vec::new(),
            closer: Role::Client,
        }
    }

    /// The client asks on a stream each and gets files of these `sizes`.
    pub fn download(seed: u64, sizes: &[u64]) -> Self {
        let stream = |size: &u64| StreamPlan {
            opener: Role::Client,
            start: Duration::ZERO,
            request: HalfPlan::plain(30),
            response: Some((Reply::After, HalfPlan::plain(*size))),
        };
        Self {
            streams: sizes.iter().map(stream).collect(),
            ..Self::empty(seed)
        }
    }

    /// The client sends files of these `sizes` on a stream each.
    pub fn upload(seed: u64, sizes: &[u64]) -> Self {
        let stream = |size: &u64| StreamPlan {
            opener: Role::Client,
            start: Duration::ZERO,
            request: HalfPlan::plain(*size),
            response: None,
        };
        Self {
            streams: sizes.iter().map(stream).collect(),
            ..Self::empty(seed)
        }
    }

    /// A random mixture, of about `budget` bytes at most.
    pub fn random(seed: u64, budget: u64) -> Self {
        let mut random = Random::new(seed, "plan");
        let count = random.magnitude(1..=64);
        let each = (budget / count).max(1);
        let mut streams: Vec<StreamPlan> = (0..count)
            .map(|_| random_stream(&mut random, each))
            .collect();
        streams.sort_by_key(|stream| stream.start);
        let mut it = Self {
            streams,
            closer: random.pick(&[Role::Client, Role::Server]),
            ..Self::empty(seed)
        };
        if random.happens(Chance::percent(30)) {
            for lengths in &mut it.datagrams {
                *lengths = (0..random.magnitude(0..=50))
                    .map(|_| random.magnitude(4..=1_100) as usize)
                    .collect();
            }
            it.datagram_interval = Duration::from_micros(random.magnitude(1..=50_000));
        }
        if random.happens(Chance::percent(20)) {
            it.key_updates = (0..random.within(1..=3))
                .map(|_| {
                    let who = random.pick(&[Role::Client, Role::Server]);
                    (who, Duration::from_micros(random.magnitude(1..=2_000_000)))
                })
                .collect();
            it.key_updates.sort_by_key(|(_, at)| *at);
        }
        if random.happens(Chance::percent(10)) {
            it.migrations = (0..random.within(1..=2))
                .map(|_| Duration::from_micros(random.magnitude(1..=2_000_000)))
                .collect();
            it.migrations.sort_unstable();
        }
        it
    }

    /// The streams that `opener` opens of a type.
    pub fn opened_by(
        &self,
        opener: Role,
        directionality: Directionality,
    ) -> impl Iterator<Item = &StreamPlan> {
        self.streams.iter().filter(move |stream| {
            stream.opener == opener && stream.directionality() == directionality
        })
    }

    /// The bytes that `sender` sends on a stream.
    pub fn pattern(&self, stream: StreamId, sender: Role, echoes: bool) -> Pattern {
        // An echo has the bytes of the request.
        let sender = if echoes { stream.initiator() } else { sender };
        let key = stream.get().get() * 2 + sender as u64;
        Pattern::new(scramble(self.seed) ^ key)
    }

    /// The bytes of the datagrams that `sender` sends, each from its number on.
    pub fn datagram_pattern(&self, sender: Role) -> Pattern {
        Pattern::new(scramble(self.seed ^ 0xda7a) ^ sender as u64)
    }

    /// How many bytes are sent on streams.
    pub fn total(&self) -> u64 {
        let halves = self.streams.iter().flat_map(|stream| {
            [Role::Client, Role::Server].map(|role| stream.half(role).map_or(0, |half| half.size))
        });
        halves.sum()
    }
}

fn random_stream(random: &mut Random, budget: u64) -> StreamPlan {
    let mut request = HalfPlan::random(random, budget);
    let response = match random.below(5) {
        0 | 1 => None,
        2 => Some((Reply::AtOnce, HalfPlan::random(random, budget))),
        3 => Some((Reply::After, HalfPlan::random(random, budget))),
        _ => {
            // Only what comes whole can be sent back whole.
            request.reset = None;
            request.stop = None;
            let response = HalfPlan {
                reset: None,
                ..HalfPlan::random_of(random, request.size)
            };
            Some((Reply::Echo, response))
        }
    };
    let start = match random.below(2) {
        0 => Duration::ZERO,
        _ => Duration::from_micros(random.magnitude(1..=1_000_000)),
    };
    StreamPlan {
        opener: random.pick(&[Role::Client, Role::Server]),
        start,
        request,
        response,
    }
}
