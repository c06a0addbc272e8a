// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Allocations: how many, how large, and what happens when each of them fails.

use super::*;
use crate::stream::entry::Stream;
use core::mem::size_of;
use kernel::alloc::inject;

/// All that can be seen of the streams of a connection.
fn fingerprint(end: &mut End, with_streams: bool) -> String {
    let streams = &mut end.streams;
    let mut all = format!(
        "{:?} {:?} {:?} {:?}",
        (
            streams.recv_held(),
            streams.send_held(),
            streams.unsent(),
            streams.credit()
        ),
        (
            streams.received,
            streams.consumed,
            streams.sent,
            streams.written
        ),
        (streams.recv_window.limit(), streams.send_window.limit()),
        (
            streams.has_stream(Tail::All),
            streams.next_readable(),
            streams.remote[0].limit,
            streams.remote[1].limit
        ),
    );
    for number in 0..12 * u64::from(with_streams) {
        all += &format!(
            "\n{number} {:?} {:?}",
            streams.states(id(number)),
            streams.readable(id(number))
        );
    }
    if with_streams {
        all += &format!(
            "\n{:?} {:?} {:?}",
            streams.active(),
            streams.next(Bidirectional),
            streams.next(Unidirectional)
        );
    }
    all
}

/// A server with streams in several states.
fn busy() -> End {
    let mut end = End::server();
    end.on_stream(0, 0, 100, false).unwrap();
    end.on_stream(0, 200, 100, false).unwrap();
    end.open(1).unwrap();
    end.write(1, 5000).unwrap();
    for _ in 0..3 {
        end.streams
            .poll_stream(1200, Tail::All, GFP_KERNEL)
            .unwrap();
    }
    // Fill up what was allocated ahead, so that the next operation allocates all it can need.
    let mut offset = 100;
    while end.streams.rx.vacant() > 0 {
        end.on_stream(0, 310 + 2 * offset, 1, false).unwrap();
        offset += 1;
    }
    end
}

#[test]
fn every_operation_that_fails_has_changed_nothing() {
    type Operation = (&'static str, fn(&mut End) -> bool, bool);
    let operations: [Operation; 13] = [
        ("open", |end| end.open(5) != Err(OpenError::NoMemory), true),
        (
            "open a high one",
            |end| end.open(41) != Err(OpenError::NoMemory),
            true,
        ),
        (
            "open, the other kind",
            |end| end.open(3) != Err(OpenError::NoMemory),
            true,
        ),
        (
            "write",
            |end| end.write(1, 10) != Err(WriteError::NoMemory),
            true,
        ),
        (
            "reset",
            |end| end.reset(1) != Err(ResetError::NoMemory),
            true,
        ),
        ("stop", |end| end.stop(0) != Err(StopError::NoMemory), true),
        (
            "finish",
            |end| end.finish(1) != Err(WriteError::NoMemory),
            true,
        ),
        (
            "data in order",
            |end| end.on_stream(0, 100, 50, false) != Err(FrameError::Refused),
            true,
        ),
        (
            "data out of order",
            |end| end.on_stream(0, 900, 50, false) != Err(FrameError::Refused),
            true,
        ),
        (
            "data that overlaps",
            |end| end.on_stream(0, 150, 500, false) != Err(FrameError::Refused),
            true,
        ),
        // A frame that opens a stream has done so when the rest fails.
        (
            "data on a new stream",
            |end| end.on_stream(4, 0, 50, false) != Err(FrameError::Refused),
            false,
        ),
        (
            "RESET_STREAM on a new stream",
            |end| end.on_reset(40, 50) != Err(FrameError::Refused),
            false,
        ),
        (
            "STOP_SENDING on a new stream",
            |end| end.on_stop_sending(4) != Err(FrameError::Refused),
            false,
        ),
    ];
    for (name, operation, with_streams) in operations {
        for n in 0.. {
            let mut end = busy();
            let before = fingerprint(&mut end, with_streams);
            let (done, failed) = inject::fail_nth(n, || operation(&mut end));
            if !failed {
                assert!(done, "{name}");
                break;
            }
            if !done {
                assert_eq!(
                    fingerprint(&mut end, with_streams),
                    before,
                    "{name}, allocation {n}"
                );
            }
            // It works with memory.
            assert!(operation(&mut end), "{name}");
        }
    }
}

#[test]
fn in_the_steady_state_nothing_is_allocated() {
    let (mut client, mut server) = (End::client(), End::server());
    client.open(0).unwrap();
    let mut offset = 0;
    let mut count = 0;
    for packet in 0..1000 {
        if packet == 100 {
            count = inject::count();
        }
        let data = Bytes::pattern(0, offset, 1000);
        client
            .streams
            .write(id(0), data.clone(), GFP_KERNEL)
            .unwrap();
        client.streams.push(id(0));
        let frame = client
            .streams
            .poll_stream(1200, Tail::Pushed, GFP_KERNEL)
            .unwrap();
        server
            .streams
            .on_stream(
                &stream_frame(id(0), frame.offset.varint(), false),
                data,
                GFP_KERNEL,
                &mut |_| (),
            )
            .unwrap();
        offset += 1000;
        server.read().unwrap();
        for update in server.control() {
            match update {
                Frame::MaxData { maximum } => {
                    client.streams.on_max_data(maximum);
                }
                Frame::MaxStreamData { maximum, .. } => {
                    client.on_max_stream_data(0, maximum.get()).unwrap()
                }
                other => panic!("{other:?}"),
            }
        }
        client.on_acked(&frame.record());
        client.take_events();
    }
    // Only the vector in which `control` collects the frames of the test is not counted here.
    assert_eq!(inject::count(), count);
}

#[test]
fn a_short_stream_takes_one_allocation() {
    let mut end = End::server();
    for number in 0..40 {
        // The tables grow to their size.
        end.on_stream(2 + 4 * number, 0, 10, true).unwrap();
    }
    while end.read().is_some() {}
    let before = inject::count();
    end.on_stream(2 + 4 * 40, 0, 10, true).unwrap();
    assert_eq!(end.read(), Some((162, 10, true)));
    assert_eq!(inject::count() - before, 1);
}

#[test]
fn sizes() {
    assert_eq!(size_of::<Stream>(), 384, "kmalloc-512");
    assert_eq!(size_of::<Streams<Bytes, Bytes>>(), 840);
    assert_eq!(size_of::<StreamFrame>(), 40);
}
