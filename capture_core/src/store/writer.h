/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer thread: takes finished chunks from the hot threads and puts them where they belong:
 * capture files (one, or a ring of them), a stream, or nowhere.
 */
#ifndef FT_STORE_WRITER_H
#define FT_STORE_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ft/error.h"
#include "ft/pcapng.h"
#include "pipe/chunk.h"
#include "pipe/rotation.h"
#include "store/capture_file.h"
#include "store/disk.h"
#include "store/indexer.h"
#include "store/output.h"

#define FT_WRITER_MAX_POOLS 64u

struct ft_writer {
	/* Set before the thread starts. */
	struct ft_output *stream; /* a stream or `null:`; NULL: capture files */
	const char *path;	  /* of the file, or what ring names are made from */
	bool ring;
	uint64_t expected_bytes; /* of each file of the ring; 0: no such limit */
	bool pcapng;
	bool hashed;
	bool direct;	 /* try O_DIRECT */
	uint8_t *header; /* what every file begins with: section and interfaces, or pcap's; aligned
			  */
	size_t header_bytes;
	uint8_t session[16];
	struct ft_flow_key flow_key;
	struct ft_rotation *rotation;
	struct ft_indexer *indexer;
	unsigned pool_count;
	struct ft_pool *pools[FT_WRITER_MAX_POOLS]; /* one a hot thread */
	int wake_fd;				    /* eventfd */

	/* Written by the main thread: the hot threads have ended, write what is left. */
	atomic_bool finishing;
	/* Written by the indexer: too little free space, and nothing more to expire. */
	atomic_bool out_of_space;

	/* Written by the writer thread; the main thread reads them when `failed` is set or at the
	 * end. */
	atomic_bool failed;
	atomic_bool ended;
	struct ft_error error;
	_Atomic uint64_t synced_ns;   /* UTC: what was complete then is on stable storage */
	_Atomic uint64_t file_bytes;  /* of the file that is being filled */
	_Atomic uint64_t file_number; /* its number, from 0 */
	uint64_t first_ns, last_ns;   /* of the frames stored in a stream; 0: none */

	/* The writer thread's own; the main thread's before it starts and after it ended. */
	struct ft_file *file; /* the one that is being filled */
	uint64_t next_sequence;
	uint64_t sync_at_ns; /* monotonic */
	bool dirty;
	bool syncing;
	unsigned unsynced_files; /* given to be closed, and not yet synced for the last time */
	unsigned first_slot[FT_WRITER_MAX_POOLS];
	struct ft_chunk *waiting[FT_WRITER_MAX_POOLS]; /* taken from its pool, for a later file */
	struct ft_disk disk;
	pthread_t thread;
};

/* How often data are synced, at least. */
#define FT_WRITER_SYNC_MS 500u

/* Make the eventfd, the queue of the disk, and the first file or the stream's header. */
int ft_writer_open(struct ft_writer *writer, struct ft_error *error);
int ft_writer_start(struct ft_writer *writer, struct ft_error *error);

/* Ask it to write everything that is left; `ended` follows. The last file stays open. */
void ft_writer_finish(struct ft_writer *writer);
void ft_writer_join(struct ft_writer *writer);

/*
 * After that: the last words of the run, `bytes` of whole blocks that end with a chunk's end, or
 * none (`bytes` 0), and the last file goes to the indexer.
 */
int ft_writer_end_file(struct ft_writer *writer, uint8_t *blocks, size_t bytes,
		       struct ft_error *error);

/* Nothing was captured: leave no file behind. */
void ft_writer_discard(struct ft_writer *writer);
void ft_writer_close(struct ft_writer *writer);

#endif
