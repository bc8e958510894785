/* SPDX-License-Identifier: Apache-2.0 */
/* The writer thread: takes finished chunks from the hot threads and puts them into the output. */
#ifndef FT_STORE_WRITER_H
#define FT_STORE_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ft/error.h"
#include "pipe/chunk.h"
#include "store/output.h"

#define FT_WRITER_MAX_POOLS 16u

struct ft_writer {
	/* Set before the thread starts. */
	struct ft_output *output;
	unsigned pool_count;
	struct ft_pool *pools[FT_WRITER_MAX_POOLS]; /* one a hot thread */
	int wake_fd;				    /* eventfd */

	/* Written by the main thread: the hot threads have ended, write what is left. */
	atomic_bool finishing;

	/* Written by the writer thread; the main thread reads them when `failed` is set or at the
	 * end. */
	atomic_bool failed;
	atomic_bool ended;
	struct ft_error error;
	uint64_t first_ns, last_ns; /* of the frames stored; 0: none */

	pthread_t thread;
};

/* `wake_fd` is made here; hot threads signal it for each chunk. */
int ft_writer_start(struct ft_writer *writer, struct ft_error *error);

/* Ask it to write everything that is left; `ended` follows. The output stays open. */
void ft_writer_finish(struct ft_writer *writer);
void ft_writer_join(struct ft_writer *writer);

#endif
