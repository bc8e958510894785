/* SPDX-License-Identifier: Apache-2.0 */
/* The sizes of a stream's frames, with FCS: one after the other, or drawn. */
#ifndef FT_GEN_SIZES_H
#define FT_GEN_SIZES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "gen/spot.h"

struct ft_sizes {
	uint32_t *bytes;
	unsigned count; /* 0: not given, as small as the stream's headers allow */
	bool random;	/* each as likely as any other; else in turn */
};

/*
 * A size, a list, { count = [A, B], step = S }, { random = [A, B] }, "imix" or { mix = [[SIZE,
 * WEIGHT], ...] }. -EINVAL or -ENOMEM. Free the sizes in any case.
 */
int ft_sizes_read(const json_t *json, const struct ft_spot *spot, struct ft_sizes *sizes,
		  struct ft_error *error);

/* `count` sizes in turn. -ENOMEM. */
int ft_sizes_list(const uint32_t *bytes, unsigned count, struct ft_sizes *sizes,
		  struct ft_error *error);

void ft_sizes_free(struct ft_sizes *sizes);

#endif
