// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Events: which, when, with which fields; and the order in which data is read.

use super::*;

fn send_event(stream: u64, state: SendState, error_code: VarInt, final_size: u64) -> StreamEvent {
    StreamEvent::Send {
        id: id(stream),
        state,
        error_code,
        final_size: at(final_size),
    }
}

fn recv_event(stream: u64, state: RecvState, error_code: VarInt, final_size: u64) -> StreamEvent {
    StreamEvent::Recv {
        id: id(stream),
        state,
        error_code,
        final_size: at(final_size),
    }
}

const NO_CODE: VarInt = VarInt::ZERO;

#[test]
fn an_echoed_stream_at_the_opener() {
    let mut end = End::client();
    end.open(0).unwrap();
    end.write(0, 10).unwrap();
    end.finish(0).unwrap();
    end.send_and_ack();
    end.on_stream(0, 0, 10, true).unwrap();
    assert_eq!(
        end.take_events(),
        [
            send_event(0, SendState::DataRecvd, NO_CODE, 0),
            recv_event(0, RecvState::Recv, NO_CODE, 0),
            recv_event(0, RecvState::DataRecvd, NO_CODE, 10),
        ]
    );
    assert_eq!(end.read(), Some((0, 10, true)));
    assert_eq!((end.read(), end.take_events()), (None, vec![]));
}

#[test]
fn the_end_before_the_data() {
    let mut end = End::server();
    end.on_stream(2, 5, 5, true).unwrap();
    assert_eq!(end.read(), None);
    end.on_stream(2, 5, 5, true).unwrap();
    end.on_stream(2, 0, 5, false).unwrap();
    assert_eq!(
        end.take_events(),
        [
            recv_event(2, RecvState::Recv, NO_CODE, 0),
            recv_event(2, RecvState::SizeKnown, NO_CODE, 10),
            recv_event(2, RecvState::DataRecvd, NO_CODE, 10),
        ]
    );
    assert_eq!(end.read(), Some((2, 10, true)));
}

#[test]
fn nothing_but_the_end() {
    let mut end = End::server();
    end.on_stream(2, 0, 0, true).unwrap();
    assert_eq!(
        end.take_events(),
        [
            recv_event(2, RecvState::Recv, NO_CODE, 0),
            recv_event(2, RecvState::DataRecvd, NO_CODE, 0)
        ]
    );
    assert_eq!(end.read(), Some((2, 0, true)));
    assert_eq!(end.read(), None);
    // Data first, and the end alone later.
    end.on_stream(6, 0, 5, false).unwrap();
    assert_eq!(end.read(), Some((6, 5, false)));
    end.on_stream(6, 5, 0, true).unwrap();
    assert_eq!(end.read(), Some((6, 0, true)));
    assert_eq!(end.read(), None);
    // The end joins data that was not read yet.
    end.on_stream(10, 0, 5, false).unwrap();
    end.on_stream(10, 5, 0, true).unwrap();
    assert_eq!(end.read(), Some((10, 5, true)));
    assert_eq!((end.read(), end.streams.recv_held()), (None, 0));
}

#[test]
fn resets_in_both_directions() {
    let mut end = End::server();
    end.on_stream(0, 0, 5, false).unwrap();
    end.write(0, 7).unwrap();
    end.send_all();
    end.take_events();
    end.on_reset(0, 9).unwrap();
    assert_eq!(
        end.take_events(),
        [recv_event(0, RecvState::ResetRecvd, CODE, 9)]
    );
    end.reset(0).unwrap();
    assert_eq!(end.take_events(), [], "our own reset is no news");
    end.send_and_ack();
    assert_eq!(
        end.take_events(),
        [send_event(0, SendState::ResetRecvd, CODE, 7)]
    );
}

// [rfc9000-3.5-1]
#[test]
fn stop_sending_is_answered_with_the_same_code() {
    let mut end = End::server();
    end.on_stream(0, 0, 5, false).unwrap();
    end.write(0, 7).unwrap();
    end.send_all();
    end.write(0, 9).unwrap();
    end.take_events();
    end.on_stop_sending(0).unwrap();
    end.on_stop_sending(0).unwrap();
    assert_eq!(
        end.take_events(),
        [send_event(0, SendState::ResetSent, CODE, 7)]
    );
    let reset = Frame::ResetStream(reset_frame(id(0), 7));
    assert_eq!(end.control(), [reset.clone()]);
    assert_eq!(end.write(0, 1), Err(WriteError::Finished));
    end.on_lost(&sent(&reset));
    assert_eq!(end.control(), [reset.clone()]);
    end.on_acked(&sent(&reset));
    assert_eq!(
        end.take_events(),
        [send_event(0, SendState::ResetRecvd, CODE, 7)]
    );
    assert_eq!(end.streams.unsent(), 0);
}

