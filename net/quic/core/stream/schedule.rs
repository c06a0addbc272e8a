// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Schedule`]: which stream sends next.
//!
//! Streams are linked into queues through themselves, so that any stream can join and leave in
//! constant time and without memory. A stream is in at most two: the one for control frames, and
//! one for data, either that of its urgency or the parking place. It is parked when what it has may
//! not be sent yet: because it waits for more, or because the limit of the connection is reached.
//! Then nobody has to look at it until that changes.
//!
//! ```text
//!   control:  7 <-> 12
//!   ready:    [0] 4    [3] 8 <-> 12 <-> 16     lowest urgency first, in it round robin
//!   parked:   20 <-> 24
//! ```

use super::entry::Stream;
use super::send::Tail;
use crate::pool::{Pool, Slot};
use kernel::alloc::KBox;

/// How many levels of urgency there are (RFC 9218 §4.1 has the same).
pub const URGENCIES: u8 = 8;

/// The urgency of a stream for which none was set, as in RFC 9218 §4.1.
pub const DEFAULT_URGENCY: u8 = 3;

/// After how many bytes the next stream of the same urgency has its turn. A batch of datagrams is
/// up to 64 KiB: four streams share it. Turns of a packet each would touch more streams for each
/// batch and end none of them earlier.
const TURN: u32 = 16 * 1024;

pub(crate) type Slab = Pool<KBox<Stream>>;

/// The place of a stream in the queues.
#[derive(Debug)]
pub(crate) struct Links {
    control: Link,
    data: Link,
    in_control: bool,
    in_data: Data,
    urgency: u8,
    /// Whether the stream shares its urgency with others; else it is served to its end.
    incremental: bool,
    /// How much it has sent in this turn, in bytes.
    turn: u32,
}

#[derive(Copy, Clone, Debug)]
struct Link {
    previous: Slot,
    next: Slot,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Data {
    No,
    Ready,
    Parked,
}

/// Which of the two links a queue runs through.
#[derive(Copy, Clone)]
enum Through {
    Control,
    Data,
}

#[derive(Debug)]
struct Queue {
    head: Slot,
    tail: Slot,
}

/// The queues of a connection.
#[derive(Debug)]
pub(crate) struct Schedule {
    // INVARIANT: `in_control` and `in_data` of a stream tell in which queues it is; it is in
    // `ready[urgency]` when ready. Bit n of `occupied` is set if `ready[n]` is not empty.
    control: Queue,
    ready: [Queue; URGENCIES as usize],
    occupied: u8,
    parked: Queue,
    /// The least that was permitted when a stream was parked because its data waits for more;
    /// `None` if none was.
    held_at: Option<Tail>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            control: Link::NONE,
            data: Link::NONE,
            in_control: false,
            in_data: Data::No,
            urgency: DEFAULT_URGENCY,
            incremental: true,
            turn: 0,
        }
    }
}

impl Link {
    const NONE: Self = Self {
        previous: Slot::NONE,
        next: Slot::NONE,
    };
}

impl Links {
    /// The stream has sent `len` bytes: returns whether its turn is over.
    #[inline]
    pub(crate) fn count(&mut self, len: usize) -> bool {
        self.turn = self
            .turn
            .saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        self.turn >= TURN && self.incremental
    }

    fn link(&mut self, through: Through) -> &mut Link {
        match through {
            Through::Control => &mut self.control,
            Through::Data => &mut self.data,
        }
    }
}

#[inline]
fn links(slab: &mut Slab, slot: Slot) -> Option<&mut Links> {
    slab.get_mut(slot).map(|stream| &mut stream.links)
}

impl Queue {
    const EMPTY: Self = Self {
        head: Slot::NONE,
        tail: Slot::NONE,
    };

    fn push_back(&mut self, slab: &mut Slab, through: Through, slot: Slot) {
        if let Some(links) = links(slab, slot) {
            *links.link(through) = Link {
                previous: self.tail,
                next: Slot::NONE,
            };
        }
        match links(slab, self.tail) {
            Some(tail) => tail.link(through).next = slot,
            None => self.head = slot,
        }
        self.tail = slot;
    }

    fn unlink(&mut self, slab: &mut Slab, through: Through, slot: Slot) {
        let Some(own) = links(slab, slot) else { return };
        let Link { previous, next } = core::mem::replace(own.link(through), Link::NONE);
        match links(slab, previous) {
            Some(previous) => previous.link(through).next = next,
            None => self.head = next,
        }
        match links(slab, next) {
            Some(next) => next.link(through).previous = previous,
            None => self.tail = previous,
        }
    }
}

