// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two TLS connections talk to each other without a transport, in pieces of different lengths.

use quic_core::client_hello::ClientHello;
use quic_core::packet::PacketType;
use quic_simulator::credentials::Credentials;
use quic_simulator::settings::Settings;
use quic_simulator::tls::{Alert, Direction, Early, Fixed, FixedConfig, Library, Output, Tls};
use std::collections::BTreeMap;

/// What one end put out, but for messages: these are fed to the other.
#[derive(Default, Debug)]
struct Heard {
    outputs: Vec<Output>,
    sent: BTreeMap<u8, usize>,
}

impl Heard {
    fn secret(&self, level: PacketType, direction: Direction) -> Option<&[u8]> {
        self.outputs.iter().find_map(|output| match output {
            Output::Secret {
                level: l,
                direction: d,
                secret,
                ..
            } if (*l, *d) == (level, direction) => Some(&secret[..]),
            _ => None,
        })
    }

    fn position(&self, wanted: &Output) -> Option<usize> {
        self.outputs.iter().position(|output| output == wanted)
    }

    fn secret_at(&self, level: PacketType, direction: Direction) -> Option<usize> {
        self.outputs.iter().position(|output| {
            matches!(output, Output::Secret { level: l, direction: d, .. } if (*l, *d) == (level, direction))
        })
    }
}

fn handshake(ends: [&mut dyn Tls; 2], piece: usize) -> Result<[Heard; 2], Alert> {
    let mut heard = [Heard::default(), Heard::default()];
    ends[0].start(b"parameters of the client")?;
    ends[1].start(b"parameters of the server")?;
    loop {
        let mut idle = true;
        for end in 0..2 {
            while let Some(output) = ends[end].poll() {
                idle = false;
                if let Output::Message { level, bytes } = &output {
                    *heard[end].sent.entry(*level as u8).or_default() += bytes.len();
                    for bytes in bytes.chunks(piece) {
                        ends[1 - end].feed(*level, bytes)?;
                    }
                }
                heard[end].outputs.push(output);
            }
        }
        if idle {
            return Ok(heard);
        }
    }
}

fn check(heard: &[Heard; 2], early: bool) {
    let [client, server] = heard;
    let mut levels = vec![PacketType::Handshake, PacketType::OneRtt];
    levels.extend(early.then_some(PacketType::ZeroRtt));
    for level in levels {
        let sent = client.secret(level, Direction::Send).unwrap();
        assert_eq!(
            Some(sent),
            server.secret(level, Direction::Receive),
            "{level:?}"
        );
        if level != PacketType::ZeroRtt {
            let sent = server.secret(level, Direction::Send).unwrap();
            assert_eq!(
                Some(sent),
                client.secret(level, Direction::Receive),
                "{level:?}"
            );
            assert_ne!(client.secret(level, Direction::Send), Some(sent));
        }
    }
    for (end, peer) in [
        (client, "parameters of the server"),
        (server, "parameters of the client"),
    ] {
        let parameters = Output::PeerParameters(peer.into());
        assert!(end.position(&parameters) < end.position(&Output::Done));
        assert!(end.position(&parameters).is_some(), "{end:?}");
        assert!(end
            .position(&Output::Alpn(b"hq-interop".to_vec()))
            .is_some());
        assert_eq!(
            end.outputs.iter().filter(|it| **it == Output::Done).count(),
            1
        );
    }
    // A server can send before it knows the client, but not receive.
    let receive = server.secret_at(PacketType::OneRtt, Direction::Receive);
    let send = server.secret_at(PacketType::OneRtt, Direction::Send);
    assert!(send < receive, "{server:?}");
    let first = |end: &Heard, level| {
        let message = |it: &Output| matches!(it, Output::Message { level: l, .. } if *l == level);
        end.outputs.iter().position(message)
    };
    for end in [client, server] {
        let secret = end.secret_at(PacketType::Handshake, Direction::Send);
        assert!(secret < first(end, PacketType::Handshake), "{end:?}");
    }
}

