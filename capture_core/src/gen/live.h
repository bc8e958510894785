/* SPDX-License-Identifier: Apache-2.0 */
/* What the sender and the XDP program that makes frames (bpf/live.bpf.c) tell each other. */
#ifndef FT_GEN_LIVE_H
#define FT_GEN_LIVE_H

#include <stdint.h>

#include "ft/signature.h"

/* The beginning of a frame: all headers that a device on the way may change. */
#define FT_LIVE_HEAD_BYTES 64u
/* Frames whose times one call of the kernel can tell; a power of two. */
#define FT_LIVE_TOLD_FRAMES 16384u

/* So that the signature after its first two bytes is aligned to 8. */
#define FT_LIVE_ROOM_AT 6u

/* Written by the sender between calls, and `number` and `made` by the program within one. */
struct ft_live {
	uint32_t ifindex;
	uint32_t number;     /* of the next frame */
	uint64_t utc_ns;     /* UTC less the program's clock, which is monotonic */
	uint32_t room_at;    /* of the signature in the frame */
	uint32_t made;	     /* in this call */
	uint32_t tells_time; /* not 0: write each frame's time into `sent_ns` */
	uint32_t unused;
	/* From FT_LIVE_ROOM_AT on the signature's room, as it is but for number and time. */
	uint8_t room[24];
	uint8_t head[FT_LIVE_HEAD_BYTES];
	uint64_t sent_ns[FT_LIVE_TOLD_FRAMES];
};

#endif
