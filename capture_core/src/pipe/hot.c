/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by one thread a queue. Budget: 67 ns a frame at 10GbE line rate of the smallest frame. It
 * takes no lock, allocates nothing and never waits for the writer: without a free chunk the frame
 * is counted and dropped. (A port whose source can wait is the exception: there we wait.) Twice a
 * second, and at the end of each chunk, it asks the kernel for its counts and writes them down.
 */
#include "pipe/hot.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ft/clock.h"
#include "pipe/epb.h"

#define RECEIVE_TIMEOUT_MS 50
#define TELL_EVERY_NS	   FT_NS_PER_SECOND
/* Filler, mark and statistics of a port's interfaces. */
#define CHUNK_END_BYTES (2u * FT_PCAPNG_STATISTICS_BYTES + 2u * FT_CHUNK_ALIGNMENT)
#define FRAMES_END	(FT_CHUNK_BYTES - CHUNK_END_BYTES)
#define WAIT_US		200

static void read_counts(struct ft_hot *hot)
{
	struct ft_port_counts counts;

	ft_port_read_counts(hot->port, hot->queue, &counts);
	ft_count_set(&hot->ledger->offered, counts.offered);
	ft_count_set(&hot->ledger->dropped_kernel, counts.dropped_kernel);
}

void ft_hot_tell(const struct ft_hot_port *port, unsigned index, uint64_t delivered,
		 uint64_t now_ns, struct ft_pcapng_statistics *statistics)
{
	struct ft_ledger sum;

	ft_ledger_sum(port->ledgers, port->queue_count, &sum);
	*statistics = (struct ft_pcapng_statistics){
		.interface = port->first_interface + index,
		.now_ns = now_ns,
		.started_ns = port->started_ns,
		.delivered = delivered,
		/* The kernel counts a socket, not a direction. */
		.counts_port = index == 0,
		.received = sum.offered,
		.missed = sum.dropped_adapter,
		.accepted = sum.offered - sum.filtered,
		.os_drops = sum.dropped_kernel,
		.ring_drops = sum.dropped_ring,
		.disk_drops = sum.dropped_disk,
		.excess = sum.excess,
	};
}

/* What ends every chunk of pcapng: the counts so far, and the mark by which it can be judged. */
static void write_statistics(struct ft_hot *hot, struct ft_chunk *chunk)
{
	const struct ft_chunk_mark mark = {.source = hot->pool->source};
	uint64_t now_ns = ft_clock_utc_ns();

	for (unsigned i = ft_port_interface_count(hot->port); i-- > 0;) {
		struct ft_pcapng_statistics statistics;
		uint8_t *out = chunk->data + chunk->used_bytes;
		size_t room = FT_CHUNK_BYTES - chunk->used_bytes;

		ft_hot_tell(hot->of, i, hot->formatted[i], now_ns, &statistics);
		chunk->used_bytes +=
			(uint32_t)(i > 0 ? ft_pcapng_write_statistics(out, room, &statistics)
					 : ft_pcapng_write_chunk_end(out, room, &statistics,
								     chunk->used_bytes,
								     hot->alignment, &mark));
	}
}

static void seal_chunk(struct ft_hot *hot)
{
	struct ft_chunk *chunk = hot->chunk;

	if (chunk == NULL)
		return;
	hot->told_ns = ft_clock_monotonic_ns();
	read_counts(hot);
	for (unsigned i = 0; i < FT_PORT_MAX_INTERFACES; i++)
		hot->formatted[i] += chunk->frames[i];
	if (hot->format == FT_FORMAT_PCAPNG)
		write_statistics(hot, chunk);
	ft_ring_push(&hot->pool->filled, chunk); /* holds every chunk: cannot be full */
	hot->chunk = NULL;
	eventfd_write(hot->wake_fd, 1);
}

/* From here on frames go to a later file. */
static void enter_file(struct ft_hot *hot, uint64_t file)
{
	seal_chunk(hot);
	hot->file = file;
	/* Release: the chunks of earlier files have been pushed before. */
	atomic_store_explicit(&hot->pool->file, file, memory_order_release);
	eventfd_write(hot->wake_fd, 1);
}

/* A chunk with room for `bytes`, or NULL. */
static struct ft_chunk *begin_chunk(struct ft_hot *hot)
{
	struct ft_chunk *chunk;