impl Schedule {
    pub(crate) const fn new() -> Self {
        Self {
            control: Queue::EMPTY,
            ready: [const { Queue::EMPTY }; URGENCIES as usize],
            occupied: 0,
            parked: Queue::EMPTY,
            held_at: None,
        }
    }

    /// The stream at `slot` has control frames to send.
    pub(crate) fn want_control(&mut self, slab: &mut Slab, slot: Slot) {
        match links(slab, slot) {
            Some(links) if !links.in_control => links.in_control = true,
            _ => return,
        }
        self.control.push_back(slab, Through::Control, slot);
    }

    /// The stream whose control frames are sent next.
    #[inline]
    pub(crate) fn next_control(&self) -> Option<Slot> {
        self.control.head.some()
    }

    /// The stream at `slot` has no control frame left to send.
    pub(crate) fn end_control(&mut self, slab: &mut Slab, slot: Slot) {
        match links(slab, slot) {
            Some(links) if links.in_control => links.in_control = false,
            _ => return,
        }
        self.control.unlink(slab, Through::Control, slot);
    }

    /// The stream at `slot` has data, and it may be that it can be sent.
    #[inline]
    pub(crate) fn want_data(&mut self, slab: &mut Slab, slot: Slot) {
        match links(slab, slot) {
            Some(links) if links.in_data != Data::Ready => {}
            _ => return,
        }
        self.end_data(slab, slot);
        let Some(links) = links(slab, slot) else {
            return;
        };
        links.in_data = Data::Ready;
        let urgency = links.urgency;
        if let Some(queue) = self.ready.get_mut(usize::from(urgency)) {
            queue.push_back(slab, Through::Data, slot);
            self.occupied |= bit(urgency);
        }
    }

    /// The stream at `slot` has no data that can be sent.
    pub(crate) fn end_data(&mut self, slab: &mut Slab, slot: Slot) {
        let Some(links) = links(slab, slot) else {
            return;
        };
        let urgency = links.urgency;
        match core::mem::replace(&mut links.in_data, Data::No) {
            Data::No => {}
            Data::Parked => self.parked.unlink(slab, Through::Data, slot),
            Data::Ready => {
                links.turn = 0;
                if let Some(queue) = self.ready.get_mut(usize::from(urgency)) {
                    queue.unlink(slab, Through::Data, slot);
                    if queue.head.is_none() {
                        self.occupied &= !bit(urgency);
                    }
                }
            }
        }
    }

    /// The stream at `slot` has data that cannot be sent for now: as it waits for more, if it is
    /// `held` at that level.
    pub(crate) fn park(&mut self, slab: &mut Slab, slot: Slot, held: Option<Tail>) {
        self.end_data(slab, slot);
        let Some(links) = links(slab, slot) else {
            return;
        };
        links.in_data = Data::Parked;
        self.parked.push_back(slab, Through::Data, slot);
        if let Some(tail) = held {
            self.held_at = Some(self.held_at.map_or(tail, |at| at.min(tail)));
        }
    }

    /// What was parked may be sent now, perhaps.
    pub(crate) fn unpark(&mut self, slab: &mut Slab) {
        while let Some(slot) = self.parked.head.some() {
            self.want_data(slab, slot);
        }
        self.held_at = None;
    }

    /// The stream whose data is sent next, at that level.
    #[inline]
    pub(crate) fn next_data(&mut self, slab: &mut Slab, tail: Tail) -> Option<Slot> {
        // Those that are parked for another reason will be parked again, without setting `held_at`:
        // this happens once.
        if self.releases(tail) {
            self.unpark(slab);
        }
        self.first_ready()
    }

    /// The stream whose data is sent next, whatever is parked.
    #[inline]
    pub(crate) fn first_ready(&self) -> Option<Slot> {
        let urgency = usize::try_from(self.occupied.trailing_zeros()).ok()?;
        self.ready.get(urgency)?.head.some()
    }

    /// Whether a stream has data that it may be possible to send at that level.
    #[inline]
    pub(crate) fn has_data(&self, tail: Tail) -> bool {
        self.occupied != 0 || self.releases(tail)
    }

    /// Whether data that waits for more may wait no longer at that level.
    #[inline]
    fn releases(&self, tail: Tail) -> bool {
        self.held_at.is_some_and(|at| tail > at)
    }

    /// The stream at `slot`, which was next, has sent `len` bytes and has more.
    #[inline]
    pub(crate) fn on_sent(&mut self, slab: &mut Slab, slot: Slot, len: usize) {
        if links(slab, slot).is_some_and(|links| links.count(len)) {
            self.end_turn(slab, slot);
        }
    }

