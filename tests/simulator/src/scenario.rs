// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Scenario`]: what a network does to a connection: a case of the interop runner, or a mixture by seed.

use crate::link::{LinkConfig, Outage, Queue};
use crate::loss::Loss;
use crate::nat::Rebinding;
use crate::random::{Chance, Random};
use quic_core::role::Role;
use quic_core::time::{Duration, Instant};

/// A network, and how long a connection may take in it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// From the client to the server.
    pub to_server: LinkConfig,
    /// From the server to the client.
    pub to_client: LinkConfig,
    /// When the client's address changes without its doing, how long after the handshake is
    /// confirmed; sorted.
    pub rebindings: Vec<(Duration, Rebinding)>,
    /// Whether datagrams to an old address of the client are dropped. A client that does not send
    /// is unreachable then, and the connection dies unless it sends PING frames.
    pub nat_forgets: bool,
    /// TCP flows on the same links: who sends, and from when on.
    pub cross_traffic: Vec<(Role, Instant)>,
    /// The idle timeout that the endpoints need to survive what is planned here.
    pub idle_timeout: Duration,
    /// When both endpoints must be done.
    pub deadline: Duration,
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn at(n: u64) -> Instant {
    Instant::default() + ms(n)
}

impl Scenario {
    /// Every name that [`Self::named`] knows.
    pub const NAMES: [&'static str; 19] = [
        "lan",
        "goodput",
        "loss",
        "transfer-loss",
        "handshake-loss",
        "burst-loss",
        "transfer-corruption",
        "handshake-corruption",
        "blackhole",
        "long-rtt",
        "cross-traffic",
        "amplification-limit",
        "rebind-port",
        "rebind-address",
        "reordering",
        "duplication",
        "ecn-marks",
        "ecn-bleached",
        "mtu-change",
    ];

    /// A scenario by its name.
    pub fn named(name: &str) -> Option<Self> {
        let name = Self::NAMES.into_iter().find(|known| *known == name)?;
        // The interop runner's link: `simple-p2p --delay=15ms --bandwidth=10Mbps --queue=25`.
        let base = LinkConfig {
            delay: ms(15),
            bandwidth: 10_000_000,
            queue: Queue::Packets(25),
            mtu: vec![(at(0), 1500)],
            ..LinkConfig::default()
        };
        let mut it = Self::symmetric(name, base.clone());
        match name {
            "lan" => {
                it = it.both(|link| {
                    link.delay = Duration::from_micros(100);
                    link.bandwidth = 1_000_000_000;
                    link.queue = Queue::Packets(1_000);
                });
            }
            "loss" => it = it.with_loss(1, 0),
            "transfer-loss" => it = it.with_loss(2, 3),
            "handshake-loss" => {
                it = it.with_loss(30, 3);
                it.idle_timeout = Duration::from_secs(300);
                it.deadline = Duration::from_secs(900);
            }
            "burst-loss" => {
                it = it.both(|link| {
                    link.loss = Loss::Bursts {
                        begin: Chance::per_million(2_500),
                        end: Chance::percent(25),
                        good: Chance::NEVER,
                        bad: Chance::percent(90),
                    }
                });
            }
            "transfer-corruption" => it = it.both(|link| link.corrupt = Chance::percent(2)),
            "handshake-corruption" => {
                it = it.both(|link| link.corrupt = Chance::percent(30));
                it.idle_timeout = Duration::from_secs(300);
                it.deadline = Duration::from_secs(900);
            }
            "blackhole" => {
                it = it.both(|link| {
                    link.outages = vec![Outage {
                        begin: at(5_000),
                        length: ms(2_000),
                        period: ms(7_000),
                    }];
                });
            }
            "long-rtt" => it = it.both(|link| link.delay = ms(750)),
            "cross-traffic" => it.cross_traffic = vec![(Role::Server, at(0))],
            // Of the client's packets, the second to the seventh are lost.
            "amplification-limit" => it.to_server.drop = vec![1..=6],
            "rebind-port" => it = it.rebinding(Rebinding::Port),
            "rebind-address" => it = it.rebinding(Rebinding::Address),
            "reordering" => {
                it = it.both(|link| {
                    link.reorder = Chance::percent(5);
                    link.reorder_by = ms(20);
                });
            }
            "duplication" => it = it.both(|link| link.duplicate = Chance::percent(10)),
            "ecn-marks" => it = it.both(|link| link.mark_above = 12),
            "ecn-bleached" => it = it.both(|link| link.bleach = true),
            "mtu-change" => {
                it = it.both(|link| {
                    link.mtu = vec![(at(0), 1500), (at(1_000), 1300), (at(3_000), 1400)];
                });
            }
            _ => {}
        }
        Some(it)
    }

