/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting the frames of a replay: addresses, tags, ports, lengths. Rules have the names and the
 * meaning of tcprewrite's long options. A frame's checksums stay as right, or as wrong, as they
 * were (RFC 1624), unless a rule says otherwise.
 *
 * Tags, MPLS labels and an Ethernet pseudowire (RFC 4448, with its control word) are looked
 * through; what is in the innermost Ethernet frame is meant. A frame with a length in place of its
 * EtherType (spanning tree, IS-IS) stays as it is.
 */
#ifndef FT_GEN_REWRITE_H
#define FT_GEN_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

struct ft_rewrite;

/* What ft_rewrite_frame may add to a frame, beside making up for what was not captured of it. */
#define FT_REWRITE_GROWTH_BYTES 4u

/* A captured frame, rewritten in place. */
struct ft_rewrite_frame {
	uint8_t *data;
	uint32_t captured_bytes;
	uint32_t length_bytes; /* when it was on the wire */
	uint32_t room_bytes;   /* at `data` */
};

/* Add the rule `text`, "NAME=VALUE" or "NAME"; `*rewrite` is made where it is NULL. -EINVAL. */
int ft_rewrite_add(struct ft_rewrite **rewrite, const char *text, struct ft_error *error);

/* What is wrong with rules that are each right: -EINVAL. `rewrite` may be NULL. */
int ft_rewrite_check(const struct ft_rewrite *rewrite, struct ft_error *error);

/* Whether a frame differs from loop to loop. `rewrite` may be NULL. */
bool ft_rewrite_varies(const struct ft_rewrite *rewrite);

/* The room that a frame of these lengths needs. */
uint32_t ft_rewrite_room(const struct ft_rewrite *rewrite, uint32_t captured_bytes,
			 uint32_t length_bytes);

/*
 * Apply every rule to a frame of pass `loop` (from 0) over the file. False: the frame is to be left
 * out. The bytes are untrusted.
 */
bool ft_rewrite_frame(const struct ft_rewrite *rewrite, uint64_t loop,
		      struct ft_rewrite_frame *frame);

/* The names of all rules with what their values look like, a line each, for --help. */
extern const char ft_rewrite_help[];

/* Accepts NULL. */
void ft_rewrite_free(struct ft_rewrite *rewrite);

#endif
