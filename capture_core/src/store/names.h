/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of files that grow: NAME.partial until they are complete. Nothing is overwritten: what has
 * the name already becomes NAME.1, or the next free number.
 */
#ifndef FT_STORE_NAMES_H
#define FT_STORE_NAMES_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/error.h"

#define FT_PARTIAL_SUFFIX ".partial"
#define FT_PATH_BYTES	  (PATH_MAX + 32)

/* Rename to a name that must be free; -EEXIST. */
int ft_rename_to_free(const char *from, const char *to);

/* Give `path` the first free name PATH.1, PATH.2, ... in its place, and say so on stderr. */
int ft_move_aside(const char *path, struct ft_error *error);

/*
 * Open PATH.partial for writing, new and locked. What a dead engine left there is moved aside;
 * -EBUSY for what a live one writes. A descriptor or a negative errno.
 */
int ft_partial_open(const char *path, struct ft_error *error);

/* The folder that holds `path`, opened to be synced. A descriptor or a negative errno. */
int ft_directory_open(const char *path);

/* PATH.partial becomes PATH; the folder is synced. */
int ft_partial_finish(const char *path, int directory_fd, struct ft_error *error);

void ft_partial_discard(const char *path);

/* NAME_NNNNN_YYYYMMDDhhmmss.EXT, as dumpcap names ring files: numbers from 1, local time. */
void ft_ring_name(const char *path, uint64_t number, uint64_t opened_ns, char *name, size_t bytes);

#endif
