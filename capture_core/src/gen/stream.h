/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A numbered stream: frames filled once in slots of their own, which then only get a new number and
 * time. Frame n goes out of slot n % slot_count.
 */
#ifndef FT_GEN_STREAM_H
#define FT_GEN_STREAM_H

#include <stdint.h>

#include "ft/error.h"
#include "ft/pacing.h"
#include "ft/signature.h"
#include "ft/source.h"

/* Enough for every list of sizes that a user would type. */
#define FT_STREAM_MAX_SIZES 64u

struct ft_stream_slot {
	uint8_t *frame;
	uint8_t *room;	   /* of the signature */
	uint32_t bytes;	   /* without FCS */
	ft_fine_time cost; /* of the schedule */
};

struct ft_stream {
	struct ft_source source;
	uint64_t number;     /* of the next frame */
	unsigned next;	     /* its slot */
	unsigned slot_count; /* a multiple of the sizes, and of no slot is two frames in a batch */
	struct ft_stream_slot *slots;
	uint8_t *memory;
	ft_fine_time mean_cost;
};

/* Frames of `sizes` (with FCS) in turn. -ENOMEM. */
int ft_stream_create(const uint32_t *sizes, unsigned size_count, const struct ft_signature_run *run,
		     const struct ft_pace *pace, struct ft_stream *stream, struct ft_error *error);

/* Accepts a zeroed one. */
void ft_stream_free(struct ft_stream *stream);

#endif
