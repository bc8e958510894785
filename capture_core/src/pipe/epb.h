/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame in its final form: the enhanced packet block (draft-ietf-opsawg-pcapng 4.3), or a pcap
 * record with nanoseconds (draft-ietf-opsawg-pcap 5). Run by the hot thread for every frame; about
 * 8 ns for a 60-byte frame.
 */
#ifndef FT_PIPE_EPB_H
#define FT_PIPE_EPB_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ft/clock.h"
#include "ft/port.h"

#define FT_EPB_TYPE	    6u
#define FT_EPB_HEADER_BYTES 28u
/* opt_comment (20), epb_flags (8), epb_dropcount (12), end of options (4), trailing length (4). */
#define FT_EPB_TRAILER_BYTES 48u

#define FT_EPB_OPTION_COMMENT	0x000e0001u /* length 14, code 1 */
#define FT_EPB_OPTION_FLAGS	0x00040002u /* length 4, code 2 */
#define FT_EPB_OPTION_DROPCOUNT 0x00080004u /* length 8, code 4 */

/* Of a frame that lacks the stamp that was asked for; 14 characters. */
#define FT_EPB_UNSTAMPED "host timestamp"

#define FT_PCAP_RECORD_HEADER_BYTES 16u

/* The block's length for a frame of `captured_bytes` before which nothing was lost. */
static inline size_t ft_epb_bytes(uint32_t captured_bytes)
{
	return FT_EPB_HEADER_BYTES + (((size_t)captured_bytes + 3) & ~(size_t)3) + 16;
}

/* At most so many bytes for a frame of `captured_bytes`. */
static inline size_t ft_epb_max_bytes(uint32_t captured_bytes)
{
	return FT_EPB_HEADER_BYTES + (((size_t)captured_bytes + 3) & ~(size_t)3) +
	       FT_EPB_TRAILER_BYTES;
}

/* Small frames without a call: pieces of 16 bytes, the last one overlapping. */
static inline void ft_epb_copy(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	uint32_t at = 0;

	if (__builtin_expect(bytes < 16 || bytes > 256, 0)) {
		memcpy(to, from, bytes);
		return;
	}
	do {
		memcpy(to + at, from + at, 16);
		at += 16;
	} while (at + 16 <= bytes);
	memcpy(to + bytes - 16, from + bytes - 16, 16);
}

/* `out` is 4-byte aligned and has ft_epb_max_bytes(captured_bytes). Returns the block's length. */
static inline uint32_t ft_epb_write(uint8_t *out, uint32_t interface, const struct ft_frame *frame,
				    uint32_t captured_bytes, uint64_t dropped_before)
{
	uint32_t *header = (uint32_t *)out;
	uint32_t *trailer, total;

	header[0] = FT_EPB_TYPE;
	header[2] = interface;
	header[3] = (uint32_t)(frame->stamp_ns >> 32);
	header[4] = (uint32_t)frame->stamp_ns;
	header[5] = captured_bytes;
	header[6] = frame->length_bytes;
	trailer = (uint32_t *)(out + FT_EPB_HEADER_BYTES + ((captured_bytes + 3u) & ~3u));
	if (captured_bytes & 3u)
		trailer[-1] = 0; /* padding */
	ft_epb_copy(out + FT_EPB_HEADER_BYTES, frame->data, captured_bytes);
	if (__builtin_expect(frame->unstamped, 0)) {
		*trailer++ = FT_EPB_OPTION_COMMENT;
		trailer[3] = 0; /* padding */
		memcpy(trailer, FT_EPB_UNSTAMPED, sizeof(FT_EPB_UNSTAMPED) - 1);
		trailer += 4;
	}
	*trailer++ = FT_EPB_OPTION_FLAGS;
	*trailer++ = frame->epb_flags;
	if (__builtin_expect(dropped_before != 0, 0)) {
		*trailer++ = FT_EPB_OPTION_DROPCOUNT;
		*trailer++ = (uint32_t)dropped_before;
		*trailer++ = (uint32_t)(dropped_before >> 32);
	}
	*trailer++ = 0; /* end of options */
	total = (uint32_t)((uint8_t *)(trailer + 1) - out);
	*trailer = total;
	header[1] = total;
	return total;
}

/* `out` has FT_PCAP_RECORD_HEADER_BYTES + captured_bytes. Returns the record's length. */
static inline uint32_t ft_pcap_write(uint8_t *out, const struct ft_frame *frame,
				     uint32_t captured_bytes)
{
	const uint32_t header[4] = {(uint32_t)(frame->stamp_ns / FT_NS_PER_SECOND),
				    (uint32_t)(frame->stamp_ns % FT_NS_PER_SECOND), captured_bytes,
				    frame->length_bytes};

	memcpy(out, header, sizeof(header));
	ft_epb_copy(out + sizeof(header), frame->data, captured_bytes);
	return FT_PCAP_RECORD_HEADER_BYTES + captured_bytes;
}

#endif