    /// The stream at `slot`, which was next, has sent as much as it may before others.
    pub(crate) fn end_turn(&mut self, slab: &mut Slab, slot: Slot) {
        let Some(links) = links(slab, slot) else {
            return;
        };
        let queue = self.ready.get(usize::from(links.urgency));
        if queue.is_some_and(|queue| queue.head == queue.tail) {
            // It is alone, and goes on.
            links.turn = 0;
            return;
        }
        self.end_data(slab, slot);
        self.want_data(slab, slot);
    }

    /// The stream at `slot` has a new urgency, the lowest being sent first, and shares it with
    /// others or not.
    pub(crate) fn set_priority(
        &mut self,
        slab: &mut Slab,
        slot: Slot,
        urgency: u8,
        incremental: bool,
    ) {
        let Some(own) = links(slab, slot) else { return };
        let was_ready = own.in_data == Data::Ready;
        if was_ready {
            self.end_data(slab, slot);
        }
        if let Some(own) = links(slab, slot) {
            own.urgency = urgency.min(URGENCIES - 1);
            own.incremental = incremental;
        }
        if was_ready {
            self.want_data(slab, slot);
        }
    }

    /// The stream at `slot` goes away.
    pub(crate) fn remove(&mut self, slab: &mut Slab, slot: Slot) {
        self.end_control(slab, slot);
        self.end_data(slab, slot);
    }
}

