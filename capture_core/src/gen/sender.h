/* SPDX-License-Identifier: Apache-2.0 */
/* The sending thread of a generator run. */
#ifndef FT_GEN_SENDER_H
#define FT_GEN_SENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/histogram.h"
#include "ft/ledger.h"
#include "ft/pacing.h"
#include "ft/source.h"
#include "gen/realtime.h"
#include "gen/transmit.h"

/* How far the frames of a paced run were behind their schedule, and what became of those. */
struct ft_lateness {
	enum ft_late policy; /* set by the main thread */

	/* Written by the sender. */
	ft_count max_ns;
	ft_count frames;	     /* sent more than FT_LATE_NS after their time */
	ft_count skipped;	     /* left out */
	ft_count slid_ns;	     /* by which the schedule was moved */
	struct ft_histogram batches; /* lateness of the first frame of each */
};

/* What a client changes while frames are sent. */
struct ft_sender_change {
	double speed;
	bool paused;
	/* Tells a source that has a pace of its own what it is now; NULL: it stays. */
	void (*set_pace)(struct ft_source *source, const struct ft_pace *pace, ft_fine_time now);
	bool has_pace; /* else the source goes by its own timing */
	struct ft_pace pace;
};

struct ft_sender {
	/* Set by the main thread before each start. */
	struct ft_transmit *transmit;
	struct ft_source *source;
	bool paced;	      /* false: top speed */
	double speed;	      /* of the schedule against the clock, at first */
	uint64_t limit;	      /* stop when so many frames are submitted, over all starts */
	uint64_t duration_ns; /* 0: none */

	/* Written by the main thread while the sender runs. */
	atomic_bool stop;
	atomic_bool changed; /* set here, with `change`; cleared by the sender, which took it */
	struct ft_sender_change change;

	/* Written by the sender. */
	ft_count submitted; /* frames that the kernel took */
	ft_count bytes;	    /* of those, without FCS */
	struct ft_lateness late;
	ft_count batches;
	ft_count handover_ns;	  /* how long the port took to take them, over all */
	ft_count handover_max_ns; /* so much later than stamped a frame may have been sent */
	uint64_t elapsed_ns;	  /* of all starts, up to when the next frame would have been due */
	uint64_t overrun_ns;	  /* how much later than asked each start ended, added up */
	uint64_t ended_ns;	  /* UTC */
	bool behind;		  /* could not keep the schedule, and gave up the rest of it */
	int result;
	struct ft_error error;
	atomic_bool ended;

	struct ft_realtime realtime; /* what the thread got */
	pthread_t thread;
};

/* Go on from frame number `submitted`. -EAGAIN when there can be no thread. */
int ft_sender_start(struct ft_sender *sender, struct ft_error *error);

/* Ask a running sender for a change; it acts within milliseconds. -EBUSY: the last one is not yet
 * taken. */
int ft_sender_ask(struct ft_sender *sender, const struct ft_sender_change *change);

/* After `ended`, or `stop` was set. */
void ft_sender_join(struct ft_sender *sender);

#endif
