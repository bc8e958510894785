/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving thread of a generator run: which of its frames came back. */
#ifndef FT_GEN_RECEIVER_H
#define FT_GEN_RECEIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/ledger.h"
#include "ft/port.h"
#include "ft/sequence.h"
#include "ft/signature.h"

struct ft_receiver {
	/* Set by the main thread before the start. */
	struct ft_port *port;
	const struct ft_signature_run *run; /* NULL: frames are not signed, count them all */

	/* Written by the main thread while the receiver runs. */
	atomic_bool close; /* close the input and drain it */

	/* Written by the receiver. */
	ft_count frames;   /* of this run, intact; copies included */
	ft_count distinct; /* of those, each counted once */
	ft_count duplicate;
	ft_count reordered;
	ft_count too_late; /* too far behind to tell a copy from a late frame */
	ft_count missing;  /* numbers below the highest seen that have not come */
	ft_count corrupt;  /* of this run, damaged: not in `frames`, so also lost */
	ft_count foreign;  /* not of this run */
	ft_count dropped;  /* by the kernel, at our socket */
	ft_count last_ns;  /* monotonic, of the last batch with a frame of this run; 0: none */
	struct ft_sequence sequence;
	int result;
	struct ft_error error;
	atomic_bool ended;

	pthread_t thread;
};

/* The port must be started. -EAGAIN when there can be no thread. */
int ft_receiver_start(struct ft_receiver *receiver, struct ft_error *error);

/* Close the input, take in what was queued, and end the thread. */
void ft_receiver_stop(struct ft_receiver *receiver);

#endif
