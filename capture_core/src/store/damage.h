/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a capture file: for repair. Changes nothing. */
#ifndef FT_STORE_DAMAGE_H
#define FT_STORE_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/error.h"

struct ft_damage_piece {
	uint64_t offset, bytes;
	uint64_t saved_bytes; /* from its beginning on, worth keeping: the rest is zeros */
	bool is_tail;	      /* reaches to the end of the file: is cut off, not filled */
};

struct ft_damage {
	uint64_t size_bytes; /* of the file */
	bool is_all;	     /* there is no file header: nothing can be kept */
	size_t count;
	struct ft_damage_piece *pieces; /* in the order of the file */
};

/*
 * `unsure`: the file was being written when something happened. -EBADMSG for a file that is no
 * capture.
 */
int ft_damage_find(const char *path, int fd, bool unsure, struct ft_damage *damage,
		   struct ft_error *error);
void ft_damage_free(struct ft_damage *damage);

#endif
