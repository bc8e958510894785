/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture file while it grows. The writer thread opens it, finds room in it and places chunks;
 * the indexer closes it. Space is allocated ahead in steps that extend the file, so that a write
 * changes no metadata, and so that a full disk is met before a write and not in one; what is too
 * much is cut off at the end.
 */
#ifndef FT_STORE_CAPTURE_FILE_H
#define FT_STORE_CAPTURE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "ft/error.h"
#include "ft/index.h"
#include "store/names.h"

struct ft_file {
	char path[FT_PATH_BYTES]; /* the final name */
	uint64_t number;	  /* in its ring, from 0 */
	int fd;
	int directory_fd;
	bool direct; /* O_DIRECT: offsets, lengths and buffers are aligned */
	bool hashed;
	uint64_t expected_bytes; /* room ahead is not taken beyond it; 0: no such limit */

	/* Written by the writer thread. */
	uint64_t size_bytes;	  /* what is placed so far */
	uint64_t allocated_bytes; /* >= size_bytes, or 0 where the file system allocates nothing */
	uint64_t ended_ns;	  /* UTC, when the next one took its place */
	uint64_t first_sequence, last_sequence;
	uint64_t synced_ns; /* UTC: what was complete then is on stable storage; 0: nothing */
	bool entry_synced;  /* the folder knows it */
	bool sync_failed;   /* some of it may not be on disk, and no later sync tells */

	/* Written by the indexer thread. */
	struct ft_index_writer *index; /* NULL: none */
	EVP_MD_CTX *hash;
	uint64_t hashed_bytes; /* of the file, from its beginning */
	uint64_t packets, packet_bytes;
	uint64_t first_ns, last_ns; /* lowest and highest stamp; meaningless without packets */
	uint64_t late;		    /* packets with a stamp below one before them in the file */
	char sha256[65];	    /* empty: not asked for */
};

/* Room that is kept in a file for its last words. */
#define FT_FILE_RESERVE_BYTES 16384u

/* A new file PATH.partial. `direct` is tried, and taken back where the file system refuses it. */
int ft_file_open(const char *path, uint64_t number, bool direct, struct ft_file **file,
		 struct ft_error *error);

/*
 * Have room for `bytes` more. Returns how many there is room for: fewer on a full disk, with the
 * sentence in `error`.
 */
uint64_t ft_file_make_room(struct ft_file *file, uint64_t bytes, struct ft_error *error);

/* Nothing more will be placed: give back what was allocated ahead. */
void ft_file_release_room(struct ft_file *file);

/*
 * Direct I/O was refused: a limit in the middle of a page, an alignment of 64 KiB. From here on the
 * file is written through the page cache. False when it was already.
 */
bool ft_file_give_up_direct(struct ft_file *file);

/* Write at the end, at once; for the few blocks that no hot thread made. */
int ft_file_append(struct ft_file *file, const void *data, size_t bytes, struct ft_error *error);

/* Cut to size, sync, rename. The file is complete, or keeps its .partial name. */
int ft_file_finish(struct ft_file *file, struct ft_error *error);

/* Nothing was captured: leave no file behind. */
void ft_file_discard(struct ft_file *file);

/* Accepts NULL. */
void ft_file_free(struct ft_file *file);

#endif
