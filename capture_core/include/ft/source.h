/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source: what a generator run sends, frame by frame, each with the moment at which it is due.
 * The sender waits for that moment and hands the frames to the port; it does not know what they
 * are.
 */
#ifndef FT_SOURCE_H
#define FT_SOURCE_H

#include <stdint.h>
#include <sys/uio.h>

#include "ft/pacing.h"

struct ft_source;

struct ft_source_ops {
	/*
	 * Give the frames that are due up to `until` (after the start), in order, at most `room`,
	 * and at least one where `due` is not after `until`; then set `due`. `sent_ns` (UTC) is the
	 * time that signed frames carry. Returns their number. Called by the sender's thread only;
	 * a frame's bytes stay until FT_TRANSMIT_BATCH further frames were given.
	 */
	unsigned (*fill)(struct ft_source *source, ft_fine_time until, uint64_t sent_ns,
			 struct iovec *frames, unsigned room);
	/* Begin the schedule anew, with the frame that comes next due at 0. */
	void (*restart)(struct ft_source *source);
};

/* `due` of a source that has nothing more to send. */
#define FT_SOURCE_END (~(ft_fine_time)0)

struct ft_source {
	const struct ft_source_ops *ops;
	ft_fine_time due; /* of the next frame, after the start */
};

#endif
