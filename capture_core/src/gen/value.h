/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that a field of a stream takes, frame after frame:
 *
 *   64                              always the same
 *   [64, 128, 512]                  one after the other, then again
 *   { count = [1, 100], step = 3 }  from the first to the last, up or down, then again
 *   { random = [1, 100] }           drawn, each as likely as any other
 *
 * For an address a prefix ("198.18.0.0/16") stands for [its first, its last].
 */
#ifndef FT_GEN_VALUE_H
#define FT_GEN_VALUE_H

#include <jansson.h>

#include "gen/layers.h"
#include "gen/spot.h"

#define FT_VALUE_MAX_LIST 65536u

enum ft_value_kind {
	FT_VALUE_CONSTANT,
	FT_VALUE_COUNT,
	FT_VALUE_LIST,
	FT_VALUE_RANDOM,
};

/* What varies has 64 bits; the upper half of an IPv6 address stays. */
struct ft_value {
	enum ft_value_kind kind;
	uint64_t high;
	uint64_t first; /* the constant; the first of those counted; the least of those drawn */
	uint64_t step;	/* from one counted value to the next, modulo 2^64 */
	uint64_t count; /* of different values; 0: 2^64 */
	uint64_t *list; /* of `count` */
};

/* -EINVAL or -ENOMEM, with a sentence that names the spot. Free the value in any case. */
int ft_value_read(const json_t *json, const struct ft_field *field, const struct ft_spot *spot,
		  struct ft_value *value, struct ft_error *error);

void ft_value_free(struct ft_value *value);

#endif
