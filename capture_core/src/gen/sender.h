/* SPDX-License-Identifier: Apache-2.0 */
/* The sending thread of a generator run. */
#ifndef FT_GEN_SENDER_H
#define FT_GEN_SENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/ledger.h"
#include "ft/pacing.h"
#include "ft/source.h"
#include "gen/transmit.h"

struct ft_sender {
	/* Set by the main thread before each start. */
	struct ft_transmit *transmit;
	struct ft_source *source;
	bool paced;	      /* false: top speed */
	uint64_t limit;	      /* stop when so many frames are submitted, over all starts */
	uint64_t duration_ns; /* 0: none */

	/* Written by the main thread while the sender runs. */
	atomic_bool stop;

	/* Written by the sender. */
	ft_count submitted; /* frames that the kernel took */
	ft_count bytes;	    /* of those, without FCS */
	ft_count late_max_ns;
	uint64_t elapsed_ns; /* of all starts, up to when the next frame would have been due */
	uint64_t ended_ns;   /* UTC */
	bool behind;	     /* could not keep the schedule, and gave up the rest of it */
	int result;
	struct ft_error error;
	atomic_bool ended;

	pthread_t thread;
};

/* Go on from frame number `submitted`. -EAGAIN when there can be no thread. */
int ft_sender_start(struct ft_sender *sender, struct ft_error *error);

/* After `ended`, or `stop` was set. */
void ft_sender_join(struct ft_sender *sender);

#endif
