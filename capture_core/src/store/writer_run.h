/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer thread's two courses share: files (writer.c), a stream or nowhere
 * (writer_stream.c). */
#ifndef FT_STORE_WRITER_RUN_H
#define FT_STORE_WRITER_RUN_H

#include "store/writer.h"

/* How long to wait for chunks before looking around. */
#define FT_WRITER_WAIT_MS 100

static inline bool ft_writer_has_failed(const struct ft_writer *writer)
{
	return atomic_load_explicit(&writer->failed, memory_order_relaxed);
}

/* The sentence is in writer->error. */
static inline void ft_writer_fail(struct ft_writer *writer)
{
	/* Release: the error's text before the flag. */
	atomic_store_explicit(&writer->failed, true, memory_order_release);
}

static inline void ft_writer_note_stored(struct ft_writer *writer, const struct ft_chunk *chunk)
{
	struct ft_pool *pool = chunk->pool;
	uint64_t frames = ft_chunk_frames(chunk);

	if (frames == 0)
		return;
	ft_count_add(&pool->ledger->stored, frames);
	ft_count_add(&pool->ledger->stored_bytes, chunk->frame_bytes);
	for (unsigned i = 0; i < FT_PORT_MAX_INTERFACES; i++)
		pool->stored[i] += chunk->frames[i];
	if (writer->first_ns == 0 || chunk->first_ns < writer->first_ns)
		writer->first_ns = chunk->first_ns;
	if (chunk->last_ns > writer->last_ns)
		writer->last_ns = chunk->last_ns;
}

static inline void ft_writer_note_dropped(struct ft_chunk *chunk)
{
	ft_count_add(&chunk->pool->ledger->dropped_disk, ft_chunk_frames(chunk));
}

/* Write what every stream begins with. -EIO and others where it cannot be written. */
int ft_writer_open_stream(struct ft_writer *writer, struct ft_error *error);

/* Write chunks as they come, or count them as dropped once writing has failed, until told to end.
 */
void ft_writer_run_stream(struct ft_writer *writer);

#endif