#[test]
fn after_stop_data_is_no_news() {
    let mut end = End::server();
    end.on_stream(0, 0, 5, false).unwrap();
    end.take_events();
    end.stop(0).unwrap();
    end.on_stream(0, 5, 5, false).unwrap();
    end.on_stream(0, 10, 5, true).unwrap();
    assert_eq!(end.take_events(), []);
    end.on_reset(0, 15).unwrap();
    assert_eq!(
        end.take_events(),
        [recv_event(0, RecvState::ResetRecvd, CODE, 15)]
    );
}

#[test]
fn reset_at_is_reported_when_what_it_promises_is_there() {
    let mut end = End::server();
    let events = &mut end.events;
    let mut report = |event| events.push(event);
    end.streams
        .on_reset_stream_at(&reset_at_frame(id(2), 20, 5), GFP_KERNEL, &mut report)
        .unwrap();
    assert_eq!(
        end.take_events(),
        [recv_event(2, RecvState::SizeKnown, NO_CODE, 20)]
    );
    end.on_stream(2, 0, 10, false).unwrap();
    assert_eq!(
        end.take_events(),
        [
            recv_event(2, RecvState::Recv, NO_CODE, 0),
            recv_event(2, RecvState::ResetRecvd, CODE, 20)
        ]
    );
    assert_eq!(
        end.read(),
        Some((2, 5, false)),
        "what is promised, and no end"
    );
    assert_eq!(
        (end.read(), end.streams.slab.len(), end.streams.consumed),
        (None, 0, 20)
    );
}

#[test]
fn max_stream_data_is_news_while_the_stream_is_open() {
    let mut end = End::client();
    end.open(0).unwrap();
    end.on_max_stream_data(0, 1 << 20).unwrap();
    assert_eq!(end.take_events(), []);
    end.on_max_stream_data(0, 1 << 21).unwrap();
    assert_eq!(
        end.take_events(),
        [StreamEvent::MaxStreamData {
            id: id(0),
            limit: v(1 << 21)
        }]
    );
    end.reset(0).unwrap();
    end.on_max_stream_data(0, 1 << 22).unwrap();
    assert_eq!(end.take_events(), []);
}

#[test]
fn data_is_read_in_the_order_of_arrival() {
    let mut end = End::server();
    end.on_stream(0, 0, 5, false).unwrap();
    end.on_stream(0, 5, 5, false).unwrap();
    end.on_stream(4, 0, 5, false).unwrap();
    end.on_stream(0, 20, 5, true).unwrap();
    end.on_stream(4, 5, 5, true).unwrap();
    end.on_stream(0, 10, 10, false).unwrap();
    assert_eq!(
        end.read(),
        Some((0, 10, false)),
        "merged, up to the record of another stream"
    );
    assert_eq!(end.read(), Some((4, 10, true)));
    assert_eq!(
        end.read(),
        Some((0, 15, true)),
        "what waited behind the hole comes with what closed it"
    );
    assert_eq!(end.read(), None);
}

#[test]
fn datagrams_have_their_place_in_the_order() {
    let mut end = End::server();
    end.on_stream(0, 0, 5, false).unwrap();
    let datagram = end.streams.interject();
    end.on_stream(0, 5, 5, false).unwrap();
    let first = end.streams.next_readable().unwrap();
    assert!(first.stamp.is_before(datagram) && !datagram.is_before(first.stamp));
    assert_eq!(end.read(), Some((0, 5, false)));
    let second = end.streams.next_readable().unwrap();
    assert!(datagram.is_before(second.stamp));
}

#[test]
fn a_stream_can_be_read_out_of_turn() {
    let mut end = End::server();
    end.on_stream(0, 0, 5, false).unwrap();
    end.on_stream(4, 0, 5, false).unwrap();
    end.on_stream(0, 5, 5, true).unwrap();
    assert_eq!(end.streams.readable(id(0)), (10, true));
    end.streams
        .consume(id(0), 7, Instant::from_nanos(0), Duration::ZERO);
    assert_eq!(end.read(), Some((4, 5, false)));
    assert_eq!(end.read(), Some((0, 3, true)));
    assert_eq!(end.read(), None);
}
