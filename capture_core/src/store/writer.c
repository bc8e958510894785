/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by one thread. It may block on the disk: the hot threads' pools (256 MiB a port) bridge that.
 * It must hand every chunk back, and must count each frame as stored or as dropped by the disk.
 *
 * When the output fails (disk full, I/O error) it stops writing for good and goes on counting. The
 * frames that fitted stay; in a file, room for the last statistics blocks is made by giving up a
 * few of them.
 */
#include "store/writer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ft/clock.h"
#include "ft/pcapng.h"
#include "pipe/epb.h"

#define SYNC_EVERY_NS  (FT_NS_PER_SECOND / 2)
#define WAIT_MS	       100
#define EPILOGUE_BYTES (2u * FT_WRITER_MAX_POOLS * FT_PCAPNG_STATISTICS_BYTES)

static uint64_t count_frames(const struct ft_chunk *chunk)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < FT_PORT_MAX_INTERFACES; i++)
		frames += chunk->frames[i];
	return frames;
}

static void note_stored(struct ft_writer *writer, struct ft_pool *pool,
			const struct ft_chunk *chunk)
{
	uint64_t frames = count_frames(chunk);

	ft_count_add(&pool->ledger->stored, frames);
	ft_count_add(&pool->ledger->stored_bytes, chunk->frame_bytes);
	for (unsigned i = 0; i < FT_PORT_MAX_INTERFACES; i++)
		pool->stored[i] += chunk->frames[i];
	if (frames == 0)
		return;
	if (writer->first_ns == 0 || chunk->first_ns < writer->first_ns)
		writer->first_ns = chunk->first_ns;
	if (chunk->last_ns > writer->last_ns)
		writer->last_ns = chunk->last_ns;
}

/* A chunk of the whole blocks within the first `limit` bytes of another. */
static struct ft_chunk whole_blocks(const struct ft_pool *pool, const struct ft_chunk *chunk,
				    size_t limit)
{
	struct ft_chunk whole = {.data = chunk->data, .first_ns = UINT64_MAX};

	while (whole.used_bytes + 12 <= limit) {
		const uint32_t *block = (const uint32_t *)(chunk->data + whole.used_bytes);
		uint64_t stamp_ns = (uint64_t)block[3] << 32 | block[4];

		if (whole.used_bytes + block[1] > limit)
			break;
		whole.used_bytes += block[1];
		if (block[0] != FT_EPB_TYPE)
			continue;
		whole.frames[block[2] - pool->first_interface]++;
		whole.frame_bytes += block[5];
		whole.first_ns = stamp_ns < whole.first_ns ? stamp_ns : whole.first_ns;
		whole.last_ns = stamp_ns > whole.last_ns ? stamp_ns : whole.last_ns;
	}
	return whole;
}

/* The output took `wrote` bytes of the chunk and no more: keep the frames that are in it. */
static void give_up(struct ft_writer *writer, struct ft_pool *pool, const struct ft_chunk *chunk,
		    size_t wrote)
{
	/* A stream has no epilogue: what it took cannot be taken back. */
	size_t epilogue = ft_output_is_file(writer->output) ? EPILOGUE_BYTES : 0;
	struct ft_chunk kept = whole_blocks(pool, chunk, wrote > epilogue ? wrote - epilogue : 0);

	ft_output_cut(writer->output, chunk->data, wrote, kept.used_bytes);
	note_stored(writer, pool, &kept);
	ft_count_add(&pool->ledger->dropped_disk, count_frames(chunk) - count_frames(&kept));
	/* Release: the error's text before the flag. */
	atomic_store_explicit(&writer->failed, true, memory_order_release);
}

static void write_chunk(struct ft_writer *writer, struct ft_pool *pool,
			const struct ft_chunk *chunk)
{
	size_t wrote;

	if (atomic_load_explicit(&writer->failed, memory_order_relaxed)) {
		ft_count_add(&pool->ledger->dropped_disk, count_frames(chunk));
		return;
	}
	wrote = ft_output_write(writer->output, chunk->data, chunk->used_bytes, &writer->error);
	if (wrote < chunk->used_bytes)
		give_up(writer, pool, chunk, wrote);
	else
		note_stored(writer, pool, chunk);
}

/* One chunk of each pool. Returns whether there was any. */
static bool write_round(struct ft_writer *writer)
{
	bool any = false;

	for (unsigned i = 0; i < writer->pool_count; i++) {
		struct ft_pool *pool = writer->pools[i];
		struct ft_chunk *chunk = ft_ring_pop(&pool->filled);

		if (chunk == NULL)
			continue;
		write_chunk(writer, pool, chunk);
		ft_ring_push(&pool->empty, chunk);
		any = true;
	}
	return any;
}

static void sync_output(struct ft_writer *writer)
{
	if (atomic_load_explicit(&writer->failed, memory_order_relaxed))
		return;
	if (ft_output_sync(writer->output, &writer->error) != 0)
		atomic_store_explicit(&writer->failed, true, memory_order_release);
}

static void *run(void *argument)
{
	struct ft_writer *writer = argument;
	struct pollfd waiter = {.fd = writer->wake_fd, .events = POLLIN};
	uint64_t sync_at_ns = ft_clock_monotonic_ns() + SYNC_EVERY_NS;

	while (1) {
		/* Acquire: the hot threads' last chunks before the flag. */
		bool last = atomic_load_explicit(&writer->finishing, memory_order_acquire);
		bool any = write_round(writer);
		eventfd_t ignored;

		if (ft_clock_monotonic_ns() >= sync_at_ns) {
			sync_output(writer);
			sync_at_ns = ft_clock_monotonic_ns() + SYNC_EVERY_NS;
		}
		if (any)
			continue;
		if (last)
			break;
		poll(&waiter, 1, WAIT_MS);
		eventfd_read(writer->wake_fd, &ignored);
	}
	/* Release: all counts before the flag. */
	atomic_store_explicit(&writer->ended, true, memory_order_release);
	return NULL;
}

int ft_writer_start(struct ft_writer *writer, struct ft_error *error)
{
	int rc;

	writer->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (writer->wake_fd < 0)
		return ft_fail(error, -errno, "eventfd: %s", strerror(errno));
	rc = pthread_create(&writer->thread, NULL, run, writer);
	if (rc != 0) {
		close(writer->wake_fd);
		return ft_fail(error, -rc, "cannot start the writer thread");
	}
	pthread_setname_np(writer->thread, "ft-writer");
	return 0;
}

void ft_writer_finish(struct ft_writer *writer)
{
	atomic_store_explicit(&writer->finishing, true, memory_order_release);
	eventfd_write(writer->wake_fd, 1);
}

void ft_writer_join(struct ft_writer *writer)
{
	pthread_join(writer->thread, NULL);
	close(writer->wake_fd);
}
