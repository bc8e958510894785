/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE_BYTES (2u << 20)

/* Huge pages that the administrator has set aside, else transparent ones, else what there is. */
static int reserve_memory(struct ft_pool *pool, struct ft_error *error)
{
	size_t bytes = (size_t)pool->chunk_count * FT_CHUNK_BYTES;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	uintptr_t start;

	pool->mapping_bytes = bytes;
	pool->mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
	if (pool->mapping != MAP_FAILED) {
		pool->memory = pool->mapping;
		pool->huge_pages = FT_HUGE_RESERVED;
		return 0;
	}
	pool->mapping_bytes = bytes + HUGE_PAGE_BYTES;
	pool->mapping = mmap(NULL, pool->mapping_bytes, PROT_READ | PROT_WRITE,
			     flags | MAP_NORESERVE, -1, 0);
	if (pool->mapping == MAP_FAILED)
		return ft_fail(error, -ENOMEM,
			       "cannot reserve %zu bytes for frames; ask for fewer with the port's "
			       "key blocks=N",
			       bytes);
	start = ((uintptr_t)pool->mapping + HUGE_PAGE_BYTES - 1) &
		~(uintptr_t)(HUGE_PAGE_BYTES - 1);
	pool->memory = (uint8_t *)start;
	pool->huge_pages = madvise(pool->memory, bytes, MADV_HUGEPAGE) == 0 ? FT_HUGE_TRANSPARENT
									    : FT_HUGE_NONE;
	return 0;
}

int ft_pool_create(unsigned chunk_count, bool prefault, struct ft_pool **pool,
		   struct ft_error *error)
{
	struct ft_pool *p = aligned_alloc(64, sizeof(*p));
	int rc;

	if (p == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	memset(p, 0, sizeof(*p));
	p->chunk_count = chunk_count;
	p->chunks = calloc(chunk_count, sizeof(*p->chunks));
	p->spare = calloc(chunk_count, sizeof(struct ft_chunk *));
	p->summaries = calloc(chunk_count, sizeof(*p->summaries));
	if (p->chunks == NULL || p->spare == NULL || p->summaries == NULL)
		rc = ft_fail(error, -ENOMEM, "out of memory");
	else
		rc = reserve_memory(p, error);
	if (rc != 0) {
		ft_pool_free(p);
		return rc;
	}
	/* What is touched stays in memory, where that is permitted. */
	mlock2(p->memory, (size_t)chunk_count * FT_CHUNK_BYTES, MLOCK_ONFAULT);
	if (prefault)
		madvise(p->memory, (size_t)chunk_count * FT_CHUNK_BYTES, MADV_POPULATE_WRITE);
	for (unsigned i = 0; i < chunk_count; i++) {
		struct ft_chunk *chunk = &p->chunks[i];

		chunk->data = p->memory + (size_t)i * FT_CHUNK_BYTES;
		chunk->pool = p;
		chunk->summary = &p->summaries[i];
		p->spare[chunk_count - 1 - i] = chunk;
	}
	p->spare_count = chunk_count;
	*pool = p;
	return 0;
}

void ft_pool_free(struct ft_pool *pool)
{
	if (pool == NULL)
		return;
	if (pool->mapping != NULL && pool->mapping != MAP_FAILED)
		munmap(pool->mapping, pool->mapping_bytes);
	free(pool->chunks);
	free(pool->spare);
	free(pool->summaries);
	free(pool);
}
