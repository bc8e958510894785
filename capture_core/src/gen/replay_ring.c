/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ft_replay_ring_take() runs on the sender's thread, a few nanoseconds a frame: it takes no lock,
 * makes no call and never waits. The reading thread may block on the disk; it waits for room by
 * short sleeps, a quarter of a second and more ahead of what is sent.
 */
#include "gen/replay_ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "ft/clock.h"
#include "ft/ledger.h"
#include "ft/reader.h"
#include "ft/rewrite.h"
#include "gen/transmit.h"

/* 250 ms of 10GbE are 312 MB, or 3.7 million frames. */
#define MOST_DATA_BYTES	 (512ull << 20)
#define LEAST_DATA_BYTES (64ull << 20) /* a batch of the longest frames, and as much again */
#define BYTES_A_SLOT	 128u /* a slot for so many bytes of data: half of line rate's smallest */
#define ROOM_WAIT_NS	 (FT_NS_PER_MS / 2)
#define FRAME_ROOM_BYTES (FT_READER_MAX_FRAME_BYTES + FT_REWRITE_GROWTH_BYTES)

struct slot {
	struct ft_replay_frame frame;
	uint64_t end; /* of its bytes, counted over all that were ever put */
};

struct ft_replay_ring {
	struct ft_picker *picker; /* the reading thread's */
	uint64_t loops;
	struct slot *slots;
	uint64_t slot_count; /* a power of two */
	uint8_t *data;
	uint64_t data_bytes;
	pthread_t thread;
	bool started;
	atomic_bool stop; /* written by the main thread */

	/* Written by the reading thread. */
	_Alignas(64) _Atomic uint64_t put; /* slots */
	ft_count put_bytes, put_due_ns;
	uint64_t head; /* of the data, counted as `end` */
	int result;
	struct ft_error error;
	atomic_bool ended;

	/* Written by the sender's thread. */
	_Alignas(64) _Atomic uint64_t freed; /* slots whose bytes may be overwritten */
	uint64_t taken;
};

static bool is_stopped(void *context)
{
	return atomic_load_explicit(&((struct ft_replay_ring *)context)->stop,
				    memory_order_relaxed);
}

static uint64_t smallest_power_from(uint64_t count)
{
	uint64_t power = 1;

	while (power < count)
		power *= 2;
	return power;
}

static void *reserve(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory != MAP_FAILED ? memory : NULL;
}

int ft_replay_ring_create(struct ft_picker *picker, uint64_t loops, uint64_t memory_bytes,
			  struct ft_replay_ring **created, struct ft_error *error)
{
	struct ft_replay_ring *ring = aligned_alloc(64, sizeof(*ring));

	if (ring == NULL)
		return ft_fail(error, -ENOMEM, "--replay: out of memory");
	*ring = (struct ft_replay_ring){.picker = picker, .loops = loops};
	ring->data_bytes = memory_bytes < MOST_DATA_BYTES ? memory_bytes : MOST_DATA_BYTES;
	if (ring->data_bytes < LEAST_DATA_BYTES)
		ring->data_bytes = LEAST_DATA_BYTES;
	ring->slot_count = smallest_power_from(ring->data_bytes / BYTES_A_SLOT);
	ring->data = reserve(ring->data_bytes);
	ring->slots = reserve(ring->slot_count * sizeof(*ring->slots));
	if (ring->data == NULL || ring->slots == NULL) {
		ring->picker = NULL;
		ft_replay_ring_free(ring);
		return ft_fail(error, -ENOMEM, "--replay: out of memory");
	}
	*created = ring;
	return 0;
}

/* What the reader may not touch: the slots from `freed` on, and the data from its end on. */
static bool has_room(const struct ft_replay_ring *ring, uint64_t end)
{
	/* Acquire: what the sender read of a slot, it read before it freed it. */
	uint64_t freed = atomic_load_explicit(&ring->freed, memory_order_acquire);
	uint64_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);
	uint64_t begin = freed > 0 ? ring->slots[(freed - 1) & (ring->slot_count - 1)].end : 0;

	return put - freed < ring->slot_count - 1 && end - begin <= ring->data_bytes;
}

