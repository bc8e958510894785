/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks carry finished pcapng blocks from a hot thread to the writer and come back empty. All
 * memory is reserved at start and touched as it fills; the chunk used last is used first again, so
 * that a quiet capture stays in cache.
 */
#ifndef FT_PIPE_CHUNK_H
#define FT_PIPE_CHUNK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ft/error.h"
#include "ft/ledger.h"
#include "ft/port.h"
#include "pipe/ring.h"

#define FT_CHUNK_BYTES (4u << 20)
#define FT_POOL_CHUNKS 64u

struct ft_chunk {
	uint8_t *data;
	uint32_t used_bytes;
	uint32_t frames[FT_PORT_MAX_INTERFACES]; /* a count an interface of the port */
	uint64_t frame_bytes;			 /* captured bytes of its frames */
	uint64_t first_ns, last_ns;		 /* meaningless without frames */
	uint64_t opened_ns;			 /* monotonic, when the first frame came in */
};

/* Between one hot thread and the writer. */
struct ft_pool {
	struct ft_ledger *ledger;
	uint32_t first_interface; /* pcapng number of the port's interface 0 */
	struct ft_ring filled;	  /* hot thread to writer */
	struct ft_ring empty;	  /* writer to hot thread */
	struct ft_chunk chunks[FT_POOL_CHUNKS];
	uint8_t *memory;
	/* Written by the writer thread; the main thread reads it at the end. */
	uint64_t stored[FT_PORT_MAX_INTERFACES];
	/* The hot thread's own stack of empty chunks. */
	unsigned spare_count;
	struct ft_chunk *spare[FT_POOL_CHUNKS];
};

int ft_pool_create(struct ft_ledger *ledger, uint32_t first_interface, struct ft_pool **pool,
		   struct ft_error *error);
void ft_pool_free(struct ft_pool *pool);

/* An empty chunk, or NULL when the writer has them all. For the hot thread. */
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
	chunk->frame_bytes = 0;
	chunk->first_ns = UINT64_MAX;
	chunk->last_ns = 0;
	return chunk;
}

#endif
