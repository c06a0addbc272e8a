// SPDX-License-Identifier: MIT OR Apache-2.0

//! The options of a handshake, CRYPTO_SECRET and TRANSPORT_PARAM_EXT, where there is none.

use super::{in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::Expect;
use crate::sys::address::Family;
use quic_uapi::*;

cases! { "option_handshake":
    secret_is_einval,
    secret_of_any_level_is_einval,
    secret_of_any_length_is_einval,
    parameters_are_einval_to_set,
    parameters_are_einval_to_get,
}

/// TLS_CIPHER_AES_GCM_128
const AES_GCM_128: u32 = 51;

fn secret(level: u8, send: u8) -> quic_crypto_secret {
    quic_crypto_secret {
        send,
        level,
        r#type: AES_GCM_128,
        secret: [7; 48],
        ..Default::default()
    }
}

fn secret_is_einval(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for send in [0, 1] {
            let secret = secret(QUIC_CRYPTO_HANDSHAKE, send);
            socket
                .set_quic(QUIC_SOCKOPT_CRYPTO_SECRET, &secret)
                .fails(libc::EINVAL);
        }
    });
}

fn secret_of_any_level_is_einval() {
    in_each(Family::V4, &Idle::ALL, |socket| {
        for level in [
            QUIC_CRYPTO_APP,
            QUIC_CRYPTO_INITIAL,
            QUIC_CRYPTO_EARLY,
            QUIC_CRYPTO_MAX,
            255,
        ] {
            socket
                .set_quic(QUIC_SOCKOPT_CRYPTO_SECRET, &secret(level, 1))
                .fails(libc::EINVAL);
        }
    });
}

fn secret_of_any_length_is_einval() {
    in_each(Family::V4, &Idle::ALL, |socket| {
        for length in [0, 1, 8, 55, 57, 4096] {
            let value = vec![0; length];
            socket
                .set(SOL_QUIC, QUIC_SOCKOPT_CRYPTO_SECRET, &value)
                .fails(libc::EINVAL);
        }
    });
}

fn parameters_are_einval_to_set(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for length in [0, 1, 64, 512, 513] {
            let value = vec![0; length];
            socket
                .set(SOL_QUIC, QUIC_SOCKOPT_TRANSPORT_PARAM_EXT, &value)
                .fails(libc::EINVAL);
        }
    });
}

fn parameters_are_einval_to_get(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for room in [0, 1, 256, 512, 4096] {
            socket
                .get(SOL_QUIC, QUIC_SOCKOPT_TRANSPORT_PARAM_EXT, &[], room)
                .fails(libc::EINVAL);
        }
    });
}
