/* SPDX-License-Identifier: Apache-2.0 */
/* A place in a stream file, for the sentence that says what is wrong there. */
#ifndef FT_GEN_SPOT_H
#define FT_GEN_SPOT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "ft/error.h"

struct ft_spot {
	const char *file;
	const char *stream; /* its name; NULL: outside any */
	char field[96];	    /* "ipv4.ttl", "vlan[0].id"; empty: the stream as a whole */
};

/* The same stream, another field. */
struct ft_spot ft_spot_at(const struct ft_spot *spot, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "FILE: stream 'NAME', FIELD: ..."; returns -EINVAL. */
int ft_spot_fail(const struct ft_spot *spot, struct ft_error *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether every key of `object` is one of `names`, which ends with NULL; the error lists them. */
int ft_spot_check_keys(const struct ft_spot *spot, const json_t *object, const char *const *names,
		       struct ft_error *error);

/* "a number", "a text": what to call the type of a value that should have been another. */
const char *ft_spot_type(const json_t *value);

/* A whole number from `min` to `max`. */
int ft_spot_read_number(const struct ft_spot *spot, const json_t *json, uint64_t min, uint64_t max,
			uint64_t *number, struct ft_error *error);

#endif
