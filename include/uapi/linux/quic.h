/* SPDX-License-Identifier: GPL-2.0+ WITH Linux-syscall-note */
/*
 * QUIC sockets: socket(AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM,
 * IPPROTO_QUIC), their ancillary data, events and socket options.
 *
 * Times are in microseconds and sizes in bytes unless a comment says otherwise.
 * Every fixed-size option may be passed with another length than its structure
 * has here: missing bytes read as zero, surplus bytes are ignored. A program
 * built with an older or a newer copy of this file therefore keeps working.
 */
#ifndef _UAPI_LINUX_QUIC_H
#define _UAPI_LINUX_QUIC_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/socket.h>
#else
#include <sys/socket.h>
#endif

/* Both an enumerator and a macro, as the protocols of <linux/in.h> are. */
#ifndef IPPROTO_QUIC
enum {
	IPPROTO_QUIC = 261		/* QUIC transport, RFC 9000 */
#define IPPROTO_QUIC		IPPROTO_QUIC
};
#endif

#ifndef SOL_QUIC
#define SOL_QUIC		288	/* cmsg_level, and level of the options */
#endif

/* Versions on the wire, for &struct quic_config. */
#define QUIC_VERSION_V1		0x00000001	/* RFC 9000 */
#define QUIC_VERSION_V2		0x6b3343cf	/* RFC 9369 */

/* The two low bits of a stream ID, RFC 9000 section 2.1. */
#define QUIC_STREAM_TYPE_SERVER_MASK	0x01	/* opened by the server */
#define QUIC_STREAM_TYPE_UNI_MASK	0x02	/* unidirectional */
#define QUIC_STREAM_TYPE_MASK		0x03

/*
 * Stream flags: in stream_flags of &struct quic_stream_info or, if a message
 * has no such cmsg, in the flags of sendmsg(). They share bits with the MSG_
 * flag named behind, none of which has a meaning on a QUIC socket.
 */
#define MSG_QUIC_STREAM_FIN		0x00200	/* MSG_FIN: last byte of the stream */
#define MSG_QUIC_STREAM_NEW		0x00400	/* MSG_SYN: open the stream first */
#define MSG_QUIC_STREAM_UNI		0x00800	/* MSG_CONFIRM: new one is unidirectional */
#define MSG_QUIC_STREAM_SNDBLOCK	0x02000	/* MSG_ERRQUEUE: tell the peer when blocked */
#define MSG_QUIC_STREAM_DONTWAIT	0x10000	/* MSG_WAITFORONE: no wait for stream credit */

/* Message flags: only in the flags of sendmsg() and in msg_flags of recvmsg(). */
#define MSG_QUIC_DATAGRAM		0x01000	/* MSG_RST: an unreliable datagram, RFC 9221 */
#define MSG_QUIC_NOTIFICATION		0x08000	/* MSG_MORE: an event; recvmsg() only */

/* Sizes of arrays in the structures below, in bytes. */
#define QUIC_CRYPTO_SECRET_BUFFER_SIZE	48
#define QUIC_CLOSE_PHRASE_BUFFER_SIZE	64	/* with the terminating NUL */

/**
 * enum quic_cmsg_type - cmsg_type of ancillary data with cmsg_level SOL_QUIC
 * @QUIC_STREAM_INFO: &struct quic_stream_info, on stream data in both directions
 * @QUIC_HANDSHAKE_INFO: &struct quic_handshake_info, on TLS messages in both
 *	directions
 */
enum quic_cmsg_type {
	QUIC_STREAM_INFO,
	QUIC_HANDSHAKE_INFO
};

/**
 * enum quic_crypto_level - packet protection level of a TLS message or a secret
 * @QUIC_CRYPTO_APP: 1-RTT
 * @QUIC_CRYPTO_INITIAL: Initial; its keys follow from the connection ID
 * @QUIC_CRYPTO_HANDSHAKE: Handshake
 * @QUIC_CRYPTO_EARLY: 0-RTT; has a secret but carries no TLS messages
 * @QUIC_CRYPTO_MAX: number of levels
 */
enum quic_crypto_level {
	QUIC_CRYPTO_APP,
	QUIC_CRYPTO_INITIAL,
	QUIC_CRYPTO_HANDSHAKE,
	QUIC_CRYPTO_EARLY,
	QUIC_CRYPTO_MAX
};

