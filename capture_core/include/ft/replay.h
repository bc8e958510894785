/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture loaded into memory to be sent: indexed, with every frame checked against the port that
 * shall send it, so that nothing is refused half way.
 */
#ifndef FT_REPLAY_H
#define FT_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/pacing.h"
#include "ft/reader.h"
#include "ft/source.h"

struct ft_replay_frame {
	uint64_t due_ns; /* after the first frame, by the file's stamps; never goes back */
	uint64_t at;	 /* of its bytes in `data` */
	uint32_t bytes;	 /* as captured */
};

struct ft_replay {
	struct ft_source source; /* of the frames from `next` on */
	struct ft_replay_frame *frames;
	size_t frame_count;
	size_t next;
	uint8_t *data;
	uint64_t data_bytes;
	bool file_timing; /* each frame when the file says, else as `pace` says */
	struct ft_pace pace;
};

/* What a port takes, without FCS. */
struct ft_replay_limits {
	const char *port;
	uint32_t max_bytes;	   /* of a frame */
	uint32_t max_tagged_bytes; /* of one that begins with an 802.1Q tag */
};

/*
 * Load the frames of the capture `path` ("-": stdin) that match `filter` (NULL: all). -EINVAL for a
 * frame that the port cannot send or a bad filter, with the frame's number, what is wrong with it
 * and what to do; -ENOENT, -EACCES, -EBADMSG for a file that cannot be read to its end; -EAGAIN
 * where `wait` (as in ft/reader.h) would not have it read.
 */
int ft_replay_load(const char *path, const char *filter, const struct ft_replay_limits *limits,
		   const struct ft_reader_wait *wait, struct ft_replay *replay,
		   struct ft_error *error);

/* Accepts a zeroed one. */
void ft_replay_free(struct ft_replay *replay);

#endif
