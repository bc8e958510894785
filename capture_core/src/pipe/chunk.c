/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MEMORY_BYTES ((size_t)FT_CHUNK_BYTES * FT_POOL_CHUNKS)

int ft_pool_create(struct ft_ledger *ledger, uint32_t first_interface, struct ft_pool **pool,
		   struct ft_error *error)
{
	struct ft_pool *p = aligned_alloc(64, sizeof(*p));

	if (p == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	memset(p, 0, sizeof(*p));
	p->ledger = ledger;
	p->first_interface = first_interface;
	p->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->memory == MAP_FAILED) {
		free(p);
		return ft_fail(error, -ENOMEM, "cannot reserve %zu bytes for frames", MEMORY_BYTES);
	}
	madvise(p->memory, MEMORY_BYTES, MADV_HUGEPAGE);
	for (unsigned i = 0; i < FT_POOL_CHUNKS; i++) {
		p->chunks[i].data = p->memory + (size_t)i * FT_CHUNK_BYTES;
		p->spare[i] = &p->chunks[i];
	}
	p->spare_count = FT_POOL_CHUNKS;
	*pool = p;
	return 0;
}

void ft_pool_free(struct ft_pool *pool)
{
	if (pool == NULL)
		return;
	munmap(pool->memory, MEMORY_BYTES);
	free(pool);
}
