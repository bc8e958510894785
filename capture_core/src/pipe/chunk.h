/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks carry finished blocks from a hot thread to the writer, from there to the indexer, and come
 * back empty. All memory is reserved at start and touched as it fills; the chunk used last is used
 * first again, so that a quiet capture stays in cache.
 */
#ifndef FT_PIPE_CHUNK_H
#define FT_PIPE_CHUNK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/ledger.h"
#include "ft/port.h"
#include "pipe/ring.h"
#include "pipe/summary.h"

#define FT_CHUNK_BYTES	   (4u << 20)
#define FT_POOL_MAX_CHUNKS FT_RING_SLOTS

struct ft_file;
struct ft_pool;

struct ft_chunk {
	uint8_t *data;
	struct ft_pool *pool;
	struct ft_summary *summary;
	/* Written by the hot thread. */
	uint64_t file; /* number of the file that it belongs to */
	uint32_t used_bytes;
	uint32_t frames[FT_PORT_MAX_INTERFACES]; /* a count an interface of the port */
	uint32_t disordered;	    /* frames with a stamp below one before them in the chunk */
	uint64_t frame_bytes;	    /* captured bytes of its frames */
	uint64_t first_ns, last_ns; /* lowest and highest stamp; meaningless without frames */
	uint64_t opened_ns;	    /* monotonic, when the first frame came in */
	/* Written by the writer. */
	struct ft_file *written_to;
	uint64_t offset; /* in that file */
	uint64_t sequence;
};

static inline uint64_t ft_chunk_frames(const struct ft_chunk *chunk)
{
	return (uint64_t)chunk->frames[0] + chunk->frames[1];
}

enum ft_huge_pages { FT_HUGE_RESERVED, FT_HUGE_TRANSPARENT, FT_HUGE_NONE };

/* Between one hot thread and those that come after it. */
struct ft_pool {
	struct ft_ledger *ledger;
	uint32_t first_interface; /* pcapng number of the port's interface 0 */
	uint32_t source;	  /* number of the hot thread, for the chunks' marks */
	struct ft_ring filled;	  /* hot thread to writer */
	struct ft_ring empty;	  /* back to the hot thread */
	/* Written by the hot thread: chunks for earlier files have all been pushed; UINT64_MAX: it
	 * has ended. */
	_Atomic uint64_t file;
	/* Written by the writer thread; the main thread reads it at the end. */
	uint64_t stored[FT_PORT_MAX_INTERFACES];
	/* The hot thread's own stack of empty chunks. */
	unsigned spare_count;
	struct ft_chunk **spare;

	unsigned chunk_count;
	struct ft_chunk *chunks;
	struct ft_summary *summaries;
	uint8_t *memory; /* chunk_count * FT_CHUNK_BYTES */
	enum ft_huge_pages huge_pages;
	void *mapping;
	size_t mapping_bytes;
};

/* `chunk_count` from 2 to FT_POOL_MAX_CHUNKS; `prefault` touches all memory now. */
int ft_pool_create(unsigned chunk_count, bool prefault, struct ft_pool **pool,
		   struct ft_error *error);
void ft_pool_free(struct ft_pool *pool);

/* An empty chunk, or NULL when others have them all. For the hot thread. */
static inline struct ft_chunk *ft_pool_take(struct ft_pool *pool)
{
	struct ft_chunk *chunk;

	while ((chunk = ft_ring_pop(&pool->empty)) != NULL)
		pool->spare[pool->spare_count++] = chunk;
	if (pool->spare_count == 0)
		return NULL;
	chunk = pool->spare[--pool->spare_count];
	chunk->used_bytes = 0;
	memset(chunk->frames, 0, sizeof(chunk->frames));
	chunk->disordered = 0;
	chunk->frame_bytes = 0;
	chunk->first_ns = UINT64_MAX;
	chunk->last_ns = 0;
	return chunk;
}

#endif
