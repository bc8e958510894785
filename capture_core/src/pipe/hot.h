/* SPDX-License-Identifier: Apache-2.0 */
/* The hot thread: one a queue of a port, from the port's ring to finished chunks. */
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
#include "pipe/rotation.h"

/* Shared by the hot threads of a run: whichever meets a condition first names it. */
struct ft_stop {
	_Atomic(const char *) reason; /* NULL: go on */
	bool counts_frames;
	bool counts_bytes;
	uint64_t files; /* end before this file begins; 0: no limit */
	_Atomic int64_t frames_left;
	_Atomic int64_t bytes_left; /* of the file */
};

enum ft_format { FT_FORMAT_PCAPNG, FT_FORMAT_PCAP };

/* The ledgers of a port's queues, and what becomes of them together. */
struct ft_hot_port {
	struct ft_port *port;
	unsigned queue_count;
	struct ft_ledger *ledgers; /* one a queue */
	uint32_t first_interface;  /* pcapng number of the port's interface 0 */
	uint64_t started_ns;	   /* UTC */
};

struct ft_hot {
	/* Set before the thread starts. */
	const struct ft_hot_port *of;
	struct ft_port *port;
	unsigned queue;
	const struct ft_filter *filter; /* NULL: every frame */
	struct ft_stop *stop;
	struct ft_rotation *rotation;
	struct ft_pool *pool;
	struct ft_ledger *ledger;
	struct ft_flow_key flow_key;
	enum ft_format format;
	uint16_t link_type;
	uint32_t snap_bytes;
	uint32_t alignment; /* of the chunks in the output */
	uint64_t seal_after_ns;
	int wake_fd; /* eventfd of the writer */
	int cpu;     /* -1: any */
	bool busy;   /* spin instead of sleeping */

	/* Written by the hot thread; the main thread reads them when `ended` is set. */
	atomic_bool ended;
	int result; /* 0, or a negative errno explained by `error` */
	struct ft_error error;

	/* The hot thread's own. */
	pthread_t thread;
	bool limited; /* some stop or ring condition looks at every frame */
	struct ft_chunk *chunk;
	uint64_t file;				    /* number of the one that is being filled */
	uint64_t lost_before;			    /* to be told with the next frame */
	uint64_t formatted[FT_PORT_MAX_INTERFACES]; /* in the chunks sealed so far */
	uint64_t told_ns;			    /* monotonic, of the last statistics block */
	struct ft_flow_table flows;		    /* of the present chunk */
};

int ft_hot_start(struct ft_hot *hot, struct ft_error *error);

/* The statistics of interface `index` of the port, of which `delivered` frames are in the run. */
void ft_hot_tell(const struct ft_hot_port *port, unsigned index, uint64_t delivered,
		 uint64_t now_ns, struct ft_pcapng_statistics *statistics);

/* `ended` follows the closing of the port's input, when all is drained. */
void ft_hot_join(struct ft_hot *hot);

#endif
