/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by one thread a port. Budget: 67 ns a frame at 10GbE line rate of the smallest frame. It
 * takes no lock, allocates nothing and never waits for the writer: without a free chunk the frame
 * is counted and dropped. (A port whose source can wait is the exception: there we wait.) Twice a
 * second, and at the end of each chunk, it asks the kernel for its counts and writes them down.
 */
#include "pipe/hot.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ft/clock.h"
#include "pipe/epb.h"

#define RECEIVE_TIMEOUT_MS 50
#define SEAL_AFTER_NS	   (FT_NS_PER_SECOND / 2)
#define STATISTICS_BYTES   (2u * FT_PCAPNG_STATISTICS_BYTES)
#define FRAMES_END	   (FT_CHUNK_BYTES - STATISTICS_BYTES)
#define WAIT_US		   200

static void read_counts(struct ft_hot *hot)
{
	struct ft_port_counts counts;

	ft_port_read_counts(hot->port, hot->queue, &counts);
	ft_count_set(&hot->ledger->offered, counts.offered);
	ft_count_set(&hot->ledger->dropped_kernel, counts.dropped_kernel);
}

void ft_hot_tell(const struct ft_hot *hot, unsigned index, uint64_t delivered, uint64_t now_ns,
		 struct ft_pcapng_statistics *statistics)
{
	const struct ft_ledger *ledger = hot->ledger;
	uint64_t offered = ft_count_read(&ledger->offered);

	*statistics = (struct ft_pcapng_statistics){
		.interface = hot->pool->first_interface + index,
		.now_ns = now_ns,
		.started_ns = hot->started_ns,
		.delivered = delivered,
		/* The kernel counts a socket, not a direction. */
		.counts_port = index == 0,
		.received = offered,
		.missed = ft_count_read(&ledger->dropped_adapter),
		.accepted = offered - ft_count_read(&ledger->filtered),
		.os_drops = ft_count_read(&ledger->dropped_kernel),
		.ring_drops = ft_count_read(&ledger->dropped_ring),
		.disk_drops = ft_count_read(&ledger->dropped_disk),
		.excess = ft_count_read(&ledger->excess),
	};
}

static void write_statistics(struct ft_hot *hot, struct ft_chunk *chunk)
{
	uint64_t now_ns = ft_clock_utc_ns();

	read_counts(hot);
	for (unsigned i = 0; i < ft_port_interface_count(hot->port); i++) {
		struct ft_pcapng_statistics statistics;

		hot->formatted[i] += chunk->frames[i];
		ft_hot_tell(hot, i, hot->formatted[i], now_ns, &statistics);
		chunk->used_bytes += (uint32_t)ft_pcapng_write_statistics(
			chunk->data + chunk->used_bytes, FT_CHUNK_BYTES - chunk->used_bytes,
			&statistics);
	}
}

static void seal_chunk(struct ft_hot *hot)
{
	if (hot->chunk == NULL)
		return;
	hot->told_ns = ft_clock_monotonic_ns();
	write_statistics(hot, hot->chunk);
	ft_ring_push(&hot->pool->filled, hot->chunk); /* holds every chunk: cannot be full */
	hot->chunk = NULL;
	eventfd_write(hot->wake_fd, 1);
}

/* A chunk with room for `bytes`, or NULL. */
static struct ft_chunk *chunk_for(struct ft_hot *hot, size_t bytes)
{
	struct ft_chunk *chunk = hot->chunk;

	if (__builtin_expect(chunk != NULL && chunk->used_bytes + bytes <= FRAMES_END, 1))
		return chunk;
	seal_chunk(hot);
	chunk = ft_pool_take(hot->pool);
	while (chunk == NULL && ft_port_waits(hot->port)) {
		usleep(WAIT_US);
		chunk = ft_pool_take(hot->pool);
	}
	if (chunk != NULL)
		chunk->opened_ns = ft_clock_monotonic_ns();
	hot->chunk = chunk;
	return chunk;
}

static void end_run(struct ft_stop *stop, const char *reason)
{
	const char *none = NULL;

	atomic_compare_exchange_strong(&stop->reason, &none, reason);
}

