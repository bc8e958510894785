/* SPDX-License-Identifier: Apache-2.0 */
/* How a thread keeps time where a general-purpose kernel would let it wait. */
#ifndef FT_GEN_REALTIME_H
#define FT_GEN_REALTIME_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* What a thread got. */
struct ft_realtime {
	bool fifo; /* SCHED_FIFO: it waits for no thread of normal priority */
	int cpu;   /* an isolated one that it is pinned to; -1: none */
};

/*
 * To be called before privileges are dropped: let this process use SCHED_FIFO later, and keep in
 * memory the `bytes` at `frames` that the thread works on. What is not permitted is left out:
 * without CAP_SYS_RESOURCE the limit must be there already (LimitRTPRIO=, limits.conf(5)).
 */
void ft_realtime_permit(const void *frames, size_t bytes);

/*
 * Start a thread that spins for long, with SCHED_FIFO where that is permitted and leaves enough to
 * all others: on an isolated processor, else on a machine of at least four. Returns an errno, 0
 * when it runs, in whatever way `got` says.
 */
int ft_realtime_start(pthread_t *thread, void *(*run)(void *), void *argument,
		      struct ft_realtime *got);

#endif
