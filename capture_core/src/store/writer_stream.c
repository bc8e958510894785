/* SPDX-License-Identifier: Apache-2.0 */
/* The writer thread's course where it writes a stream or nowhere: chunks go straight back. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "store/shorten.h"
#include "store/writer_run.h"

int ft_writer_open_stream(struct ft_writer *writer, struct ft_error *error)
{
	struct ft_chunk_mark mark = {.sequence = writer->next_sequence};
	size_t wrote;

	memcpy(mark.session, writer->session, sizeof(mark.session));
	if (writer->pcapng) {
		ft_pcapng_seal_chunk(writer->header, writer->header_bytes, &mark);
		writer->next_sequence++;
	}
	wrote = ft_output_write(writer->stream, writer->header, writer->header_bytes, error);
	return wrote == writer->header_bytes ? 0 : -EIO;
}

static void stream_chunk(struct ft_writer *writer, struct ft_chunk *chunk)
{
	struct ft_chunk_mark mark = {.sequence = writer->next_sequence};
	size_t wrote;

	if (ft_writer_has_failed(writer)) {
		ft_writer_note_dropped(chunk);
		return;
	}
	if (writer->pcapng && ft_output_is_kept(writer->stream)) {
		memcpy(mark.session, writer->session, sizeof(mark.session));
		ft_pcapng_seal_chunk(chunk->data, chunk->used_bytes, &mark);
		writer->next_sequence++;
	}
	wrote = ft_output_write(writer->stream, chunk->data, chunk->used_bytes, &writer->error);
	if (wrote < chunk->used_bytes) {
		/* What the reader took cannot be taken back, nor ended in another way. */
		ft_output_cut(writer->stream, chunk->data, wrote, wrote);
		wrote += writer->pcapng ? FT_SHORTEN_END_BYTES : 0;
		ft_count_add(&chunk->pool->ledger->dropped_disk,
			     ft_chunk_shorten(chunk, wrote, writer->pcapng, 4));
		ft_writer_fail(writer);
	}
	ft_writer_note_stored(writer, chunk);
}

void ft_writer_run_stream(struct ft_writer *writer)
{
	struct pollfd waiter = {.fd = writer->wake_fd, .events = POLLIN};

	while (1) {
		/* Acquire: the hot threads' last chunks before the flag. */
		bool last = atomic_load_explicit(&writer->finishing, memory_order_acquire);
		bool any = false;
		eventfd_t ignored;

		for (unsigned i = 0; i < writer->pool_count; i++) {
			struct ft_chunk *chunk = ft_ring_pop(&writer->pools[i]->filled);

			if (chunk == NULL)
				continue;
			stream_chunk(writer, chunk);
			ft_ring_push(&chunk->pool->empty, chunk);
			any = true;
		}
		if (any)
			continue;
		if (last)
			break;
		if (poll(&waiter, 1, FT_WRITER_WAIT_MS) > 0)
			eventfd_read(writer->wake_fd, &ignored);
	}
}
