/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving thread of a generator run: which of its frames came back, and how late. */
#ifndef FT_GEN_RECEIVER_H
#define FT_GEN_RECEIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/latency.h"
#include "ft/ledger.h"
#include "ft/port.h"
#include "ft/sequence.h"
#include "ft/signature.h"

/*
 * What is known of one stream, written by the receiver. It lies in memory that is only there once
 * it is touched: most of a histogram and, of short streams, most of the sequence's window never is.
 */
struct ft_received_stream {
	ft_count frames;     /* intact; copies included */
	ft_count corrupt;    /* damaged: not in `frames`, so also lost */
	int64_t previous_ns; /* how long the frame before was under way */
	struct ft_sequence sequence;
	struct ft_latency latency; /* of frames that came for the first time */
};

struct ft_receiver {
	/* Set by the main thread before the start. */
	struct ft_port *port;
	const struct ft_signature_run *run; /* NULL: frames are not signed, count them all */
	uint32_t stream_count;		    /* 0 where frames are not signed */
	struct ft_received_stream *streams; /* by number */
	struct ft_latency *latency;	    /* of all streams: of the only one, or one more */

	/* Written by the main thread while the receiver runs. */
	atomic_bool close; /* close the input and drain it */

	/* Written by the receiver. */
	ft_count unsigned_frames; /* where frames are not signed: all of them */
	ft_count broken;	  /* of this run, damaged so that the stream is not known */
	ft_count foreign;	  /* not of this run */
	ft_count reflected;	  /* of this run, sent back by a reflector */
	ft_count dropped;	  /* by the kernel, at our socket */
	/* Monotonic, of the last batch with a frame of this run that is no copy; 0: none. */
	ft_count last_ns;
	int result;
	struct ft_error error;
	atomic_bool ended;

	pthread_t thread;
};

/* All streams together. */
struct ft_received {
	uint64_t frames, distinct, duplicate, reordered;
	uint64_t too_late; /* too far behind to tell a copy from a late frame */
	uint64_t missing;  /* numbers below the highest seen that have not come */
	uint64_t corrupt;  /* those whose stream is not known included */
};

/* Memory for `stream_count` streams, at most 65536; none where frames are not signed. -ENOMEM. */
int ft_receiver_create(struct ft_receiver *receiver, uint32_t stream_count, struct ft_error *error);

/* The port must be started. -EAGAIN when there can be no thread. */
int ft_receiver_start(struct ft_receiver *receiver, struct ft_error *error);

/* At any time; the figures are those of nearly one moment. */
void ft_receiver_sum(const struct ft_receiver *receiver, struct ft_received *sum);

/* Close the input, take in what was queued, and end the thread. */
void ft_receiver_stop(struct ft_receiver *receiver);

/* Accepts a zeroed one. */
void ft_receiver_free(struct ft_receiver *receiver);

#endif