/**
 * struct quic_handshake_info - cmsg QUIC_HANDSHAKE_INFO
 * @crypto_level: &enum quic_crypto_level of the message
 */
struct quic_handshake_info {
	__u8	crypto_level;
};

/**
 * struct quic_stream_info - cmsg QUIC_STREAM_INFO and QUIC_SOCKOPT_STREAM_OPEN
 * @stream_id: ID of the stream. When sending, -1 is the stream opened last, or
 *	the next one of this side if there is none
 * @stream_flags: MSG_QUIC_STREAM_* bits; on received data FIN or nothing
 */
struct quic_stream_info {
	__s64	stream_id;
	__u32	stream_flags;
};

/* Options of level SOL_QUIC; "get" and "set" say which call knows them. */
#define QUIC_SOCKOPT_EVENT			0  /* get, set: struct quic_event_option */
#define QUIC_SOCKOPT_STREAM_OPEN		1  /* get: struct quic_stream_info, in and out */
#define QUIC_SOCKOPT_STREAM_RESET		2  /* set: struct quic_errinfo */
#define QUIC_SOCKOPT_STREAM_STOP_SENDING	3  /* set: struct quic_errinfo */
#define QUIC_SOCKOPT_CONNECTION_ID		4  /* get, set: struct quic_connection_id_info */
#define QUIC_SOCKOPT_CONNECTION_CLOSE		5  /* get, set: struct quic_connection_close */
/*
 * set: the struct sockaddr to move to. On an accepted socket before its
 * handshake: the preferred address to tell the client.
 */
#define QUIC_SOCKOPT_CONNECTION_MIGRATION	6
#define QUIC_SOCKOPT_KEY_UPDATE			7  /* set: no value needed */
#define QUIC_SOCKOPT_TRANSPORT_PARAM		8  /* get, set: struct quic_transport_param */
#define QUIC_SOCKOPT_CONFIG			9  /* get, set: struct quic_config */
/*
 * Client: get, set: the token its Initial packets carry, 1 to 120 opaque bytes.
 * Server: set: issue a token to the client; no value needed.
 */
#define QUIC_SOCKOPT_TOKEN			10
/* get, set: 1 to 128 bytes, protocol names separated by commas, no NUL. */
#define QUIC_SOCKOPT_ALPN			11
/*
 * get, set: 64 to 4096 opaque bytes. Client: the ticket received, or session
 * data kept for the TLS agent. Server: the key that protects tickets.
 */
#define QUIC_SOCKOPT_SESSION_TICKET		12
#define QUIC_SOCKOPT_CRYPTO_SECRET		13 /* set: struct quic_crypto_secret */
/*
 * Content of the TLS extension quic_transport_parameters: get is the local one,
 * set the peer's, at most 512 bytes.
 */
#define QUIC_SOCKOPT_TRANSPORT_PARAM_EXT	14

/**
 * struct quic_transport_param - QUIC_SOCKOPT_TRANSPORT_PARAM, RFC 9000 section 18
 * @remote: 1 selects the peer's parameters, 0 the local ones
 * @disable_active_migration: nonzero: the peer must keep its address
 * @grease_quic_bit: nonzero: the fixed bit may be cleared, RFC 9287
 * @stateless_reset: nonzero: include a stateless reset token
 * @disable_1rtt_encryption: nonzero: 1-RTT packets in the clear if the peer
 *	asks for it too
 * @disable_compatible_version: nonzero: leave out version_information, RFC 9368
 * @active_connection_id_limit: connection IDs of the peer to hold, 2 to 8
 * @ack_delay_exponent: ACK Delay is in units of 2^this microseconds, at most 20
 * @max_datagram_frame_size: largest DATAGRAM frame accepted, at least 1200
 * @max_udp_payload_size: largest UDP payload accepted, 1200 to 65527
 * @max_idle_timeout: silence that ends the connection, at least 1000000
 * @max_ack_delay: longest wait before an acknowledgement, below 16384000
 * @max_streams_bidi: bidirectional streams the peer may open at first, at
 *	most 4096
 * @max_streams_uni: the same for unidirectional streams
 * @max_data: receive window of the connection, at least 1200
 * @max_stream_data_bidi_local: receive window of a bidirectional stream that
 *	the owner of these parameters opens, at least 1200
 * @max_stream_data_bidi_remote: the same for those that the other side opens
 * @max_stream_data_uni: the same for unidirectional streams
 *
 * When set, a zero member leaves the parameter as it is.
 */