fn bit(urgency: u8) -> u8 {
    1_u8.wrapping_shl(u32::from(urgency))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream_id::StreamId;
    use crate::varint::VarInt;
    use kernel::alloc::flags::GFP_KERNEL;
    use proptest::prelude::*;

    struct Fixture {
        slab: Slab,
        schedule: Schedule,
        slots: Vec<Slot>,
    }

    impl Fixture {
        fn new(streams: u32) -> Self {
            let mut slab = Slab::new();
            let slots = (0..streams)
                .map(|id| {
                    let stream = Stream::new(StreamId::new(VarInt::from_u32(id)), None, None);
                    slab.reserve(1, GFP_KERNEL).unwrap();
                    slab.insert(KBox::new(stream, GFP_KERNEL).unwrap())
                        .ok()
                        .unwrap()
                })
                .collect();
            Self {
                slab,
                schedule: Schedule::new(),
                slots,
            }
        }

        fn next(&mut self, tail: Tail) -> Option<usize> {
            let next = self.schedule.next_data(&mut self.slab, tail)?;
            self.slots.iter().position(|slot| *slot == next)
        }

        fn want(&mut self, n: usize) {
            self.schedule.want_data(&mut self.slab, self.slots[n]);
        }

        fn sent(&mut self, n: usize, len: usize) {
            self.schedule.on_sent(&mut self.slab, self.slots[n], len);
        }
    }

    #[test]
    fn round_robin_in_turns() {
        let mut fixture = Fixture::new(3);
        (0..3).for_each(|n| fixture.want(n));
        let mut order = vec![];
        for _ in 0..42 {
            let n = fixture.next(Tail::Held).unwrap();
            order.push(n);
            fixture.sent(n, 1200);
        }
        let expected: Vec<usize> = [0, 1, 2].iter().flat_map(|n| [*n; 14]).collect();
        assert_eq!(order, expected, "14 packets exceed 16 KiB");
        assert_eq!(fixture.next(Tail::Held), Some(0));
    }

    #[test]
    fn urgency_rules_and_who_does_not_share_is_served_to_the_end() {
        let mut fixture = Fixture::new(4);
        let priority = |fixture: &mut Fixture, n: usize, urgency, incremental| {
            fixture.schedule.set_priority(
                &mut fixture.slab,
                fixture.slots[n],
                urgency,
                incremental,
            );
        };
        (0..4).for_each(|n| fixture.want(n));
        priority(&mut fixture, 2, 0, false);
        priority(&mut fixture, 1, 0, false);
        priority(&mut fixture, 3, 200, true);
        assert_eq!(fixture.next(Tail::Held), Some(2));
        fixture.sent(2, 1 << 20);
        assert_eq!(fixture.next(Tail::Held), Some(2));
        fixture
            .schedule
            .end_data(&mut fixture.slab, fixture.slots[2]);
        assert_eq!(fixture.next(Tail::Held), Some(1));
        fixture.schedule.remove(&mut fixture.slab, fixture.slots[1]);
        assert_eq!(fixture.next(Tail::Held), Some(0));
        fixture
            .schedule
            .end_data(&mut fixture.slab, fixture.slots[0]);
        assert_eq!(
            fixture.next(Tail::Held),
            Some(3),
            "cut down to the last level"
        );
    }

    #[test]
    fn the_parked_are_not_looked_at_until_more_is_permitted() {
        let mut fixture = Fixture::new(3);
        (0..3).for_each(|n| fixture.want(n));
        fixture
            .schedule
            .park(&mut fixture.slab, fixture.slots[0], Some(Tail::Held));
        fixture
            .schedule
            .park(&mut fixture.slab, fixture.slots[2], Some(Tail::Pushed));
        fixture
            .schedule
            .end_data(&mut fixture.slab, fixture.slots[1]);
        assert_eq!(fixture.next(Tail::Held), None);
        assert!(fixture.schedule.has_data(Tail::Pushed));
        assert!(fixture.schedule.has_data(Tail::All));
        // New data brings a single one back.
        fixture.want(2);
        assert_eq!(fixture.next(Tail::Held), Some(2));
        assert_eq!(fixture.next(Tail::All), Some(2));
        fixture
            .schedule
            .end_data(&mut fixture.slab, fixture.slots[2]);
        assert_eq!(fixture.next(Tail::Held), Some(0));
    }

    #[test]
    fn a_tail_held_later_at_a_lower_level_is_not_overlooked() {
        let mut fixture = Fixture::new(2);
        fixture
            .schedule
            .park(&mut fixture.slab, fixture.slots[0], Some(Tail::Pushed));
        fixture
            .schedule
            .park(&mut fixture.slab, fixture.slots[1], Some(Tail::Held));
        assert!(fixture.schedule.has_data(Tail::Pushed));
        assert_eq!(fixture.next(Tail::Held), None);
        assert_eq!(fixture.next(Tail::Pushed), Some(0));
    }

    #[test]
    fn the_limit_of_the_connection_is_not_lifted_by_a_level() {
        let mut fixture = Fixture::new(1);
        fixture
            .schedule
            .park(&mut fixture.slab, fixture.slots[0], None);
        assert!(!fixture.schedule.has_data(Tail::All));
        assert_eq!(fixture.next(Tail::All), None);
    }

    proptest! {
        #[test]
        fn agrees_with_vectors(steps in proptest::collection::vec((0..8_u8, 0..6_usize, 0..9_u8), 0..300)) {
            let mut fixture = Fixture::new(6);
            let mut ready: Vec<Vec<usize>> = vec![vec![]; 8];
            let mut parked: Vec<usize> = vec![];
            let mut control: Vec<usize> = vec![];
            let mut urgency = [3; 6];
            for (action, n, level) in steps {
                let slot = fixture.slots[n];
                let was_ready = ready[urgency[n]].contains(&n);
                let leave = |ready: &mut Vec<Vec<usize>>, parked: &mut Vec<usize>| {
                    ready.iter_mut().for_each(|queue| queue.retain(|m| *m != n));
                    parked.retain(|m| *m != n);
                };
                match action {
                    0 | 1 => {
                        fixture.want(n);
                        if !was_ready {
                            leave(&mut ready, &mut parked);
                            ready[urgency[n]].push(n);
                        }
                    }
                    2 => {
                        fixture.schedule.end_data(&mut fixture.slab, slot);
                        leave(&mut ready, &mut parked);
                    }
                    3 => {
                        fixture.schedule.park(&mut fixture.slab, slot, Some(Tail::All));
                        leave(&mut ready, &mut parked);
                        parked.push(n);
                    }
                    4 => {
                        fixture.schedule.unpark(&mut fixture.slab);
                        for m in parked.drain(..) {
                            ready[urgency[m]].push(m);
                        }
                    }
                    5 => {
                        fixture.schedule.set_priority(&mut fixture.slab, slot, level, true);
                        urgency[n] = usize::from(level.min(7));
                        if was_ready {
                            leave(&mut ready, &mut parked);
                            ready[urgency[n]].push(n);
                        }
                    }
                    6 => {
                        fixture.schedule.want_control(&mut fixture.slab, slot);
                        if !control.contains(&n) {
                            control.push(n);
                        }
                    }
                    _ => {
                        fixture.schedule.end_control(&mut fixture.slab, slot);
                        control.retain(|m| *m != n);
                    }
                }
                prop_assert_eq!(fixture.next(Tail::Held), ready.iter().flatten().next().copied());
                let next = fixture.schedule.next_control();
                prop_assert_eq!(next, control.first().map(|n| fixture.slots[*n]));
                for (queue, through, model) in [
                    (&fixture.schedule.parked, Through::Data, &parked),
                    (&fixture.schedule.control, Through::Control, &control),
                ] {
                    let mut slot = queue.head;
                    for n in model {
                        prop_assert_eq!(slot, fixture.slots[*n]);
                        slot = fixture.slab.get_mut(slot).unwrap().links.link(through).next;
                    }
                    prop_assert!(slot.is_none());
                }
            }
        }
    }
}
