/* SPDX-License-Identifier: Apache-2.0 */
#include "store/settled.h"

#include <unistd.h>

#define PAGE_BYTES   FT_CHUNK_ALIGNMENT
#define WINDOW_BYTES (64u << 10)

/* Followed from the file's end to its beginning. */
struct chain {
	const struct ft_spans *spans;
	uint64_t margin_bytes;
	uint64_t data_end; /* of the last page that holds something; 0: not met yet */
	uint64_t end;	   /* where the next mark is looked for */
	/* Since the chain last broke. */
	bool linked;
	struct ft_chunk_mark mark; /* the last one found */
	unsigned syncs;		   /* how often the marks told of an earlier one */
	uint64_t synced_end;	   /* what ends here was there before two of them; 0: unknown */
	uint64_t settled_bytes;
	/* Of the file. */
	uint64_t window_offset;
	size_t window_bytes;
	uint8_t window[WINDOW_BYTES];
};

/* The last bytes before chain->end; NULL when they cannot be read. */
static const uint8_t *look_back(struct chain *chain)
{
	/* Marks that lie close together are read together. */
	size_t most = chain->mark.bytes < WINDOW_BYTES ? WINDOW_BYTES : PAGE_BYTES;
	size_t want = chain->end < most ? (size_t)chain->end : most;

	if (chain->end < chain->window_offset + PAGE_BYTES ||
	    chain->end > chain->window_offset + chain->window_bytes) {
		chain->window_offset = chain->end - want;
		chain->window_bytes = want;
		if (pread(chain->spans->fd, chain->window, want, (off_t)chain->window_offset) !=
		    (ssize_t)want)
			return NULL;
	}
	return chain->window + (chain->end - chain->window_offset) - FT_CHUNK_END_BYTES;
}

static bool is_link(const struct chain *chain, const struct ft_chunk_mark *mark)
{
	return memcmp(mark->session, chain->spans->session, sizeof(mark->session)) == 0 &&
	       mark->bytes != 0 && mark->bytes % PAGE_BYTES == 0 && mark->bytes <= chain->end &&
	       (!chain->linked || mark->sequence + 1 == chain->mark.sequence);
}

static void follow(struct chain *chain, const struct ft_chunk_mark *mark)
{
	if (chain->linked && mark->synced_ns != chain->mark.synced_ns)
		chain->syncs++;
	/* Sealed before the last but one sync had ended, so before the last was asked for. */
	if (chain->syncs == 2 && chain->synced_end == 0)
		chain->synced_end = chain->end;
	chain->linked = true;
	chain->mark = *mark;
	chain->end -= mark->bytes;
	if (chain->settled_bytes == 0 && chain->synced_end != 0 &&
	    chain->synced_end - chain->end >= chain->margin_bytes)
		chain->settled_bytes = chain->end;
}

static void begin_again(struct chain *chain)
{
	chain->linked = false;
	chain->mark = (struct ft_chunk_mark){0};
	chain->syncs = 0;
	chain->synced_end = chain->settled_bytes = 0;
}

/* No mark leads on. False where that cannot be for want of a sync. */
static bool pass_break(struct chain *chain, const uint8_t *at)
{
	static const uint8_t nothing[FT_CHUNK_END_BYTES];

	if (chain->data_end == 0 && memcmp(at, nothing, sizeof(nothing)) != 0)
		chain->data_end = chain->end;
	if (chain->data_end != 0 && chain->data_end - chain->end > chain->margin_bytes)
		return false;
	if (!chain->linked)
		chain->end -= PAGE_BYTES;
	begin_again(chain);
	return true;
}

uint64_t ft_settled_bytes(const struct ft_spans *spans, uint64_t margin_bytes)
{
	struct chain chain = {.spans = spans, .margin_bytes = margin_bytes};

	if (!spans->aligned || spans->header_bytes == 0)
		return 0;
	chain.end = spans->size_bytes / PAGE_BYTES * PAGE_BYTES;
	while (chain.end > 0) {
		const uint8_t *at = look_back(&chain);
		struct ft_chunk_mark mark;

		if (at == NULL)
			return 0;
		if (ft_pcapng_read_mark(at, &mark) && is_link(&chain, &mark)) {
			if (chain.data_end == 0)
				chain.data_end = chain.end;
			follow(&chain, &mark);
		} else if (!pass_break(&chain, at)) {
			return 0;
		}
	}
	/* The last one is the header's, which is known to be intact. */
	return chain.mark.bytes == spans->header_bytes ? chain.settled_bytes : 0;
}
