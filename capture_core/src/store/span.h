/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own capture files taken apart from the outside: spans of whole blocks, of which most are
 * chunks. For repair, the verify walk, and extraction without an index. Everything read is
 * untrusted: a block counts only with a sane length, the same again at its end, and a shape that we
 * write.
 */
#ifndef FT_STORE_SPAN_H
#define FT_STORE_SPAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "ft/error.h"
#include "ft/index.h"
#include "ft/pcapng.h"
#include "ft/reader.h"

#define FT_BLOCK_SECTION    0x0a0d0d0au
#define FT_BLOCK_INTERFACE  1u
#define FT_BLOCK_STATISTICS 5u
#define FT_BLOCK_ENHANCED   6u
/* A local block type: what a repair puts where no whole blocks are. */
#define FT_BLOCK_FILLER 0x80000001u

#define FT_BLOCK_MIN_BYTES	12u
#define FT_ENHANCED_MIN_BYTES	32u
#define FT_STATISTICS_MIN_BYTES 24u
#define FT_INTERFACE_MIN_BYTES	20u
/* libpcap refuses longer blocks (MAX_BLOCKSIZE is 16 MiB); ours are far shorter. */
#define FT_BLOCK_MAX_BYTES (4u << 20)

#define FT_SPAN_MAX_INTERFACES 1024u

enum ft_span_kind {
	FT_SPAN_CHUNK,	/* ends with a mark of its very length */
	FT_SPAN_LOOSE,	/* whole blocks without a mark, possibly none */
	FT_SPAN_FILLER, /* a filler block */
};

/* What comes after a span of loose blocks. */
enum ft_span_stop {
	FT_STOP_NEXT,	  /* another span */
	FT_STOP_END,	  /* the end of the file */
	FT_STOP_CUT,	  /* a block that reaches beyond the file */
	FT_STOP_STRUCTURE /* no valid block */
};

struct ft_span {
	enum ft_span_kind kind;
	enum ft_span_stop stop; /* of loose blocks */
	bool intact;		/* of a chunk: its CRC is right */
	struct ft_chunk_mark mark;
	struct ft_index_chunk is; /* where it lies and what it holds */
	const uint8_t *at;	  /* its bytes, valid until the next call */
};

/* An interface block, within the first chunk. */
struct ft_span_interface {
	const uint8_t *block; /* as it is in the file */
	uint32_t bytes;
	uint32_t snap_bytes;
	uint16_t link_type;
};

struct ft_spans {
	const char *path;
	int fd;
	uint64_t size_bytes;
	uint32_t header_bytes; /* the first chunk: no frames */
	uint8_t session[16];
	bool is_sound; /* the first chunk, with its headers, is intact */
	bool aligned;  /* chunks begin at multiples of FT_CHUNK_ALIGNMENT */
	uint32_t interface_count;
	struct ft_span_interface interfaces[FT_SPAN_MAX_INTERFACES];
	/* Told of each piece of the file as it is first read, in order; may be NULL. */
	void (*on_read)(void *context, const uint8_t *bytes, size_t count);
	void *context;
	/* Private. */
	uint8_t *first_chunk;
	uint8_t *window;
	uint64_t window_offset, told_bytes;
	size_t window_bytes;
};

/*
 * Begin with `fd`, which stays the caller's, as `path` does. -EMEDIUMTYPE without a sentence: it
 * does not begin like a file of ours. On success the caller ends with ft_spans_close.
 */
int ft_spans_open(struct ft_spans *spans, const char *path, int fd, struct ft_error *error);
void ft_spans_close(struct ft_spans *spans);
/* Take the file for one of so many bytes: the rest was reserved and never written. */
void ft_spans_limit(struct ft_spans *spans, uint64_t size_bytes);

/* 1 with the span that begins at `offset`, 0 at the end of the file, or a negative errno. */
int ft_spans_read(struct ft_spans *spans, uint64_t offset, struct ft_span *span,
		  struct ft_error *error);

/* 1 with the first intact chunk of the file's session that begins at `offset` or later, or 0. */
int ft_spans_find_chunk(struct ft_spans *spans, uint64_t offset, struct ft_span *span,
			struct ft_error *error);

/* Read on to the end, for on_read's sake. */
int ft_spans_finish(struct ft_spans *spans, struct ft_error *error);

/* Whether a chunk of that sort really ends there: for an index that may be another file's. */
bool ft_spans_confirm(struct ft_spans *spans, const struct ft_index_chunk *chunk);

static inline uint32_t ft_block_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* The length of the block at `at`, 0 where the `left` bytes begin with none. */
static inline uint32_t ft_block_bytes(const uint8_t *at, size_t left)
{
	uint32_t bytes;

	if (left < FT_BLOCK_MIN_BYTES)
		return 0;
	bytes = ft_block_u32(at + 4);
	if (bytes < FT_BLOCK_MIN_BYTES || bytes % 4 != 0 || bytes > left ||
	    ft_block_u32(at + bytes - 4) != bytes)
		return 0;
	return bytes;
}

/* Whether an enhanced packet block of `bytes` bytes holds what it says. */
static inline bool ft_enhanced_is_sound(const uint8_t *at, uint32_t bytes, uint32_t interfaces)
{
	uint32_t captured;

	if (bytes < FT_ENHANCED_MIN_BYTES || ft_block_u32(at + 8) >= interfaces)
		return false;
	captured = ft_block_u32(at + 20);
	return captured <= FT_READER_MAX_FRAME_BYTES &&
	       ((captured + 3u) & ~3u) <= bytes - FT_ENHANCED_MIN_BYTES &&
	       ft_block_u32(at + 24) >= captured;
}

static inline uint64_t ft_enhanced_stamp_ns(const uint8_t *at)
{
	return (uint64_t)ft_block_u32(at + 12) << 32 | ft_block_u32(at + 16);
}

/* What a statistics block tells; a count that it does not tell is UINT64_MAX. */
void ft_statistics_read(const uint8_t *block, uint32_t bytes,
			struct ft_pcapng_statistics *statistics);

/* The value of an option of a block, NULL when there is none such; the first one of its kind. */
const uint8_t *ft_block_find_option(const uint8_t *block, uint32_t bytes, uint32_t fixed_bytes,
				    uint16_t code, uint16_t *length);

#endif