    /// A random mixture, in which every connection can succeed.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed, "scenario");
        let delay = Duration::from_micros(random.magnitude(50..=150_000));
        let bandwidth = match random.below(4) {
            0 => 0,
            _ => random.magnitude(1_000_000..=1_000_000_000),
        };
        let to_server = random_link(&mut random, delay, bandwidth);
        let to_client = random_link(&mut random, delay, bandwidth);
        let mut it = Self {
            idle_timeout: Duration::from_secs(120),
            deadline: Duration::from_secs(900),
            to_client,
            ..Self::symmetric("random", to_server)
        };
        if random.happens(Chance::percent(20)) {
            let mut times: Vec<u64> = (0..random.within(1..=4))
                .map(|_| random.magnitude(1..=20_000))
                .collect();
            times.sort_unstable();
            let mut what = || random.pick(&[Rebinding::Port, Rebinding::Address]);
            it.rebindings = times.into_iter().map(|time| (ms(time), what())).collect();
        }
        if bandwidth > 0 && bandwidth < 50_000_000 && random.happens(Chance::percent(10)) {
            let from = random.pick(&[Role::Client, Role::Server]);
            it.cross_traffic = vec![(from, at(random.below(500)))];
            // TCP would fill any queue.
            let queue = Queue::Packets(random.magnitude(10..=200) as u32);
            it = it.both(|link| link.queue = queue);
        }
        it
    }

    /// The same in both directions.
    pub fn symmetric(name: &'static str, link: LinkConfig) -> Self {
        Self {
            name,
            to_server: link.clone(),
            to_client: link,
            rebindings: Vec::new(),
            nat_forgets: false,
            cross_traffic: Vec::new(),
            idle_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(300),
        }
    }

    /// Changes both links alike.
    pub fn both(mut self, change: impl Fn(&mut LinkConfig)) -> Self {
        change(&mut self.to_server);
        change(&mut self.to_client);
        self
    }

    fn with_loss(self, percent: u32, longest_burst: u32) -> Self {
        self.both(|link| {
            link.loss = Loss::Random {
                rate: Chance::percent(percent),
                longest_burst,
            };
        })
    }

    /// At one second, then every five.
    fn rebinding(mut self, what: Rebinding) -> Self {
        let times = (0..20).map(|n| ms(1_000 + 5_000 * n));
        self.rebindings = times.map(|after| (after, what)).collect();
        self.nat_forgets = true;
        self
    }
}

/// Each defect in a few of the links, so that some are perfect and some have several.
fn random_link(random: &mut Random, delay: Duration, bandwidth: u64) -> LinkConfig {
    let some = Chance::percent(25);
    let few = Chance::percent(10);
    let mut link = LinkConfig {
        delay,
        bandwidth,
        // Not less than ten packets.
        queue: match random.below(3) {
            0 => Queue::Unlimited,
            1 => Queue::Packets(random.magnitude(10..=200) as u32),
            _ => Queue::Bytes(random.magnitude(15_000..=300_000)),
        },
        mtu: vec![(at(0), 1500)],
        icmp: random.below(2) == 0,
        ..LinkConfig::default()
    };
    if random.happens(some) {
        link.jitter = Duration::from_micros(random.magnitude(10..=30_000));
    }
    if random.happens(few) {
        link.coalesce = Duration::from_micros(random.magnitude(10..=2_000));
    }
    if random.happens(some) {
        link.loss = random_loss(random);
    }
    if random.happens(some) {
        link.reorder = Chance::per_mille(random.within(1..=100) as u32);
        link.reorder_by = Duration::from_micros(random.magnitude(10..=50_000));
    }
    if random.happens(some) {
        link.duplicate = Chance::per_mille(random.within(1..=100) as u32);
    }
    if random.happens(some) {
        link.corrupt = Chance::per_mille(random.within(1..=50) as u32);
    }
    match random.below(8) {
        0 => link.mark = Chance::per_mille(random.within(1..=100) as u32),
        1 => link.mark_above = random.within(2..=20) as u32,
        2 => link.bleach = true,
        _ => {}
    }
    if random.happens(few) {
        link.outages = vec![Outage {
            begin: at(random.magnitude(1..=10_000)),
            length: ms(random.magnitude(10..=3_000)),
            period: Duration::ZERO,
        }];
    }
    if random.happens(few) {
        // Not below what QUIC needs: 1200 bytes of UDP payload over IPv6.
        let change = random.within(1_280..=1_500) as u32;
        link.mtu.push((at(random.magnitude(1..=10_000)), change));
    }
    link
}

fn random_loss(random: &mut Random) -> Loss {
    if random.below(3) > 0 {
        return Loss::Random {
            rate: Chance::per_million(random.magnitude(100..=80_000) as u32),
            longest_burst: 0,
        };
    }
    Loss::Bursts {
        begin: Chance::per_million(random.magnitude(500..=10_000) as u32),
        end: Chance::percent(random.within(10..=60) as u32),
        good: Chance::NEVER,
        bad: Chance::percent(random.within(50..=100) as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known() {
        for name in Scenario::NAMES {
            assert_eq!(Scenario::named(name).map(|s| s.name), Some(name));
        }
        assert!(Scenario::named("no such network").is_none());
    }

    #[test]
    fn a_seed_gives_the_same_mixture() {
        let text = |seed| format!("{:?}", Scenario::random(seed));
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn no_mixture_is_hopeless() {
        for seed in 0..2_000 {
            let scenario = Scenario::random(seed);
            for link in [&scenario.to_server, &scenario.to_client] {
                assert!(link.mtu.iter().all(|(_, mtu)| *mtu >= 1_280));
                assert!(link
                    .outages
                    .iter()
                    .all(|o| o.length < scenario.idle_timeout));
            }
        }
    }
}
