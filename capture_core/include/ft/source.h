/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source: what a generator run sends, frame by frame, each with the moment at which it is due.
 * The sender waits for that moment and hands the frames to the port; it does not know what they
 * are.
 */
#ifndef FT_SOURCE_H
#define FT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ft/ledger.h"
#include "ft/pacing.h"

struct ft_source;

/* The one frame that a source sends over and over. */
struct ft_repeated {
	const uint8_t *frame; /* with a signature's room (ft/signature.h) */
	uint32_t bytes;	      /* without FCS */
	uint32_t room_at;     /* where in the frame */
	ft_count *number;     /* of the next one; who makes frames counts it on */
};

struct ft_source_ops {
	/*
	 * Give the frames that are due up to `until` (after the start), in order, at most `room`,
	 * and at least one where `due` is not after `until`; then set `due`. `sent_ns` (UTC) is the
	 * time that signed frames carry. Returns their number. Called by the sender's thread only;
	 * a frame's bytes stay until FT_TRANSMIT_BATCH further frames were given, and where they
	 * are in the port's memory (gen/transmit.h), until slots_in_flight further ones were.
	 */
	unsigned (*fill)(struct ft_source *source, ft_fine_time until, uint64_t sent_ns,
			 struct iovec *frames, unsigned room);
	/* Begin the schedule anew, with the frame that comes next due at 0. */
	void (*restart)(struct ft_source *source);
	/*
	 * Pass over the frames that were due before `before`, at most `most` of them, and return
	 * their number. NULL: each is sent, however late.
	 */
	uint64_t (*skip)(struct ft_source *source, ft_fine_time before, uint64_t most);
	/*
	 * Whether all frames are one, but for number and time, so that a port may make them itself;
	 * then fill() is not called. NULL: they differ.
	 */
	bool (*repeats)(struct ft_source *source, struct ft_repeated *repeated);
};

/* `due` of a source that has nothing more to send. */
#define FT_SOURCE_END (~(ft_fine_time)0)

struct ft_source {
	const struct ft_source_ops *ops;
	ft_fine_time due;  /* of the next frame, after the start */
	ft_fine_time ends; /* with FT_SOURCE_END: when one more would have been due; 0: not told */
	/*
	 * The source is read while it is sent, and its reader is behind: `due` is not known. Then
	 * fill() gives none, and looks again, with `until` the time by now.
	 */
	bool starved;
};

#endif
