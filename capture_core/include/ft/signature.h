/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signature of a generated frame: the last 16 bytes of its payload, where a VLAN or MPLS push
 * by a device on the way does not move it, all fields big-endian:
 *
 *   magic 16 (XOR the run's secret) | version 4, flags 4 | run 8 | stream 16 | sequence 32 | sent
 * 48
 *
 * Two bytes before it are chosen so that the words of all 18 bytes add up to 0xffff. The checksum
 * of UDP, TCP or ICMP therefore stays the same while sequence and time change, and stays valid (RFC
 * 1624). Before those lies, in longer payloads that do not change from frame to frame, the CRC32C
 * of all payload before it: a device that writes a checksum anew hides from it what it damaged, and
 * the checksum does not see words that change places.
 */
#ifndef FT_SIGNATURE_H
#define FT_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __bpf__ /* where there is no C library (bpf/live.bpf.c) */
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#define htonl  bpf_htonl
#define htons  bpf_htons
#define memcpy __builtin_memcpy
#else
#include <arpa/inet.h>
#include <string.h>
#endif

#include "ft/signature_layout.h"

#define FT_SIGNATURE_MAGIC     0xf7a9u
#define FT_SIGNATURE_SENT_BITS 48u

/* What tells a run's frames from all others, stragglers of an earlier run included. */
struct ft_signature_run {
	uint16_t secret;
	uint8_t id;
};

struct ft_signature {
	uint16_t stream;
	uint32_t sequence;
	uint64_t sent_ns; /* UTC, the low 48 bits: wraps after 78 hours */
	bool reflected;	  /* by ft-reflect: since `sent_ns` it went there and back */
};

enum ft_signature_verdict {
	FT_SIGNATURE_FOREIGN, /* not a frame of this run */
	FT_SIGNATURE_BROKEN,  /* a frame of this run whose signature is damaged: of what stream? */
	FT_SIGNATURE_CORRUPT, /* the signature is whole, what it is sent with is not */
	FT_SIGNATURE_VALID,
};

#define FT_SIGNATURE_CRC_BYTES 4u
/* A payload with so much before the room is covered: frames from 128 bytes with FCS. */
#define FT_SIGNATURE_COVERED_BYTES 64u

/* A new run's secret, from the kernel's random numbers. */
void ft_signature_draw_run(struct ft_signature_run *run);

/* Write the fields that stay; `room` is FT_SIGNATURE_ROOM_BYTES. */
void ft_signature_prepare(uint8_t *room, const struct ft_signature_run *run, uint16_t stream);

/*
 * Cover the payload from its first byte to a prepared `room` with a CRC32C, which replaces the last
 * bytes before the room. It must be what each frame is sent with, and the checksum of UDP, TCP or
 * ICMP is made after. Returns how many bytes it replaced: none of a payload shorter than
 * FT_SIGNATURE_COVERED_BYTES.
 */
unsigned ft_signature_cover(uint8_t *payload, uint8_t *room);

/*
 * Find and judge the signature of a received Ethernet frame of `bytes` bytes, which are not
 * trusted: behind VLAN tags and MPLS labels, at the end of what IPv4 or IPv6 carries, else at the
 * end of the frame. `signature` is set for FT_SIGNATURE_CORRUPT and FT_SIGNATURE_VALID.
 */
enum ft_signature_verdict ft_signature_read(const uint8_t *frame, size_t bytes,
					    const struct ft_signature_run *run,
					    struct ft_signature *signature);

/* Write the fields that change, once a frame: a few nanoseconds. */
static inline void ft_signature_stamp(uint8_t *room, uint32_t sequence, uint64_t sent_ns)
{
	uint32_t be_sequence = htonl(sequence), be_sent_low = htonl((uint32_t)sent_ns), sum = 0;
	uint16_t be_sent_high = htons((uint16_t)(sent_ns >> 32)), complement;

	memcpy(room + FT_SIGNATURE_SEQUENCE_AT, &be_sequence, sizeof(be_sequence));
	memcpy(room + FT_SIGNATURE_SENT_AT, &be_sent_high, sizeof(be_sent_high));
	memcpy(room + FT_SIGNATURE_SENT_AT + 2, &be_sent_low, sizeof(be_sent_low));
	/* One's complement sums do not depend on the byte order (RFC 1071 2). */
	for (unsigned at = FT_SIGNATURE_MAGIC_AT; at < FT_SIGNATURE_ROOM_BYTES; at += 2) {
		uint16_t word;

		memcpy(&word, room + at, sizeof(word));
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	complement = (uint16_t)~((sum & 0xffff) + (sum >> 16));
	memcpy(room, &complement, sizeof(complement));
}

#endif
