/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the files of a run that are complete, and which of them must go. Used by the
 * indexer thread; the main thread reads the list under its lock.
 */
#ifndef FT_STORE_RETENTION_H
#define FT_STORE_RETENTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/names.h"

/* A file of this suffix beside a closed capture keeps it for good. */
#define FT_KEEP_SUFFIX ".keep"

struct ft_file_record {
	char *path; /* absolute or as given */
	uint64_t packets, packet_bytes, size_bytes;
	uint64_t first_ns, last_ns; /* meaningless without packets */
	uint64_t late;
	uint64_t first_sequence, last_sequence;
	uint64_t closed_ns; /* UTC */
	char sha256[65];    /* empty: not asked for */
	bool complete;	    /* false: it keeps its .partial name */
};

struct ft_retention {
	/* Set before any thread starts; 0: no such limit. */
	uint64_t max_files; /* the one that is being filled included */
	uint64_t max_bytes;
	uint64_t max_age_ns;
	uint64_t free_bytes; /* floor of free space on the file system */

	pthread_mutex_t lock;		/* of what follows */
	struct ft_file_record *records; /* in the order of their numbers */
	unsigned count, room;
	struct {
		uint64_t files, packets, packet_bytes, size_bytes;
	} expired;
};

void ft_retention_init(struct ft_retention *retention);
void ft_retention_free(struct ft_retention *retention);

/* Takes `record->path` over. */
void ft_retention_add(struct ft_retention *retention, const struct ft_file_record *record);

/*
 * Expire what must go, oldest first, never what is kept. `growing` is how many more files there are
 * that are not complete, `growing_bytes` the size of the last. Returns false when there still is
 * less free space than the floor.
 */
bool ft_retention_apply(struct ft_retention *retention, const char *path, unsigned growing,
			uint64_t growing_bytes);

#endif
