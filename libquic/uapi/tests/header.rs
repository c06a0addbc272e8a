// SPDX-License-Identifier: MIT OR Apache-2.0

//! The C header and its Rust mirror, held against each other by the C compiler.

use quic_uapi::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The top of the checkout.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A directory of this test's own, below the target directory.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).expect("cannot make a scratch directory");
    directory
}

/// Those of the usual compilers that this machine has. At least one is needed.
fn compilers() -> Vec<&'static str> {
    let found: Vec<_> = ["gcc", "clang", "clang-19"]
        .into_iter()
        .filter(|name| {
            let version = Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .status();
            version.is_ok_and(|status| status.success())
        })
        .collect();
    assert!(
        !found.is_empty(),
        "no C compiler found: install gcc or clang"
    );
    found
}

fn compile(compiler: &str, arguments: &[&str]) {
    let Output { status, stderr, .. } = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-Iinclude/uapi"])
        .args(arguments)
        .current_dir(top())
        .output()
        .expect("cannot run the compiler");
    let messages = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{compiler} {arguments:?}:\n{messages}");
}

/// Every C expression that the mirror repeats, with its value here.
fn mirrored() -> BTreeMap<String, i64> {
    let mut numbers = BTreeMap::new();
    macro_rules! constants {
        ($($name:ident)*) => {$(
            #[allow(clippy::cast_lossless)] // the constants have many types
            numbers.insert(stringify!($name).to_owned(), $name as i64);
        )*};
    }
    macro_rules! record {
        ($kind:ident $name:ident: $($member:ident)*) => {
            let name = concat!(stringify!($kind), " ", stringify!($name));
            numbers.insert(format!("sizeof({name})"), size_of::<$name>() as i64);
            $(
                let member = stringify!($member).trim_start_matches("r#");
                let offset = offset_of!($name, $member) as i64;
                numbers.insert(format!("offsetof({name}, {member})"), offset);
                // SAFETY: Every byte of a `Plain` type may have any value, and nothing is read
                // through the pointer.
                let size = size_of_val(unsafe { &$name::zeroed().$member }) as i64;
                numbers.insert(format!("sizeof((({name} *)0)->{member})"), size);
            )*
        };
    }

    constants! {
        IPPROTO_QUIC SOL_QUIC
        QUIC_VERSION_V1 QUIC_VERSION_V2
        QUIC_STREAM_TYPE_SERVER_MASK QUIC_STREAM_TYPE_UNI_MASK QUIC_STREAM_TYPE_MASK
        MSG_QUIC_STREAM_FIN MSG_QUIC_STREAM_NEW MSG_QUIC_STREAM_UNI
        MSG_QUIC_STREAM_SNDBLOCK MSG_QUIC_STREAM_DONTWAIT
        MSG_QUIC_DATAGRAM MSG_QUIC_NOTIFICATION
        QUIC_CRYPTO_SECRET_BUFFER_SIZE QUIC_CLOSE_PHRASE_BUFFER_SIZE
        QUIC_STREAM_INFO QUIC_HANDSHAKE_INFO
        QUIC_CRYPTO_APP QUIC_CRYPTO_INITIAL QUIC_CRYPTO_HANDSHAKE QUIC_CRYPTO_EARLY
        QUIC_CRYPTO_MAX
        QUIC_SOCKOPT_EVENT QUIC_SOCKOPT_STREAM_OPEN QUIC_SOCKOPT_STREAM_RESET
        QUIC_SOCKOPT_STREAM_STOP_SENDING QUIC_SOCKOPT_CONNECTION_ID
        QUIC_SOCKOPT_CONNECTION_CLOSE QUIC_SOCKOPT_CONNECTION_MIGRATION
        QUIC_SOCKOPT_KEY_UPDATE QUIC_SOCKOPT_TRANSPORT_PARAM QUIC_SOCKOPT_CONFIG
        QUIC_SOCKOPT_TOKEN QUIC_SOCKOPT_ALPN QUIC_SOCKOPT_SESSION_TICKET
        QUIC_SOCKOPT_CRYPTO_SECRET QUIC_SOCKOPT_TRANSPORT_PARAM_EXT
        QUIC_EVENT_NONE QUIC_EVENT_STREAM_UPDATE QUIC_EVENT_STREAM_MAX_DATA
        QUIC_EVENT_STREAM_MAX_STREAM QUIC_EVENT_CONNECTION_ID
        QUIC_EVENT_CONNECTION_CLOSE QUIC_EVENT_CONNECTION_MIGRATION
        QUIC_EVENT_KEY_UPDATE QUIC_EVENT_NEW_TOKEN QUIC_EVENT_NEW_SESSION_TICKET
        QUIC_EVENT_MAX
        QUIC_STREAM_SEND_STATE_READY QUIC_STREAM_SEND_STATE_SEND
        QUIC_STREAM_SEND_STATE_SENT QUIC_STREAM_SEND_STATE_RECVD
        QUIC_STREAM_SEND_STATE_RESET_SENT QUIC_STREAM_SEND_STATE_RESET_RECVD
        QUIC_STREAM_RECV_STATE_RECV QUIC_STREAM_RECV_STATE_SIZE_KNOWN
        QUIC_STREAM_RECV_STATE_RECVD QUIC_STREAM_RECV_STATE_READ
        QUIC_STREAM_RECV_STATE_RESET_RECVD QUIC_STREAM_RECV_STATE_RESET_READ
        QUIC_CONG_ALG_RENO QUIC_CONG_ALG_CUBIC QUIC_CONG_ALG_MAX
        QUIC_TRANSPORT_ERROR_NONE QUIC_TRANSPORT_ERROR_INTERNAL
        QUIC_TRANSPORT_ERROR_CONNECTION_REFUSED QUIC_TRANSPORT_ERROR_FLOW_CONTROL
        QUIC_TRANSPORT_ERROR_STREAM_LIMIT QUIC_TRANSPORT_ERROR_STREAM_STATE
        QUIC_TRANSPORT_ERROR_FINAL_SIZE QUIC_TRANSPORT_ERROR_FRAME_ENCODING
        QUIC_TRANSPORT_ERROR_TRANSPORT_PARAM QUIC_TRANSPORT_ERROR_CONNECTION_ID_LIMIT
        QUIC_TRANSPORT_ERROR_PROTOCOL_VIOLATION QUIC_TRANSPORT_ERROR_INVALID_TOKEN
        QUIC_TRANSPORT_ERROR_APPLICATION QUIC_TRANSPORT_ERROR_CRYPTO_BUF_EXCEEDED
        QUIC_TRANSPORT_ERROR_KEY_UPDATE QUIC_TRANSPORT_ERROR_AEAD_LIMIT_REACHED
        QUIC_TRANSPORT_ERROR_NO_VIABLE_PATH QUIC_TRANSPORT_ERROR_VERSION_NEGOTIATION
        QUIC_TRANSPORT_ERROR_MAX QUIC_TRANSPORT_ERROR_CRYPTO
    }

    #[allow(unused_unsafe)] // only members of the union need it
    {
        record!(struct quic_handshake_info: crypto_level);
        record!(struct quic_stream_info: stream_id stream_flags);
        record!(struct quic_transport_param:
            remote disable_active_migration grease_quic_bit stateless_reset
            disable_1rtt_encryption disable_compatible_version active_connection_id_limit
            ack_delay_exponent max_datagram_frame_size max_udp_payload_size max_idle_timeout
            max_ack_delay max_streams_bidi max_streams_uni max_data max_stream_data_bidi_local
            max_stream_data_bidi_remote max_stream_data_uni);
        record!(struct quic_config:
            version plpmtud_probe_interval initial_smoothed_rtt payload_cipher_type
            congestion_control_algo validate_peer_address stream_data_nodelay
            receive_session_ticket certificate_request reserved keepalive_probe_interval);
        record!(struct quic_crypto_secret: send level reserved r#type secret);
        record!(struct quic_errinfo: stream_id errcode);
        record!(struct quic_connection_id_info: dest reserved active prior_to);
        record!(struct quic_event_option: r#type on);
        record!(struct quic_stream_update: id state reserved errcode finalsz);
        record!(struct quic_stream_max_data: id max_data);
        record!(struct quic_connection_close: errcode frame reserved phrase);
        record!(union quic_event:
            update max_data close info max_stream local_migration key_update_phase);
    }
    numbers
}

/// The header without its comments.
fn header_code() -> String {
    let text = fs::read_to_string(top().join("include/uapi/linux/quic.h")).expect("no header");
    let mut code = String::new();
    for (index, part) in text.split("/*").enumerate() {
        let rest = if index == 0 {
            part
        } else {
            part.split_once("*/").expect("open comment").1
        };
        code.push_str(rest);
    }
    code
}

#[test]
fn mirror_has_the_numbers_of_the_header() {
    let directory = scratch("numbers");
    let expected = mirrored();
    let mut program =
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/quic.h>\n".to_owned();
    program.push_str("int main(void)\n{\n");
    for expression in expected.keys() {
        let value = format!("(long long)({expression})");
        program.push_str(&format!(
            "\tprintf(\"%s=%lld\\n\", \"{expression}\", {value});\n"
        ));
    }
    program.push_str("\treturn 0;\n}\n");
    let source = directory.join("numbers.c");
    fs::write(&source, program).expect("cannot write the program");

    for compiler in compilers() {
        let binary = directory.join(format!("numbers-{compiler}"));
        let arguments = [
            "-std=gnu11",
            "-o",
            binary.to_str().unwrap(),
            source.to_str().unwrap(),
        ];
        compile(compiler, &arguments);
        let output = Command::new(&binary)
            .output()
            .expect("cannot run the program");
        let printed: BTreeMap<String, i64> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect();
        assert_eq!(printed, expected, "{compiler}");
    }
}

#[test]
fn mirror_is_complete() {
    let code = header_code();
    let known: BTreeSet<_> = mirrored().into_keys().collect();
    let missing: BTreeSet<_> = code
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("QUIC_") || word.starts_with("MSG_QUIC_"))
        .filter(|word| !known.contains(*word))
        .collect();
    assert!(missing.is_empty(), "not in the mirror: {missing:?}");

    let structures: BTreeSet<_> = code
        .lines()
        .filter(|line| line.ends_with('{'))
        .filter_map(|line| line.strip_suffix(" {"))
        .filter(|name| name.starts_with("struct ") || name.starts_with("union "))
        .map(|name| format!("sizeof({name})"))
        .collect();
    assert_eq!(structures.len(), 12);
    assert!(structures.is_subset(&known), "{structures:?}");
}

#[test]
fn dense_structures_have_no_padding() {
    fn is_dense<T: Dense>(numbers: &BTreeMap<String, i64>) {
        let name = std::any::type_name::<T>().rsplit("::").next().unwrap();
        let members = format!("sizeof(((struct {name} *)0)->");
        let sum: i64 = numbers
            .iter()
            .filter(|(key, _)| key.starts_with(&members))
            .map(|(_, size)| size)
            .sum();
        assert_eq!(sum, size_of::<T>() as i64, "{name}");
    }
    let numbers = mirrored();
    is_dense::<quic_handshake_info>(&numbers);
    is_dense::<quic_transport_param>(&numbers);
    is_dense::<quic_config>(&numbers);
    is_dense::<quic_crypto_secret>(&numbers);
    is_dense::<quic_connection_id_info>(&numbers);
    is_dense::<quic_event_option>(&numbers);
    is_dense::<quic_stream_update>(&numbers);
    is_dense::<quic_stream_max_data>(&numbers);
    is_dense::<quic_connection_close>(&numbers);
}

#[test]
fn short_bytes_are_completed_by_zeros_and_long_ones_cut() {
    let event = quic_event_option { r#type: 3, on: 1 };
    assert_eq!(event.as_bytes(), [3, 1]);
    assert_eq!(
        quic_event_option::from_bytes(&[3]),
        quic_event_option { r#type: 3, on: 0 }
    );
    assert_eq!(quic_event_option::from_bytes(&[3, 1, 9]), event);
}

#[test]
fn header_compiles_in_every_dialect() {
    let directory = scratch("dialects");
    let source = directory.join("header.c");
    fs::write(
        &source,
        "#include <linux/quic.h>\nint quic = IPPROTO_QUIC;\n",
    )
    .unwrap();
    let source = source.to_str().unwrap();
    for compiler in compilers() {
        for dialect in ["c99", "c11", "c17", "gnu90", "gnu2x"] {
            compile(
                compiler,
                &["-fsyntax-only", &format!("-std={dialect}"), source],
            );
        }
        // gcc reads C++ only if g++ is installed as well; clang always does.
        if compiler.starts_with("clang") {
            for dialect in ["c++98", "c++11", "c++20"] {
                compile(
                    compiler,
                    &[
                        "-fsyntax-only",
                        "-x",
                        "c++",
                        &format!("-std={dialect}"),
                        source,
                    ],
                );
            }
        }
    }
}

#[test]
fn layout_holds() {
    for compiler in compilers() {
        compile(
            compiler,
            &["-fsyntax-only", "-std=gnu11", "net/quic/layout.c"],
        );
    }
}

/// 32-bit programs run on a 64-bit kernel. The C library's 32-bit headers are seldom installed, so
/// a stand-in gives the one thing that the layout test takes from them.
#[cfg(target_arch = "x86_64")]
#[test]
fn layout_holds_on_i386() {
    let directory = scratch("i386");
    fs::create_dir_all(directory.join("sys")).unwrap();
    fs::write(
        directory.join("sys/socket.h"),
        "enum {\n\tMSG_FIN = 0x200, MSG_SYN = 0x400, MSG_CONFIRM = 0x800, MSG_RST = 0x1000,\n\
         \tMSG_ERRQUEUE = 0x2000, MSG_MORE = 0x8000, MSG_WAITFORONE = 0x10000\n};\n",
    )
    .unwrap();
    let stand_in = format!("-I{}", directory.display());
    for compiler in compilers() {
        compile(
            compiler,
            &[
                "-m32",
                "-fsyntax-only",
                "-std=gnu11",
                &stand_in,
                "-idirafter",
                "/usr/include/x86_64-linux-gnu",
                "net/quic/layout.c",
            ],
        );
    }
}