#[test]
fn rustls_with_resumption_and_early_data() {
    let credentials = Credentials::new();
    let settings = Settings::new(1);
    for (round, piece) in [(0, 4_096), (1, 100), (2, 1)] {
        let mut client = Library::client(&settings, &credentials);
        let mut server = Library::server(&settings, &credentials);
        let heard = handshake([&mut client, &mut server], piece).unwrap();
        check(&heard, round > 0);
        for end in &heard {
            let told = end.position(&Output::EarlyData(true));
            assert_eq!(told.is_some(), round > 0, "{end:?}");
            assert!(told < end.position(&Output::Done), "{end:?}");
        }
        let remembered = Output::RememberedParameters(b"parameters of the server".to_vec());
        let place = heard[0].position(&remembered);
        assert_eq!(place.is_some(), round > 0);
        assert!(place <= heard[0].secret_at(PacketType::ZeroRtt, Direction::Send));
    }
}

#[test]
fn rustls_rejects_early_data() {
    let credentials = Credentials::new();
    let mut settings = Settings::new(1);
    for round in 0..2 {
        let mut client = Library::client(&settings, &credentials);
        settings.early_data = round == 0;
        let mut server = Library::server(&settings, &credentials);
        settings.early_data = true;
        let heard = handshake([&mut client, &mut server], 500).unwrap();
        check(&heard, false);
        for end in &heard {
            let rejected = end.position(&Output::EarlyData(false)).is_some();
            assert_eq!(rejected, round == 1, "{end:?}");
            assert_eq!(end.position(&Output::EarlyData(true)), None);
        }
        assert!(heard[1]
            .secret(PacketType::ZeroRtt, Direction::Receive)
            .is_none());
    }
}

#[test]
fn rustls_without_a_common_protocol() {
    let credentials = Credentials::new();
    let mut settings = Settings::new(1);
    let mut client = Library::client(&settings, &credentials);
    settings.alpn = vec![b"other".to_vec()];
    let mut server = Library::server(&settings, &credentials);
    let alert = handshake([&mut client, &mut server], 500).unwrap_err();
    assert_eq!(alert, Alert::NO_APPLICATION_PROTOCOL);
}

#[test]
fn fixed_messages_have_the_sizes_that_were_asked_for() {
    for seed in 0..50 {
        let mut config = FixedConfig::random(seed);
        let accepted = seed % 2 == 0;
        config.early = if accepted {
            Early::Accepted
        } else {
            Early::Rejected
        };
        let mut client = Fixed::client(config.clone());
        let mut server = Fixed::server(config.clone());
        let heard = handshake([&mut client, &mut server], 1 + seed as usize * 40).unwrap();
        check(&heard, accepted);
        for end in &heard {
            assert!(end.position(&Output::EarlyData(accepted)).is_some());
        }
        let [client, server] = &heard;
        let initial = PacketType::Initial as u8;
        assert_eq!(client.sent[&initial], config.client_hello);
        assert_eq!(server.sent[&initial], config.server_hello);
        assert!(server.sent[&(PacketType::Handshake as u8)] > config.certificate);
    }
}

#[test]
fn fixed_notices_what_is_not_as_it_was_sent() {
    let config = FixedConfig::random(3);
    let mut client = Fixed::client(config.clone());
    let mut server = Fixed::server(config);
    client.start(b"x").unwrap();
    server.start(b"y").unwrap();
    let Some(Output::Message { level, bytes }) = client.poll() else {
        panic!("no ClientHello");
    };
    server.feed(level, &bytes).unwrap();
    let hello = std::iter::from_fn(|| server.poll()).find_map(|output| match output {
        Output::Message { level, bytes } => Some((level, bytes)),
        _ => None,
    });
    let (level, mut bytes) = hello.unwrap();
    assert_eq!(
        client.feed(PacketType::Handshake, &bytes),
        Err(Alert::UNEXPECTED_MESSAGE)
    );
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(client.feed(level, &bytes), Err(Alert::DECODE_ERROR));
}

#[test]
fn the_core_reads_the_fixed_client_hello() {
    let mut config = FixedConfig::random(3);
    config.client_hello = 1_800;
    let mut client = Fixed::client(config);
    client.start(b"parameters").unwrap();
    let Some(Output::Message { bytes, .. }) = client.poll() else {
        panic!("no ClientHello");
    };
    assert_eq!(bytes.len(), 1_800);
    let hello = ClientHello::parse(&bytes).unwrap().unwrap();
    assert_eq!(hello.server_name, Some(&b"server.test"[..]));
    let names: Vec<_> = hello.alpn.unwrap().collect();
    assert_eq!(names, [b"hq-interop"]);
}
