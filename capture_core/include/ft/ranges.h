/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of numbers as users write them: "7,11,20-23,174-". */
#ifndef FT_RANGES_H
#define FT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

#define FT_RANGES_MAX 256u

struct ft_ranges {
	unsigned count;
	struct {
		uint64_t first, last;
	} range[FT_RANGES_MAX];
};

/* Numbers from 1 on; "A-" has no end, "-B" begins at 1. -EINVAL. */
int ft_ranges_parse(const char *text, struct ft_ranges *ranges, struct ft_error *error);

bool ft_ranges_hold(const struct ft_ranges *ranges, uint64_t number);

/* The highest number; UINT64_MAX: there is no end. */
uint64_t ft_ranges_last(const struct ft_ranges *ranges);

#endif