struct quic_transport_param {
	__u8	remote;
	__u8	disable_active_migration;
	__u8	grease_quic_bit;
	__u8	stateless_reset;
	__u8	disable_1rtt_encryption;
	__u8	disable_compatible_version;
	__u8	active_connection_id_limit;
	__u8	ack_delay_exponent;
	__u16	max_datagram_frame_size;
	__u16	max_udp_payload_size;
	__u32	max_idle_timeout;
	__u32	max_ack_delay;
	__u16	max_streams_bidi;
	__u16	max_streams_uni;
	__u64	max_data;
	__u64	max_stream_data_bidi_local;
	__u64	max_stream_data_bidi_remote;
	__u64	max_stream_data_uni;
};

/**
 * enum quic_congestion_algo - values of congestion_control_algo
 * @QUIC_CONG_ALG_RENO: NewReno, RFC 9002
 * @QUIC_CONG_ALG_CUBIC: CUBIC, RFC 9438
 * @QUIC_CONG_ALG_MAX: number of algorithms
 */
enum quic_congestion_algo {
	QUIC_CONG_ALG_RENO,
	QUIC_CONG_ALG_CUBIC,
	QUIC_CONG_ALG_MAX
};

/**
 * struct quic_config - QUIC_SOCKOPT_CONFIG
 * @version: QUIC_VERSION_* to start with; 0 is version 1
 * @plpmtud_probe_interval: between path MTU probes, 5000000 to 143165576; 0 is
 *	no probing
 * @initial_smoothed_rtt: assumed before the first sample, 1000 to 6000000
 * @payload_cipher_type: TLS_CIPHER_* of <linux/tls.h> that the TLS agent should
 *	negotiate; 0 is any
 * @congestion_control_algo: &enum quic_congestion_algo
 * @validate_peer_address: nonzero: answer clients without a token by Retry
 * @stream_data_nodelay: nonzero: send a partly filled packet at once
 * @receive_session_ticket: seconds that the TLS agent may wait for a ticket
 * @certificate_request: certificate of the client: 0 not asked for, 1 asked
 *	for, 2 required
 * @reserved: pass zero
 * @keepalive_probe_interval: silence before a PING, at least 1500000; 0 is never
 *
 * When set, a zero member leaves the setting as it is.
 */
struct quic_config {
	__u32	version;
	__u32	plpmtud_probe_interval;
	__u32	initial_smoothed_rtt;
	__u32	payload_cipher_type;
	__u8	congestion_control_algo;
	__u8	validate_peer_address;
	__u8	stream_data_nodelay;
	__u8	receive_session_ticket;
	__u8	certificate_request;
	__u8	reserved[3];
	__u32	keepalive_probe_interval;
};

/**
 * struct quic_crypto_secret - QUIC_SOCKOPT_CRYPTO_SECRET
 * @send: nonzero: protects what we send; 0: what we receive
 * @level: &enum quic_crypto_level, not QUIC_CRYPTO_INITIAL
 * @reserved: pass zero
 * @type: TLS_CIPHER_* of <linux/tls.h>
 * @secret: TLS traffic secret; as many bytes count as the hash of @type has: 48
 *	for AES-256-GCM, else 32
 */
struct quic_crypto_secret {
	__u8	send;
	__u8	level;
	__u16	reserved;
	__u32	type;
	__u8	secret[QUIC_CRYPTO_SECRET_BUFFER_SIZE];
};

/**
 * struct quic_errinfo - QUIC_SOCKOPT_STREAM_RESET and
 *	QUIC_SOCKOPT_STREAM_STOP_SENDING
 * @stream_id: ID of the stream
 * @errcode: application protocol error code
 */
struct quic_errinfo {
	__s64	stream_id;
	__u32	errcode;
};

/**
 * struct quic_connection_id_info - QUIC_SOCKOPT_CONNECTION_ID and
 *	QUIC_EVENT_CONNECTION_ID
 * @dest: 1 selects the IDs the peer issued, 0 those issued here
 * @reserved: pass zero
 * @active: sequence number of the ID in use; when set, 0 keeps it
 * @prior_to: lowest sequence number held; when set, IDs below are retired and
 *	0 retires none
 */
struct quic_connection_id_info {
	__u8	dest;
	__u8	reserved[3];
	__u32	active;
	__u32	prior_to;
};

