/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng blocks (draft-ietf-opsawg-pcapng). Every function writes one whole block in host byte
 * order at `out`, which has `room` bytes, and returns its length, a multiple of 4; 0 when it does
 * not fit. All interfaces of a file have one link type and one snap length: libpcap reads nothing
 * from a file that mixes them.
 */
#ifndef FT_PCAPNG_H
#define FT_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/port.h"

/* Enough for any one statistics block of ours. */
#define FT_PCAPNG_STATISTICS_BYTES 256u
/* Enough for a section header or an interface block, filter included. */
#define FT_PCAPNG_HEADER_BYTES 8192u

/* Section header: program and machine are told. */
size_t ft_pcapng_write_section(uint8_t *out, size_t room, const char *application);

/* `filter` may be NULL. The comment and local option 0x8001 say where stamps come from. */
size_t ft_pcapng_write_interface(uint8_t *out, size_t room,
				 const struct ft_port_interface *interface, uint32_t snap_bytes,
				 const char *filter);

struct ft_pcapng_statistics {
	uint32_t interface;
	uint64_t now_ns;
	uint64_t started_ns;
	uint64_t delivered;  /* isb_usrdeliv: in this file */
	bool counts_port;    /* whether the counts below are told: once a port */
	uint64_t received;   /* isb_ifrecv: offered */
	uint64_t missed;     /* isb_ifdrop: dropped by the adapter */
	uint64_t accepted;   /* isb_filteraccept */
	uint64_t os_drops;   /* isb_osdrop: dropped by the kernel's ring */
	uint64_t ring_drops; /* local option 0x8002: ring, disk and excess, three 64-bit counts */
	uint64_t disk_drops;
	uint64_t excess;
};

/*
 * A chunk is a run of whole blocks that begins at an aligned offset of the file and can be judged
 * by itself. Its last block is a statistics block whose last option is this mark (local option
 * 0x8003, host byte order); before it, local option 0x8004 is filler up to the alignment. The
 * CRC32C covers the chunk from its first byte up to the mark's own `crc32c`, which is the mark's
 * last field; what follows is only the end of options and the block's length.
 */
#define FT_CHUNK_MARK_BYTES 48u
#define FT_CHUNK_ALIGNMENT  4096u
#define FT_CHUNK_NO_SOURCE  UINT32_MAX
/* A chunk's last bytes: the mark's option, the end of options, the block's length. */
#define FT_CHUNK_END_BYTES (4u + FT_CHUNK_MARK_BYTES + 4u + 4u)

struct ft_chunk_mark {
	uint64_t sequence;   /* of the chunk in the run, from 0, across files */
	uint8_t session[16]; /* drawn at random for each run */
	uint32_t bytes;	     /* the whole chunk, mark and filler included */
	uint32_t source; /* which hot thread made it; FT_CHUNK_NO_SOURCE: headers or last words */
	uint64_t synced_ns; /* UTC, when this file was last synced before that; 0: not yet */
	uint32_t reserved;
	uint32_t crc32c;
};

_Static_assert(sizeof(struct ft_chunk_mark) == FT_CHUNK_MARK_BYTES, "the mark is written as it is");

size_t ft_pcapng_write_statistics(uint8_t *out, size_t room,
				  const struct ft_pcapng_statistics *statistics);

/*
 * The statistics block that ends a chunk of which `before_bytes` bytes stand before `out`: filled
 * up so that the chunk's length is a multiple of `alignment` (a power of two, at least 4), with
 * `mark` as its last option; `bytes` and `crc32c` of the mark are set here, the latter to 0.
 */
size_t ft_pcapng_write_chunk_end(uint8_t *out, size_t room,
				 const struct ft_pcapng_statistics *statistics, size_t before_bytes,
				 size_t alignment, const struct ft_chunk_mark *mark);

/* Set sequence, session, synced_ns and CRC32C of a chunk that ft_pcapng_write_chunk_end ended. */
void ft_pcapng_seal_chunk(uint8_t *chunk, size_t bytes, const struct ft_chunk_mark *mark);

/*
 * Whether the FT_CHUNK_END_BYTES bytes at `end` could be the last ones of a chunk. The bytes are
 * untrusted, and of the chunk itself nothing is known.
 */
bool ft_pcapng_read_mark(const uint8_t *end, struct ft_chunk_mark *mark);

/*
 * Whether the `bytes` bytes at `chunk` end with a mark. `intact`: its length and CRC are right too.
 * The bytes are untrusted.
 */
bool ft_pcapng_read_chunk_mark(const uint8_t *chunk, size_t bytes, struct ft_chunk_mark *mark,
			       bool *intact);

#endif
