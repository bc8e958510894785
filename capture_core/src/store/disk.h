/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes and syncs under way, through io_uring: many at once, taken back in the order in which they
 * were given. Used by the writer thread alone.
 */
#ifndef FT_STORE_DISK_H
#define FT_STORE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include <liburing.h>

#include "ft/error.h"
#include "pipe/chunk.h"
#include "store/capture_file.h"

/* Deep enough to keep a disk busy, shallow enough that a stall costs no more memory than it must.
 */
#define FT_DISK_DEPTH 32u

enum ft_disk_what {
	FT_DISK_CHUNK,
	FT_DISK_SYNC,
	FT_DISK_CLOSE,	   /* nothing to do: all that was given before for this file is done */
	FT_DISK_LAST_SYNC, /* of a file that is complete */
};

struct ft_disk_job {
	enum ft_disk_what what;
	struct ft_file *file;
	struct ft_chunk *chunk;
	uint64_t offset;
	uint32_t bytes;
	int32_t result; /* bytes written, or a negative errno */
	bool done;
	uint64_t given_ns; /* UTC */
};

struct ft_disk {
	struct io_uring ring;
	unsigned wake_fd;
	uint64_t wake_count; /* where the eventfd is read to */
	bool wake_armed;
	unsigned unsubmitted;
	/* Jobs [head, tail), modulo the depth. */
	uint64_t head, tail;
	struct ft_disk_job jobs[FT_DISK_DEPTH];
	/* Buffers that the kernel has mapped for good: one slot a chunk of each pool. */
	bool registers;
	unsigned slots;
	uint8_t *registered; /* a flag a slot */
};

/* `slots`: how many different chunks there are. `wake_fd` is an eventfd that ends a wait. */
int ft_disk_open(struct ft_disk *disk, unsigned slots, int wake_fd, struct ft_error *error);
/* By the thread that will use it, first of all. */
int ft_disk_begin(struct ft_disk *disk, struct ft_error *error);
void ft_disk_close(struct ft_disk *disk);

static inline bool ft_disk_is_full(const struct ft_disk *disk)
{
	return disk->tail - disk->head == FT_DISK_DEPTH;
}

static inline bool ft_disk_is_idle(const struct ft_disk *disk)
{
	return disk->tail == disk->head;
}

/*
 * Give a job; there must be room. `slot` is the chunk's, or -1. The memory must stay as it is until
 * the job comes back.
 */
void ft_disk_give(struct ft_disk *disk, const struct ft_disk_job *job, int slot);

/* Wait for a job that ends, for the eventfd, or for `timeout_ms`. */
void ft_disk_wait(struct ft_disk *disk, int timeout_ms);

/*
 * The oldest job, when it is done, else NULL; it stays valid until the next give. A write that came
 * out short has been tried again: `result` below `bytes` means that the file takes no more.
 */
struct ft_disk_job *ft_disk_take(struct ft_disk *disk);

#endif
