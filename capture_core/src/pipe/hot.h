/* SPDX-License-Identifier: Apache-2.0 */
/* The hot thread: one a port, from the port's ring to finished chunks. */
#ifndef FT_PIPE_HOT_H
#define FT_PIPE_HOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ft/error.h"
#include "ft/filter.h"
#include "ft/ledger.h"
#include "ft/pcapng.h"
#include "ft/port.h"
#include "pipe/chunk.h"

/* Shared by the hot threads of a run: whichever meets a condition first names it. */
struct ft_stop {
	_Atomic(const char *) reason; /* NULL: go on */
	bool counts_frames;
	bool counts_bytes;
	_Atomic int64_t frames_left;
	_Atomic int64_t bytes_left; /* of the file */
};

struct ft_hot {
	/* Set before the thread starts. */
	struct ft_port *port;
	unsigned queue;
	const struct ft_filter *filter; /* NULL: every frame */
	struct ft_stop *stop;
	struct ft_pool *pool;
	struct ft_ledger *ledger;
	uint32_t snap_bytes;
	uint64_t started_ns; /* UTC */
	int wake_fd;	     /* eventfd of the writer */

	/* Written by the hot thread; the main thread reads them when `ended` is set. */
	atomic_bool ended;
	int result; /* 0, or a negative errno explained by `error` */
	struct ft_error error;

	/* The hot thread's own. */
	pthread_t thread;
	struct ft_chunk *chunk;
	uint64_t lost_before;			    /* to be told with the next frame */
	uint64_t formatted[FT_PORT_MAX_INTERFACES]; /* in the chunks sealed so far */
	uint64_t told_ns;			    /* monotonic, of the last statistics block */
};

int ft_hot_start(struct ft_hot *hot, struct ft_error *error);

/* The statistics of interface `index` of the port, of which `delivered` frames are in the file. */
void ft_hot_tell(const struct ft_hot *hot, unsigned index, uint64_t delivered, uint64_t now_ns,
		 struct ft_pcapng_statistics *statistics);

/* `ended` follows the closing of the port's input, when all is drained. */
void ft_hot_join(struct ft_hot *hot);

#endif