/**
 * struct quic_event_option - QUIC_SOCKOPT_EVENT
 * @type: &enum quic_event_type
 * @on: 1 if the event is delivered, else 0
 */
struct quic_event_option {
	__u8	type;
	__u8	on;
};

/**
 * enum quic_event_type - first byte of a record with MSG_QUIC_NOTIFICATION
 * @QUIC_EVENT_NONE: no event
 * @QUIC_EVENT_STREAM_UPDATE: &struct quic_stream_update
 * @QUIC_EVENT_STREAM_MAX_DATA: &struct quic_stream_max_data
 * @QUIC_EVENT_STREAM_MAX_STREAM: max_stream of &union quic_event
 * @QUIC_EVENT_CONNECTION_ID: &struct quic_connection_id_info
 * @QUIC_EVENT_CONNECTION_CLOSE: &struct quic_connection_close
 * @QUIC_EVENT_CONNECTION_MIGRATION: local_migration of &union quic_event
 * @QUIC_EVENT_KEY_UPDATE: key_update_phase of &union quic_event
 * @QUIC_EVENT_NEW_TOKEN: the token, opaque bytes
 * @QUIC_EVENT_NEW_SESSION_TICKET: a complete TLS NewSessionTicket message
 * @QUIC_EVENT_MAX: one more than the last event
 */
enum quic_event_type {
	QUIC_EVENT_NONE,
	QUIC_EVENT_STREAM_UPDATE,
	QUIC_EVENT_STREAM_MAX_DATA,
	QUIC_EVENT_STREAM_MAX_STREAM,
	QUIC_EVENT_CONNECTION_ID,
	QUIC_EVENT_CONNECTION_CLOSE,
	QUIC_EVENT_CONNECTION_MIGRATION,
	QUIC_EVENT_KEY_UPDATE,
	QUIC_EVENT_NEW_TOKEN,
	QUIC_EVENT_NEW_SESSION_TICKET,
	QUIC_EVENT_MAX
};

/*
 * Stream states, RFC 9000 section 3. One numbering: the receiving part goes on
 * where the sending part ends, so a state says which part it is of.
 */

/**
 * enum quic_stream_send_state - the sending part of a stream
 * @QUIC_STREAM_SEND_STATE_READY: open, nothing sent
 * @QUIC_STREAM_SEND_STATE_SEND: data sent
 * @QUIC_STREAM_SEND_STATE_SENT: all sent, with FIN
 * @QUIC_STREAM_SEND_STATE_RECVD: all acknowledged, with FIN
 * @QUIC_STREAM_SEND_STATE_RESET_SENT: RESET_STREAM sent
 * @QUIC_STREAM_SEND_STATE_RESET_RECVD: RESET_STREAM acknowledged
 */
enum quic_stream_send_state {
	QUIC_STREAM_SEND_STATE_READY,
	QUIC_STREAM_SEND_STATE_SEND,
	QUIC_STREAM_SEND_STATE_SENT,
	QUIC_STREAM_SEND_STATE_RECVD,
	QUIC_STREAM_SEND_STATE_RESET_SENT,
	QUIC_STREAM_SEND_STATE_RESET_RECVD
};

/**
 * enum quic_stream_recv_state - the receiving part of a stream
 * @QUIC_STREAM_RECV_STATE_RECV: data arriving
 * @QUIC_STREAM_RECV_STATE_SIZE_KNOWN: FIN has come, data is missing
 * @QUIC_STREAM_RECV_STATE_RECVD: all data has come
 * @QUIC_STREAM_RECV_STATE_READ: all data read
 * @QUIC_STREAM_RECV_STATE_RESET_RECVD: RESET_STREAM has come
 * @QUIC_STREAM_RECV_STATE_RESET_READ: the program knows of the reset
 */
enum quic_stream_recv_state {
	QUIC_STREAM_RECV_STATE_RECV = 6,
	QUIC_STREAM_RECV_STATE_SIZE_KNOWN,
	QUIC_STREAM_RECV_STATE_RECVD,
	QUIC_STREAM_RECV_STATE_READ,
	QUIC_STREAM_RECV_STATE_RESET_RECVD,
	QUIC_STREAM_RECV_STATE_RESET_READ
};

/**
 * struct quic_stream_update - QUIC_EVENT_STREAM_UPDATE
 * @id: ID of the stream
 * @state: &enum quic_stream_send_state or &enum quic_stream_recv_state it
 *	has entered
 * @reserved: zero
 * @errcode: application protocol error code of the RESET states, else 0
 * @finalsz: final size of the stream where the state has one, else 0
 */