	seal_chunk(hot);
	chunk = ft_pool_take(hot->pool);
	while (chunk == NULL && ft_port_waits(hot->port)) {
		usleep(WAIT_US);
		chunk = ft_pool_take(hot->pool);
	}
	hot->chunk = chunk;
	if (chunk == NULL)
		return NULL;
	chunk->file = hot->file;
	chunk->opened_ns = ft_clock_monotonic_ns();
	ft_summary_begin(chunk->summary, &hot->flows);
	return chunk;
}

static inline struct ft_chunk *chunk_for(struct ft_hot *hot, size_t bytes)
{
	struct ft_chunk *chunk = hot->chunk;

	if (__builtin_expect(chunk != NULL && chunk->used_bytes + bytes <= FRAMES_END, 1))
		return chunk;
	return begin_chunk(hot);
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

/* Be in the file that the next frame belongs to; false where that one would be too many. */
static bool follow_file(struct ft_hot *hot)
{
	uint64_t file = ft_rotation_next(hot->rotation);

	if (__builtin_expect(file == hot->file, 1))
		return true;
	if (hot->stop->files != 0 && file >= hot->stop->files) {
		end_run(hot->stop, "files");
		return false;
	}
	enter_file(hot, file);
	return true;
}

/* The flow is new to the chunk, or takes a longer look. */
static __attribute__((noinline)) void note_flow(struct ft_hot *hot, struct ft_chunk *chunk,
						const struct ft_frame *frame, uint32_t captured)
{
	struct ft_flow flow;

	ft_flow_read(&hot->flow_key, hot->link_type, frame->data, captured, &flow);
	ft_summary_note(chunk->summary, &hot->flows, &hot->flow_key, &flow);
}

static inline void note_frame(struct ft_hot *hot, struct ft_chunk *chunk,
			      const struct ft_frame *frame, uint32_t captured)
{
	if (__builtin_expect(
		    !ft_flow_is_plain(hot->link_type, frame->data, captured) ||
			    !ft_flow_table_knows(&hot->flows,
						 ft_flow_hash_plain(&hot->flow_key, frame->data)),
		    0))
		note_flow(hot, chunk, frame, captured);
	chunk->frames[frame->interface]++;
	chunk->frame_bytes += captured;
	if (frame->stamp_ns < chunk->first_ns)
		chunk->first_ns = frame->stamp_ns;
	if (__builtin_expect(frame->stamp_ns >= chunk->last_ns, 1))
		chunk->last_ns = frame->stamp_ns;
	else
		chunk->disordered++;
}

static uint32_t put_frame(struct ft_hot *hot, struct ft_chunk *chunk, const struct ft_frame *frame,
			  uint32_t captured)
{
	uint32_t bytes;

	if (__builtin_expect(hot->format == FT_FORMAT_PCAPNG, 1))
		bytes = ft_epb_write(chunk->data + chunk->used_bytes,
				     hot->pool->first_interface + frame->interface, frame, captured,
				     hot->lost_before);
	else
		bytes = ft_pcap_write(chunk->data + chunk->used_bytes, frame, captured);
	hot->lost_before = 0;
	chunk->used_bytes += bytes;
	note_frame(hot, chunk, frame, captured);
	if (__builtin_expect(frame->coalesced, 0))
		ft_count_add(&hot->ledger->coalesced, 1);
	if (__builtin_expect(frame->unstamped, 0))
		ft_count_add(&hot->ledger->unstamped, 1);
	return bytes;
}

static void drop_frame(struct ft_hot *hot)
{
	ft_count_add(&hot->ledger->dropped_ring, 1);
	hot->lost_before++;
}

static inline uint32_t captured_of(const struct ft_hot *hot, const struct ft_frame *frame)
{
	return frame->captured_bytes < hot->snap_bytes ? frame->captured_bytes : hot->snap_bytes;
}

/* Under -c, -a and -b: whether the frame is stored, and in which file, is decided frame by frame.
 */
static void store_limited(struct ft_hot *hot, const struct ft_frame *frame)
{
	uint32_t captured = captured_of(hot, frame);
	struct ft_chunk *chunk;
	uint32_t bytes;

	/* Room first: what is counted by a limit is stored. */
	do {
		if (!follow_file(hot)) {
			ft_count_add(&hot->ledger->excess, 1);
			return;
		}
		chunk = chunk_for(hot, ft_epb_max_bytes(captured));
		if (chunk == NULL) {
			drop_frame(hot);
			return;
		}
	} while (!ft_rotation_admit(hot->rotation, hot->file));
	if (!within_limits(hot->stop, ft_epb_bytes(captured))) {
		ft_count_add(&hot->ledger->excess, 1);
		return;
	}
	bytes = put_frame(hot, chunk, frame, captured);
	ft_rotation_note_bytes(hot->rotation, hot->file, bytes);
}

static inline void store_frame(struct ft_hot *hot, const struct ft_frame *frame)
{
	uint32_t captured = captured_of(hot, frame);
	struct ft_chunk *chunk = chunk_for(hot, ft_epb_max_bytes(captured));

	if (__builtin_expect(chunk != NULL, 1))
		put_frame(hot, chunk, frame, captured);
	else
		drop_frame(hot);
}

static bool is_wanted(struct ft_hot *hot, const struct ft_frame *frame)
{
	if (ft_filter_match(hot->filter, frame))
		return true;
	ft_count_add(&hot->ledger->filtered, 1);
	return false;
}

static void take_limited(struct ft_hot *hot, const struct ft_frame *frame)
{
	/* Signals and clients stop by closing the window: what came before is stored. */
	if (atomic_load_explicit(&hot->stop->reason, memory_order_relaxed) != NULL)
		ft_count_add(&hot->ledger->excess, 1);
	else if (hot->filter == NULL || is_wanted(hot, frame))
		store_limited(hot, frame);
}

static void take_batch(struct ft_hot *hot, const struct ft_frame *frames, int count)
{
	for (int i = 0; i < count; i++) {
		const struct ft_frame *frame = &frames[i];

		hot->lost_before += frame->dropped_before;
		if (__builtin_expect(hot->limited, 0))
			take_limited(hot, frame);
		else if (hot->filter == NULL || is_wanted(hot, frame))
			store_frame(hot, frame);
	}
}

/*
 * Let nothing wait in an open chunk, no second pass without the counts in the file, and no file
 * wait for a port where nothing comes.
 */
static void look_around(struct ft_hot *hot)
{
	uint64_t now_ns = ft_clock_monotonic_ns(), file = ft_rotation_file(hot->rotation);

	if (file != hot->file && (hot->stop->files == 0 || file < hot->stop->files))
		enter_file(hot, file);
	else if (file != hot->file)
		end_run(hot->stop, "files");
	if (hot->chunk != NULL) {
		if (now_ns - hot->chunk->opened_ns >= hot->seal_after_ns)
			seal_chunk(hot);
	} else if (now_ns - hot->told_ns >= TELL_EVERY_NS && hot->format == FT_FORMAT_PCAPNG &&
		   (hot->chunk = ft_pool_take(hot->pool)) != NULL) {
		hot->chunk->file = hot->file;
		seal_chunk(hot);
	}
}

/* Until the window is closed and drained, the source ends, or the port is lost. */
static int receive_all(struct ft_hot *hot)
{
	struct ft_frame frames[FT_BATCH_FRAMES];
	int timeout_ms = hot->busy ? 0 : RECEIVE_TIMEOUT_MS;

	while (1) {
		int count = ft_port_receive(hot->port, hot->queue, frames, timeout_ms, &hot->error);

		if (count < 0)
			return count == -ENODATA ? 0 : count;
		take_batch(hot, frames, count);
		if (count > 0)
			ft_port_release(hot->port, hot->queue);
		look_around(hot);
	}
}

static void *run(void *argument)
{
	struct ft_hot *hot = argument;

	hot->told_ns = ft_clock_monotonic_ns();
	hot->limited = hot->stop->counts_frames || hot->stop->counts_bytes ||
		       hot->stop->files != 0 || hot->rotation->frames_per_file != 0 ||
		       hot->rotation->bytes_per_file != 0;
	hot->result = receive_all(hot);
	seal_chunk(hot);
	read_counts(hot);
	/* Release: the last chunk before the word that there is none. */
	atomic_store_explicit(&hot->pool->file, UINT64_MAX, memory_order_release);
	/* Release: the result before the flag. */
	atomic_store_explicit(&hot->ended, true, memory_order_release);
	eventfd_write(hot->wake_fd, 1);
	return NULL;
}

static void pin(struct ft_hot *hot)
{
	cpu_set_t set;

	if (hot->cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)hot->cpu, &set);
	pthread_setaffinity_np(hot->thread, sizeof(set), &set);
}

int ft_hot_start(struct ft_hot *hot, struct ft_error *error)
{
	int rc = pthread_create(&hot->thread, NULL, run, hot);

	if (rc != 0)
		return ft_fail(error, -rc, "cannot start a capture thread");
	pthread_setname_np(hot->thread, "ft-hot");
	pin(hot);
	return 0;
}

void ft_hot_join(struct ft_hot *hot)
{
	pthread_join(hot->thread, NULL);
}
