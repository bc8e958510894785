/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger of a queue of a capture port: where every frame that the kernel offered has gone.
 *
 *   offered = stored + filtered + excess + dropped.kernel + dropped.ring + dropped.disk
 *
 * Each counter has one writing thread; others may read it at any time. Nothing is ever patched up.
 */
#ifndef FT_LEDGER_H
#define FT_LEDGER_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

typedef _Atomic uint64_t ft_count;

struct ft_ledger {
	/* Written by the port's hot thread. */
	alignas(64) ft_count offered; /* as the kernel last said */
	ft_count dropped_kernel;
	ft_count filtered;     /* refused by the capture filter */
	ft_count excess;       /* taken after a stop condition was met */
	ft_count dropped_ring; /* no free block: the writer was behind */
	ft_count coalesced;    /* longer than the port's MTU allows; stored and counted */
	ft_count unstamped;    /* without the stamp that was asked for; stored and counted */
	/* Written by the writer thread. */
	alignas(64) ft_count stored;
	ft_count stored_bytes; /* captured bytes, without FCS */
	ft_count dropped_disk; /* formatted, but the output refused them */
	/* Written by the main thread when the window has closed. */
	alignas(64) ft_count dropped_adapter;
};

/* For the counter's one writing thread. */
static inline void ft_count_add(ft_count *count, uint64_t amount)
{
	uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, now + amount, memory_order_relaxed);
}

static inline void ft_count_set(ft_count *count, uint64_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

static inline uint64_t ft_count_read(const ft_count *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

/* The sum of the ledgers of a port's queues, each read once. */
void ft_ledger_sum(const struct ft_ledger *ledgers, unsigned count, struct ft_ledger *sum);

/* Whether the statement at the socket holds; only meaningful when the run has ended. */
bool ft_ledger_balanced(const struct ft_ledger *ledger);

/* The sum of all drops. */
uint64_t ft_ledger_lost(const struct ft_ledger *ledger);

/* Add offered, stored, filtered, excess, coalesced, unstamped, dropped{} and bytes_stored to
 * `object`. */
void ft_ledger_report(const struct ft_ledger *ledger, json_t *object);

#endif