struct quic_stream_update {
	__s64	id;
	__u8	state;
	__u8	reserved[3];
	__u32	errcode;
	__u64	finalsz;
};

/**
 * struct quic_stream_max_data - QUIC_EVENT_STREAM_MAX_DATA
 * @id: ID of the stream
 * @max_data: bytes that may be sent on the stream in all
 */
struct quic_stream_max_data {
	__s64	id;
	__u64	max_data;
};

/**
 * struct quic_connection_close - QUIC_SOCKOPT_CONNECTION_CLOSE and
 *	QUIC_EVENT_CONNECTION_CLOSE
 * @errcode: error code of the application protocol, or of the transport
 * @frame: type of the frame a transport error is about; read only
 * @reserved: pass zero
 * @phrase: reason for a human, ends with NUL
 */
struct quic_connection_close {
	__u32	errcode;
	__u8	frame;
	__u8	reserved[3];
	__u8	phrase[QUIC_CLOSE_PHRASE_BUFFER_SIZE];
};

/**
 * union quic_event - what follows the type byte of an event
 * @update: QUIC_EVENT_STREAM_UPDATE
 * @max_data: QUIC_EVENT_STREAM_MAX_DATA
 * @close: QUIC_EVENT_CONNECTION_CLOSE
 * @info: QUIC_EVENT_CONNECTION_ID
 * @max_stream: QUIC_EVENT_STREAM_MAX_STREAM: the highest stream ID allowed now;
 *	its two low bits say of which kind
 * @local_migration: QUIC_EVENT_CONNECTION_MIGRATION: 1 if our address changed,
 *	0 if the peer's did
 * @key_update_phase: QUIC_EVENT_KEY_UPDATE: the key phase bit, 0 or 1
 *
 * The payload is not aligned in the record: copy it out.
 */
union quic_event {
	struct quic_stream_update	update;
	struct quic_stream_max_data	max_data;
	struct quic_connection_close	close;
	struct quic_connection_id_info	info;
	__u64	max_stream;
	__u8	local_migration;
	__u8	key_update_phase;
};

/*
 * Transport error codes, RFC 9000 section 20.1 and RFC 9368 section 10.2: the
 * errcode of a connection that the transport closed. From
 * QUIC_TRANSPORT_ERROR_CRYPTO on, the low 8 bits are a TLS alert.
 */
enum quic_transport_error {
	QUIC_TRANSPORT_ERROR_NONE			= 0x00,
	QUIC_TRANSPORT_ERROR_INTERNAL			= 0x01,
	QUIC_TRANSPORT_ERROR_CONNECTION_REFUSED		= 0x02,
	QUIC_TRANSPORT_ERROR_FLOW_CONTROL		= 0x03,
	QUIC_TRANSPORT_ERROR_STREAM_LIMIT		= 0x04,
	QUIC_TRANSPORT_ERROR_STREAM_STATE		= 0x05,
	QUIC_TRANSPORT_ERROR_FINAL_SIZE			= 0x06,
	QUIC_TRANSPORT_ERROR_FRAME_ENCODING		= 0x07,
	QUIC_TRANSPORT_ERROR_TRANSPORT_PARAM		= 0x08,
	QUIC_TRANSPORT_ERROR_CONNECTION_ID_LIMIT	= 0x09,
	QUIC_TRANSPORT_ERROR_PROTOCOL_VIOLATION		= 0x0a,
	QUIC_TRANSPORT_ERROR_INVALID_TOKEN		= 0x0b,
	QUIC_TRANSPORT_ERROR_APPLICATION		= 0x0c,
	QUIC_TRANSPORT_ERROR_CRYPTO_BUF_EXCEEDED	= 0x0d,
	QUIC_TRANSPORT_ERROR_KEY_UPDATE			= 0x0e,
	QUIC_TRANSPORT_ERROR_AEAD_LIMIT_REACHED		= 0x0f,
	QUIC_TRANSPORT_ERROR_NO_VIABLE_PATH		= 0x10,
	QUIC_TRANSPORT_ERROR_VERSION_NEGOTIATION	= 0x11,
	QUIC_TRANSPORT_ERROR_MAX,
	QUIC_TRANSPORT_ERROR_CRYPTO			= 0x100
};

#endif /* _UAPI_LINUX_QUIC_H */
