/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture as a source of frames. One that fits its share of memory is loaded before the run, with
 * every frame checked against the port, so that nothing is refused half way. A larger one, a FIFO
 * or stdin is read by a thread of its own, ahead of the schedule, in bounded memory.
 *
 * The schedule is absolute: neither loops nor late frames shift it. A pass over the file takes the
 * time from its first to its last frame and the mean gap between them; then the next one begins.
 */
#ifndef FT_REPLAY_H
#define FT_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/ledger.h"
#include "ft/pacing.h"
#include "ft/source.h"

struct ft_ranges;
struct ft_replay_ring;
struct ft_rewrite;

/* What a port takes, without FCS. */
struct ft_replay_limits {
	const char *port;
	uint32_t max_bytes;	   /* of a frame */
	uint32_t max_tagged_bytes; /* of one that begins with an 802.1Q tag */
};

struct ft_replay_settings {
	const char *path;		 /* "-": stdin */
	const char *filter;		 /* NULL: all */
	const struct ft_ranges *packets; /* by number in the file, from 1; NULL: all */
	uint64_t from_ns, to_ns;	 /* by stamp: from_ns <= stamp < to_ns */
	const struct ft_rewrite *rewrite;
	uint64_t loops;	     /* passes over the file; 0: without end */
	uint64_t room_bytes; /* of memory for a whole file; 0: half of what is available */
	struct ft_replay_limits limits;

	/* Asked while a FIFO has nothing: whether to give up. NULL: never. */
	bool (*given_up)(void *context);
	void *context;
};

struct ft_replay_frame {
	const uint8_t *data;
	uint64_t due_ns; /* after the first frame, by the file's stamps; never goes back */
	uint32_t bytes;	 /* as captured */
};

/* The main thread's until the run starts, then the sender's, but for what is said otherwise. */
struct ft_replay {
	struct ft_source source; /* first: the operations find the replay by it */
	bool file_timing;	 /* each frame when the file says, else as `pace` says */
	struct ft_pace pace;
	ft_fine_time base; /* of file timing: where due_ns 0 lies in the schedule; it may wrap */
	bool rebase;	   /* `next` is due when `source.due` says: set `base` by that */

	struct ft_replay_frame next; /* what is sent next, its due_ns counted over all passes */
	bool has_next;
	ft_count underruns;   /* times that a frame was due before it was read; read by others */
	uint64_t loops, pass; /* to make in all, being made */

	/* A file in memory; frames NULL: it is read on the way. */
	struct ft_replay_frame *frames;
	size_t frame_count, position;
	uint8_t *data;
	uint64_t data_bytes;
	uint32_t longest_bytes; /* of a frame, without FCS; 0: not known before it is read */
	uint64_t period_ns;	/* a pass */
	struct ft_replay_ring *ring;

	int result; /* of reading: what came before a damage is sent */
	struct ft_error damage;
};

/*
 * Open the capture, and load it where it fits. -EINVAL for a bad filter, a file of which no frame
 * is left, a frame that the port cannot send (with its number and what to do), or loops over what
 * cannot be read twice; -ENOENT, -EACCES, -EBADMSG for a file that cannot be read at all; -EAGAIN
 * where `given_up` said so.
 */
int ft_replay_open(const struct ft_replay_settings *settings, struct ft_replay *replay,
		   struct ft_error *error);

/* Start reading ahead, where that is needed; `settings` must live on. */
int ft_replay_start(struct ft_replay *replay, struct ft_error *error);

/* Whether a quarter of a second at `speed` is there to be sent, or all that fits. */
bool ft_replay_is_ready(const struct ft_replay *replay, double speed);

/*
 * Go on at another pace, or (NULL) by the file's timing, from `now` of the schedule on. Called by
 * the sender's thread.
 */
void ft_replay_set_pace(struct ft_replay *replay, const struct ft_pace *pace, ft_fine_time now);

/* What reading came to, once the sender has ended: 0, or a negative errno with a sentence. */
int ft_replay_result(const struct ft_replay *replay, struct ft_error *error);

/* Accepts a zeroed one; ends the reading thread. */
void ft_replay_free(struct ft_replay *replay);

#endif
