/* SPDX-License-Identifier: Apache-2.0 */
/* What to keep of a chunk of which only a part fits the output. */
#ifndef FT_STORE_SHORTEN_H
#define FT_STORE_SHORTEN_H

#include <stdbool.h>

#include "pipe/chunk.h"

/* Room for what ends a shortened chunk. */
#define FT_SHORTEN_END_BYTES (FT_CHUNK_ALIGNMENT + FT_PCAPNG_STATISTICS_BYTES)

/*
 * Cut the chunk to the whole blocks (or pcap records) within its first `room` bytes; a chunk of
 * pcapng is ended again, aligned to `alignment`, within `room`. Its counts become those of what is
 * kept. Returns how many frames were cut off.
 */
uint64_t ft_chunk_shorten(struct ft_chunk *chunk, size_t room, bool pcapng, size_t alignment);

#endif
