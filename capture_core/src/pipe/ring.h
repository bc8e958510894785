/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of pointers from one thread to one other: no lock, no allocation, never waits. Each side
 * keeps a copy of the other's index and looks at the shared one only when the copy says full or
 * empty, so that the cache line moves rarely.
 */
#ifndef FT_PIPE_RING_H
#define FT_PIPE_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FT_RING_SLOTS 1024u /* a power of two */

struct ft_ring {
	/* Written by the producer. */
	alignas(64) _Atomic uint32_t head;
	uint32_t tail_seen;
	/* Written by the consumer. */
	alignas(64) _Atomic uint32_t tail;
	uint32_t head_seen;
	alignas(64) void *slots[FT_RING_SLOTS];
};

static inline bool ft_ring_push(struct ft_ring *ring, void *item)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	if (head - ring->tail_seen == FT_RING_SLOTS) {
		/* Acquire: the consumer has read the slot before we write to it. */
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (head - ring->tail_seen == FT_RING_SLOTS)
			return false;
	}
	ring->slots[head % FT_RING_SLOTS] = item;
	/* Release: the slot, and what it points to, before the index. */
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

/* NULL when empty. */
static inline void *ft_ring_pop(struct ft_ring *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	void *item;

	if (tail == ring->head_seen) {
		/* Acquire: the slot, and what it points to, after the index. */
		ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
		if (tail == ring->head_seen)
			return NULL;
	}
	item = ring->slots[tail % FT_RING_SLOTS];
	/* Release: we have read the slot before the producer may write to it. */
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return item;
}

#endif
