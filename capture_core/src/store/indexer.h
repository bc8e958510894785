/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The indexer thread, niced: what is done with chunks that are on disk and with files that are
 * complete. It digests (SHA-256), indexes, counts late frames, gives chunks back to their hot
 * threads, closes files and expires old ones.
 */
#ifndef FT_STORE_INDEXER_H
#define FT_STORE_INDEXER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ft/error.h"
#include "pipe/chunk.h"
#include "pipe/ring.h"
#include "store/capture_file.h"
#include "store/retention.h"

struct ft_writer;

struct ft_indexer {
	/* Set before the thread starts. */
	struct ft_writer *writer;
	struct ft_flow_key flow_key;
	struct ft_retention retention;
	bool pcapng;
	/* With so many chunks here digesting is put off: half of all, or none where sources wait.
	 */
	unsigned max_waiting;

	struct ft_ring chunks; /* writer to indexer: on disk */
	struct ft_ring files;  /* writer to indexer: complete, after their chunks */
	int wake_fd;	       /* eventfd */

	atomic_bool finishing; /* written by the main thread */
	atomic_bool ended;     /* written by the indexer thread */
	atomic_bool failed;    /* the same: a file could not be completed, see `error` */
	struct ft_error error;

	/* Files that were opened and not yet closed. */
	_Atomic unsigned open_files;
	pthread_t thread;
};

/* Make what the writer needs of it; a run without files needs no more. */
int ft_indexer_open(struct ft_indexer *indexer, struct ft_error *error);
int ft_indexer_start(struct ft_indexer *indexer, struct ft_error *error);
/* When the writer has passed on everything; `ended` follows. */
void ft_indexer_finish(struct ft_indexer *indexer);
void ft_indexer_join(struct ft_indexer *indexer);

void ft_indexer_close(struct ft_indexer *indexer);

/* By the writer thread: a file was opened. Waits while too many are still to be closed. */
void ft_indexer_expect(struct ft_indexer *indexer);
/* A chunk that is on disk (`chunk->written_to`), or of which nothing is (used_bytes 0). */
void ft_indexer_pass_chunk(struct ft_indexer *indexer, struct ft_chunk *chunk);
/* A file whose last byte is on disk; the indexer frees it. */
void ft_indexer_pass_file(struct ft_indexer *indexer, struct ft_file *file);

#endif