/* Wait for room of a frame of `bytes` bytes in one piece; where it begins, -ECANCELED on stop. */
static int wait_for_room(struct ft_replay_ring *ring, uint32_t bytes, uint64_t *begin)
{
	const struct timespec pause = {.tv_nsec = ROOM_WAIT_NS};
	uint64_t at = ring->head % ring->data_bytes;

	*begin = ring->head;
	if (ring->data_bytes - at < bytes)
		*begin += ring->data_bytes - at;
	while (!has_room(ring, *begin + bytes)) {
		if (is_stopped(ring))
			return -ECANCELED;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int put(struct ft_replay_ring *ring, const struct ft_replay_frame *frame,
	       uint64_t pass_due_ns)
{
	uint64_t number = atomic_load_explicit(&ring->put, memory_order_relaxed), begin;
	struct slot *slot = &ring->slots[number & (ring->slot_count - 1)];
	int rc = wait_for_room(ring, frame->bytes, &begin);
	uint8_t *at;

	if (rc != 0)
		return rc;
	at = ring->data + begin % ring->data_bytes;
	memcpy(at, frame->data, frame->bytes);
	ring->head = begin + frame->bytes;
	*slot = (struct slot){{at, pass_due_ns + frame->due_ns, frame->bytes}, ring->head};
	ft_count_add(&ring->put_bytes, frame->bytes);
	ft_count_set(&ring->put_due_ns, slot->frame.due_ns);
	/* Release: the sender sees the frame before it sees that there is one. */
	atomic_store_explicit(&ring->put, number + 1, memory_order_release);
	return 0;
}

static int read_pass(struct ft_replay_ring *ring, uint64_t pass_due_ns)
{
	struct ft_replay_frame frame;
	int rc;

	while ((rc = ft_picker_next(ring->picker, &frame, &ring->error)) == 1) {
		rc = put(ring, &frame, pass_due_ns);
		if (rc != 0)
			return rc;
	}
	return rc;
}

static void *read_all(void *argument)
{
	struct ft_replay_ring *ring = argument;
	uint64_t due_ns = 0;
	int rc = 0;

	for (uint64_t pass = 1; rc == 0 && !is_stopped(ring); pass++) {
		uint64_t before = atomic_load_explicit(&ring->put, memory_order_relaxed);

		rc = read_pass(ring, due_ns);
		/* A pass without a frame would be followed by such passes for ever. */
		if (rc != 0 || pass == ring->loops ||
		    atomic_load_explicit(&ring->put, memory_order_relaxed) == before)
			break;
		due_ns += ft_picker_period_ns(ring->picker);
		rc = ft_picker_rewind(ring->picker, &ring->error);
	}
	ring->result = is_stopped(ring) ? 0 : rc;
	/* Release: the result and all frames are there once `ended` is seen. */
	atomic_store_explicit(&ring->ended, true, memory_order_release);
	return NULL;
}

int ft_replay_ring_start(struct ft_replay_ring *ring, struct ft_error *error)
{
	int rc;

	ft_picker_watch(ring->picker, is_stopped, ring);
	rc = pthread_create(&ring->thread, NULL, read_all, ring);
	if (rc != 0)
		return ft_fail(error, -rc, "cannot start the reading thread: %s", strerror(rc));
	ring->started = true;
	return 0;
}

enum ft_ring_state ft_replay_ring_take(struct ft_replay_ring *ring, struct ft_replay_frame *frame)
{
	/* Before `put`: when reading had ended by then, what is not there will not come. */
	bool ended = atomic_load_explicit(&ring->ended, memory_order_acquire);

	if (ring->taken == atomic_load_explicit(&ring->put, memory_order_acquire))
		return ended ? FT_RING_END : FT_RING_EMPTY;
	*frame = ring->slots[ring->taken & (ring->slot_count - 1)].frame;
	ring->taken++;
	/* Release: the reader overwrites what was freed only after it was used. The frame taken is
	 * one that the sender has yet to give. */
	if (ring->taken > FT_TRANSMIT_BATCH + 1)
		atomic_store_explicit(&ring->freed, ring->taken - FT_TRANSMIT_BATCH - 1,
				      memory_order_release);
	return FT_RING_FRAME;
}

struct ft_ring_ahead ft_replay_ring_ahead(const struct ft_replay_ring *ring)
{
	struct ft_ring_ahead ahead = {
		.is_all = atomic_load_explicit(&ring->ended, memory_order_acquire),
		.frames = atomic_load_explicit(&ring->put, memory_order_acquire),
		.bytes = ft_count_read(&ring->put_bytes),
		.due_ns = ft_count_read(&ring->put_due_ns),
	};

	if (ahead.frames >= ring->slot_count / 2 || ahead.bytes >= ring->data_bytes / 2)
		ahead.is_all = true;
	return ahead;
}

int ft_replay_ring_result(const struct ft_replay_ring *ring, struct ft_error *error)
{
	if (!atomic_load_explicit(&ring->ended, memory_order_acquire))
		return 0;
	if (ring->result != 0)
		*error = ring->error;
	return ring->result;
}

void ft_replay_ring_free(struct ft_replay_ring *ring)
{
	if (ring == NULL)
		return;
	atomic_store(&ring->stop, true);
	if (ring->started)
		pthread_join(ring->thread, NULL);
	ft_picker_free(ring->picker);
	if (ring->data != NULL)
		munmap(ring->data, ring->data_bytes);
	if (ring->slots != NULL)
		munmap(ring->slots, ring->slot_count * sizeof(*ring->slots));
	free(ring);
}