/* Whether the frame may still be stored under -c and -a; counts it when so. */
static bool within_limits(struct ft_stop *stop, size_t block_bytes)
{
	if (stop->counts_frames) {
		int64_t left = atomic_fetch_sub(&stop->frames_left, 1);

		if (left <= 1)
			end_run(stop, "packets");
		if (left <= 0)
			return false;
	}
	if (stop->counts_bytes) {
		int64_t left = atomic_fetch_sub(&stop->bytes_left, (int64_t)block_bytes);

		if (left <= (int64_t)block_bytes)
			end_run(stop, "filesize");
		if (left <= 0)
			return false;
	}
	return true;
}

static void store_frame(struct ft_hot *hot, const struct ft_frame *frame)
{
	uint32_t captured =
		frame->captured_bytes < hot->snap_bytes ? frame->captured_bytes : hot->snap_bytes;
	struct ft_chunk *chunk = chunk_for(hot, ft_epb_max_bytes(captured));

	if (__builtin_expect(chunk == NULL, 0)) {
		ft_count_add(&hot->ledger->dropped_ring, 1);
		hot->lost_before++;
		return;
	}
	if (!within_limits(hot->stop, ft_epb_bytes(captured))) {
		ft_count_add(&hot->ledger->excess, 1);
		return;
	}
	chunk->used_bytes += ft_epb_write(chunk->data + chunk->used_bytes,
					  hot->pool->first_interface + frame->interface, frame,
					  captured, hot->lost_before);
	hot->lost_before = 0;
	chunk->frames[frame->interface]++;
	if (frame->stamp_ns < chunk->first_ns)
		chunk->first_ns = frame->stamp_ns;
	if (frame->stamp_ns > chunk->last_ns)
		chunk->last_ns = frame->stamp_ns;
	chunk->frame_bytes += captured;
	if (__builtin_expect(frame->coalesced, 0))
		ft_count_add(&hot->ledger->coalesced, 1);
}

static void take_frame(struct ft_hot *hot, const struct ft_frame *frame)
{
	hot->lost_before += frame->dropped_before;
	/* Signals and clients stop by closing the window: what came before is stored. */
	if (__builtin_expect(atomic_load_explicit(&hot->stop->reason, memory_order_relaxed) != NULL,
			     0))
		ft_count_add(&hot->ledger->excess, 1);
	else if (hot->filter != NULL && !ft_filter_match(hot->filter, frame))
		ft_count_add(&hot->ledger->filtered, 1);
	else
		store_frame(hot, frame);
}

/* Let nothing wait in an open chunk, and no second pass without the counts in the file. */
static void seal_if_old(struct ft_hot *hot)
{
	uint64_t now_ns = ft_clock_monotonic_ns();

	if (hot->chunk != NULL) {
		if (now_ns - hot->chunk->opened_ns >= SEAL_AFTER_NS)
			seal_chunk(hot);
	} else if (now_ns - hot->told_ns >= 2 * SEAL_AFTER_NS && chunk_for(hot, 0) != NULL) {
		seal_chunk(hot);
	}
}

/* Until the window is closed and drained, the source ends, or the port is lost. */
static int receive_all(struct ft_hot *hot)
{
	struct ft_frame frames[FT_BATCH_FRAMES];

	while (1) {
		int count = ft_port_receive(hot->port, hot->queue, frames, RECEIVE_TIMEOUT_MS,
					    &hot->error);
		if (count < 0)
			return count == -ENODATA ? 0 : count;
		for (int i = 0; i < count; i++)
			take_frame(hot, &frames[i]);
		if (count > 0)
			ft_port_release(hot->port, hot->queue);
		seal_if_old(hot);
	}
}

static void *run(void *argument)
{
	struct ft_hot *hot = argument;

	hot->told_ns = ft_clock_monotonic_ns();
	hot->result = receive_all(hot);
	seal_chunk(hot);
	read_counts(hot);
	/* Release: the result and the last chunk before the flag. */
	atomic_store_explicit(&hot->ended, true, memory_order_release);
	return NULL;
}

int ft_hot_start(struct ft_hot *hot, struct ft_error *error)
{
	int rc = pthread_create(&hot->thread, NULL, run, hot);

	if (rc != 0)
		return ft_fail(error, -rc, "cannot start a capture thread");
	pthread_setname_np(hot->thread, "ft-hot");
	return 0;
}

void ft_hot_join(struct ft_hot *hot)
{
	pthread_join(hot->thread, NULL);
}
