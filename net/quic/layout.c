// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The numbers of <linux/quic.h> that programs were compiled with. Nothing here
 * generates code: a change of the header that breaks the ABI stops the build.
 *
 * Compiled twice: as an object of the module, where the kernel's types and
 * flags count, and in userspace by the tests of libquic/uapi.
 */
#include <linux/quic.h>
#ifdef __KERNEL__
#include <linux/stddef.h>
#else
#include <stddef.h>
#endif

#define IS(name, value) _Static_assert((name) == (value), #name " is not " #value)
#define SIZE(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), "size of " #type " is not " #bytes)
#define AT(type, member, offset, bytes)                                        \
	_Static_assert(offsetof(type, member) == (offset),                     \
		       #type "." #member " is not at " #offset);               \
	_Static_assert(sizeof(((type *)0)->member) == (bytes),                 \
		       "size of " #type "." #member " is not " #bytes)


/* the family */
IS(IPPROTO_QUIC, 261);
IS(SOL_QUIC, 288);
IS(QUIC_VERSION_V1, 0x1);
IS(QUIC_VERSION_V2, 0x6b3343cf);

#ifndef IPPROTO_QUIC
#error "IPPROTO_QUIC has to be a macro too: programs ask for it by #ifdef"
#endif


/* flags, and the flag of the socket layer each one shares its bit with */
IS(MSG_QUIC_STREAM_FIN, 0x200);
IS(MSG_QUIC_STREAM_FIN, MSG_FIN);
IS(MSG_QUIC_STREAM_NEW, 0x400);
IS(MSG_QUIC_STREAM_NEW, MSG_SYN);
IS(MSG_QUIC_STREAM_UNI, 0x800);
IS(MSG_QUIC_STREAM_UNI, MSG_CONFIRM);
IS(MSG_QUIC_DATAGRAM, 0x1000);
IS(MSG_QUIC_DATAGRAM, MSG_RST);
IS(MSG_QUIC_STREAM_SNDBLOCK, 0x2000);
IS(MSG_QUIC_STREAM_SNDBLOCK, MSG_ERRQUEUE);
IS(MSG_QUIC_NOTIFICATION, 0x8000);
IS(MSG_QUIC_NOTIFICATION, MSG_MORE);
IS(MSG_QUIC_STREAM_DONTWAIT, 0x10000);
IS(MSG_QUIC_STREAM_DONTWAIT, MSG_WAITFORONE);

IS(QUIC_STREAM_TYPE_SERVER_MASK, 0x1);
IS(QUIC_STREAM_TYPE_UNI_MASK, 0x2);
IS(QUIC_STREAM_TYPE_MASK, 0x3);

/* array sizes */
IS(QUIC_CRYPTO_SECRET_BUFFER_SIZE, 48);
IS(QUIC_CLOSE_PHRASE_BUFFER_SIZE, 64);

/* control messages */
IS(QUIC_STREAM_INFO, 0);
IS(QUIC_HANDSHAKE_INFO, 1);

/* encryption levels */
IS(QUIC_CRYPTO_APP, 0);
IS(QUIC_CRYPTO_INITIAL, 1);
IS(QUIC_CRYPTO_HANDSHAKE, 2);
IS(QUIC_CRYPTO_EARLY, 3);
IS(QUIC_CRYPTO_MAX, 4);

/* socket options */
IS(QUIC_SOCKOPT_EVENT, 0);
IS(QUIC_SOCKOPT_STREAM_OPEN, 1);
IS(QUIC_SOCKOPT_STREAM_RESET, 2);
IS(QUIC_SOCKOPT_STREAM_STOP_SENDING, 3);
IS(QUIC_SOCKOPT_CONNECTION_ID, 4);
IS(QUIC_SOCKOPT_CONNECTION_CLOSE, 5);
IS(QUIC_SOCKOPT_CONNECTION_MIGRATION, 6);
IS(QUIC_SOCKOPT_KEY_UPDATE, 7);
IS(QUIC_SOCKOPT_TRANSPORT_PARAM, 8);
IS(QUIC_SOCKOPT_CONFIG, 9);
IS(QUIC_SOCKOPT_TOKEN, 10);
IS(QUIC_SOCKOPT_ALPN, 11);
IS(QUIC_SOCKOPT_SESSION_TICKET, 12);
IS(QUIC_SOCKOPT_CRYPTO_SECRET, 13);
IS(QUIC_SOCKOPT_TRANSPORT_PARAM_EXT, 14);

/* events */
IS(QUIC_EVENT_NONE, 0);
IS(QUIC_EVENT_STREAM_UPDATE, 1);
IS(QUIC_EVENT_STREAM_MAX_DATA, 2);
IS(QUIC_EVENT_STREAM_MAX_STREAM, 3);
IS(QUIC_EVENT_CONNECTION_ID, 4);
IS(QUIC_EVENT_CONNECTION_CLOSE, 5);
IS(QUIC_EVENT_CONNECTION_MIGRATION, 6);
IS(QUIC_EVENT_KEY_UPDATE, 7);
IS(QUIC_EVENT_NEW_TOKEN, 8);
IS(QUIC_EVENT_NEW_SESSION_TICKET, 9);
IS(QUIC_EVENT_MAX, 10);

/* stream states */
IS(QUIC_STREAM_SEND_STATE_READY, 0);
IS(QUIC_STREAM_SEND_STATE_SEND, 1);
IS(QUIC_STREAM_SEND_STATE_SENT, 2);
IS(QUIC_STREAM_SEND_STATE_RECVD, 3);
IS(QUIC_STREAM_SEND_STATE_RESET_SENT, 4);
IS(QUIC_STREAM_SEND_STATE_RESET_RECVD, 5);
IS(QUIC_STREAM_RECV_STATE_RECV, 6);
IS(QUIC_STREAM_RECV_STATE_SIZE_KNOWN, 7);
IS(QUIC_STREAM_RECV_STATE_RECVD, 8);
IS(QUIC_STREAM_RECV_STATE_READ, 9);
IS(QUIC_STREAM_RECV_STATE_RESET_RECVD, 10);
IS(QUIC_STREAM_RECV_STATE_RESET_READ, 11);

/* congestion control */
IS(QUIC_CONG_ALG_RENO, 0);
IS(QUIC_CONG_ALG_CUBIC, 1);
IS(QUIC_CONG_ALG_MAX, 2);

/* transport errors */
IS(QUIC_TRANSPORT_ERROR_NONE, 0x00);
IS(QUIC_TRANSPORT_ERROR_INTERNAL, 0x01);
IS(QUIC_TRANSPORT_ERROR_CONNECTION_REFUSED, 0x02);
IS(QUIC_TRANSPORT_ERROR_FLOW_CONTROL, 0x03);
IS(QUIC_TRANSPORT_ERROR_STREAM_LIMIT, 0x04);
IS(QUIC_TRANSPORT_ERROR_STREAM_STATE, 0x05);
IS(QUIC_TRANSPORT_ERROR_FINAL_SIZE, 0x06);
IS(QUIC_TRANSPORT_ERROR_FRAME_ENCODING, 0x07);
IS(QUIC_TRANSPORT_ERROR_TRANSPORT_PARAM, 0x08);
IS(QUIC_TRANSPORT_ERROR_CONNECTION_ID_LIMIT, 0x09);
IS(QUIC_TRANSPORT_ERROR_PROTOCOL_VIOLATION, 0x0a);
IS(QUIC_TRANSPORT_ERROR_INVALID_TOKEN, 0x0b);
IS(QUIC_TRANSPORT_ERROR_APPLICATION, 0x0c);
IS(QUIC_TRANSPORT_ERROR_CRYPTO_BUF_EXCEEDED, 0x0d);
IS(QUIC_TRANSPORT_ERROR_KEY_UPDATE, 0x0e);
IS(QUIC_TRANSPORT_ERROR_AEAD_LIMIT_REACHED, 0x0f);
IS(QUIC_TRANSPORT_ERROR_NO_VIABLE_PATH, 0x10);
IS(QUIC_TRANSPORT_ERROR_VERSION_NEGOTIATION, 0x11);
IS(QUIC_TRANSPORT_ERROR_MAX, 0x12);
IS(QUIC_TRANSPORT_ERROR_CRYPTO, 0x100);

/* structures */
/* i386 aligns 64-bit members to 4 bytes, so two structures have no tail padding. */
#ifdef __i386__
#define BY_ALIGNMENT(native, i386) (i386)
#else
#define BY_ALIGNMENT(native, i386) (native)
#endif

SIZE(struct quic_handshake_info, 1);
AT(struct quic_handshake_info, crypto_level, 0, 1);

SIZE(struct quic_stream_info, BY_ALIGNMENT(16, 12));
AT(struct quic_stream_info, stream_id, 0, 8);
AT(struct quic_stream_info, stream_flags, 8, 4);

SIZE(struct quic_transport_param, 56);
AT(struct quic_transport_param, remote, 0, 1);
AT(struct quic_transport_param, disable_active_migration, 1, 1);
AT(struct quic_transport_param, grease_quic_bit, 2, 1);
AT(struct quic_transport_param, stateless_reset, 3, 1);
AT(struct quic_transport_param, disable_1rtt_encryption, 4, 1);
AT(struct quic_transport_param, disable_compatible_version, 5, 1);
AT(struct quic_transport_param, active_connection_id_limit, 6, 1);
AT(struct quic_transport_param, ack_delay_exponent, 7, 1);
AT(struct quic_transport_param, max_datagram_frame_size, 8, 2);
AT(struct quic_transport_param, max_udp_payload_size, 10, 2);
AT(struct quic_transport_param, max_idle_timeout, 12, 4);
AT(struct quic_transport_param, max_ack_delay, 16, 4);
AT(struct quic_transport_param, max_streams_bidi, 20, 2);
AT(struct quic_transport_param, max_streams_uni, 22, 2);
AT(struct quic_transport_param, max_data, 24, 8);
AT(struct quic_transport_param, max_stream_data_bidi_local, 32, 8);
AT(struct quic_transport_param, max_stream_data_bidi_remote, 40, 8);
AT(struct quic_transport_param, max_stream_data_uni, 48, 8);

SIZE(struct quic_config, 28);
AT(struct quic_config, version, 0, 4);
AT(struct quic_config, plpmtud_probe_interval, 4, 4);
AT(struct quic_config, initial_smoothed_rtt, 8, 4);
AT(struct quic_config, payload_cipher_type, 12, 4);
AT(struct quic_config, congestion_control_algo, 16, 1);
AT(struct quic_config, validate_peer_address, 17, 1);
AT(struct quic_config, stream_data_nodelay, 18, 1);
AT(struct quic_config, receive_session_ticket, 19, 1);
AT(struct quic_config, certificate_request, 20, 1);
AT(struct quic_config, reserved, 21, 3);
AT(struct quic_config, keepalive_probe_interval, 24, 4);

SIZE(struct quic_crypto_secret, 56);
AT(struct quic_crypto_secret, send, 0, 1);
AT(struct quic_crypto_secret, level, 1, 1);
AT(struct quic_crypto_secret, reserved, 2, 2);
AT(struct quic_crypto_secret, type, 4, 4);
AT(struct quic_crypto_secret, secret, 8, 48);

SIZE(struct quic_errinfo, BY_ALIGNMENT(16, 12));
AT(struct quic_errinfo, stream_id, 0, 8);
AT(struct quic_errinfo, errcode, 8, 4);

SIZE(struct quic_connection_id_info, 12);
AT(struct quic_connection_id_info, dest, 0, 1);
AT(struct quic_connection_id_info, reserved, 1, 3);
AT(struct quic_connection_id_info, active, 4, 4);
AT(struct quic_connection_id_info, prior_to, 8, 4);

SIZE(struct quic_event_option, 2);
AT(struct quic_event_option, type, 0, 1);
AT(struct quic_event_option, on, 1, 1);

SIZE(struct quic_stream_update, 24);
AT(struct quic_stream_update, id, 0, 8);
AT(struct quic_stream_update, state, 8, 1);
AT(struct quic_stream_update, reserved, 9, 3);
AT(struct quic_stream_update, errcode, 12, 4);
AT(struct quic_stream_update, finalsz, 16, 8);

SIZE(struct quic_stream_max_data, 16);
AT(struct quic_stream_max_data, id, 0, 8);
AT(struct quic_stream_max_data, max_data, 8, 8);

SIZE(struct quic_connection_close, 72);
AT(struct quic_connection_close, errcode, 0, 4);
AT(struct quic_connection_close, frame, 4, 1);
AT(struct quic_connection_close, reserved, 5, 3);
AT(struct quic_connection_close, phrase, 8, 64);

SIZE(union quic_event, 72);
AT(union quic_event, update, 0, 24);
AT(union quic_event, max_data, 0, 16);
AT(union quic_event, close, 0, 72);
AT(union quic_event, info, 0, 12);
AT(union quic_event, max_stream, 0, 8);
AT(union quic_event, local_migration, 0, 1);
AT(union quic_event, key_update_phase, 0, 1);
