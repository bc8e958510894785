/* SPDX-License-Identifier: Apache-2.0 */
#include "store/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ft/clock.h"

/* user_data of the eventfd's read; jobs have their number in the queue. */
#define WAKE UINT64_MAX

/* One thread submits and reaps, so the kernel need not interrupt it (Linux 6.1). */
static int open_ring(struct io_uring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED};
	int rc;

	rc = io_uring_queue_init_params(2 * FT_DISK_DEPTH, ring, &params);
	if (rc != -EINVAL)
		return rc;
	params = (struct io_uring_params){.flags = IORING_SETUP_R_DISABLED};
	return io_uring_queue_init_params(2 * FT_DISK_DEPTH, ring, &params);
}

int ft_disk_open(struct ft_disk *disk, unsigned slots, int wake_fd, struct ft_error *error)
{
	int rc = open_ring(&disk->ring);

	if (rc < 0)
		return ft_fail(error, rc,
			       "io_uring is not available: %s; allow it (sysctl "
			       "kernel.io_uring_disabled=0)",
			       strerror(-rc));
	disk->wake_fd = (unsigned)wake_fd;
	disk->slots = slots;
	disk->registered = calloc(slots > 0 ? slots : 1, 1);
	disk->registers = disk->registered != NULL && slots > 0 &&
			  io_uring_register_buffers_sparse(&disk->ring, slots) == 0;
	return 0;
}

int ft_disk_begin(struct ft_disk *disk, struct ft_error *error)
{
	/* As io_uring_enable_rings does, which the library of Debian 12 declares but lacks. */
	if (syscall(SYS_io_uring_register, disk->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
		    0) < 0)
		return ft_fail(error, -errno, "cannot write by io_uring: %s", strerror(errno));
	return 0;
}

void ft_disk_close(struct ft_disk *disk)
{
	io_uring_queue_exit(&disk->ring);
	free(disk->registered);
}

/*
 * Map a chunk's memory for good when it is used first: mapping all of them at the start would touch
 * memory that a quiet capture never needs. False where it cannot be: the write maps it each time.
 */
static bool register_chunk(struct ft_disk *disk, const struct ft_chunk *chunk, unsigned slot)
{
	const struct iovec memory = {.iov_base = chunk->data, .iov_len = FT_CHUNK_BYTES};
	const __u64 tag = 0;

	if (!disk->registers || disk->registered[slot])
		return disk->registers;
	if (io_uring_register_buffers_update_tag(&disk->ring, slot, &memory, &tag, 1) != 1) {
		disk->registers = false; /* a limit on locked memory, most likely */
		return false;
	}
	disk->registered[slot] = 1;
	return true;
}

static bool is_registered(const struct ft_disk *disk, int slot)
{
	return slot >= 0 && disk->registered[slot];
}

void ft_disk_give(struct ft_disk *disk, const struct ft_disk_job *given, int slot)
{
	struct ft_disk_job *job = &disk->jobs[disk->tail % FT_DISK_DEPTH];
	struct io_uring_sqe *sqe;

	*job = *given;
	job->given_ns = ft_clock_utc_ns();
	job->done = job->what == FT_DISK_CLOSE;
	disk->tail++;
	if (job->done)
		return;
	if (slot >= 0)
		register_chunk(disk, job->chunk, (unsigned)slot);
	sqe = io_uring_get_sqe(&disk->ring); /* twice as many as jobs: there is one */
	if (job->what == FT_DISK_SYNC || job->what == FT_DISK_LAST_SYNC)
		io_uring_prep_fsync(sqe, job->file->fd, IORING_FSYNC_DATASYNC);
	else if (is_registered(disk, slot))
		io_uring_prep_write_fixed(sqe, job->file->fd, job->chunk->data, job->bytes,
					  job->offset, slot);
	else
		io_uring_prep_write(sqe, job->file->fd, job->chunk->data, job->bytes, job->offset);
	io_uring_sqe_set_data64(sqe, disk->tail - 1);
	disk->unsubmitted++;
}

static void arm_wake(struct ft_disk *disk)
{
	struct io_uring_sqe *sqe;

	if (disk->wake_armed)
		return;
	sqe = io_uring_get_sqe(&disk->ring);
	io_uring_prep_read(sqe, (int)disk->wake_fd, &disk->wake_count, sizeof(disk->wake_count), 0);
	io_uring_sqe_set_data64(sqe, WAKE);
	disk->wake_armed = true;
}

static void reap(struct ft_disk *disk)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&disk->ring, &cqe) == 0) {
		uint64_t number = io_uring_cqe_get_data64(cqe);

		if (number == WAKE) {
			disk->wake_armed = false;
		} else {
			disk->jobs[number % FT_DISK_DEPTH].result = cqe->res;
			disk->jobs[number % FT_DISK_DEPTH].done = true;
		}
		io_uring_cqe_seen(&disk->ring, cqe);
	}
}

void ft_disk_wait(struct ft_disk *disk, int timeout_ms)
{
	struct __kernel_timespec timeout = {.tv_nsec = timeout_ms * (long long)FT_NS_PER_MS};
	struct io_uring_cqe *cqe;

	arm_wake(disk);
	disk->unsubmitted = 0;
	io_uring_submit_and_wait_timeout(&disk->ring, &cqe, timeout_ms > 0, &timeout, NULL);
	reap(disk);
}

/* The kernel may take less than asked: a full disk, a signal. Go on from there, once more. */
static void finish_short_write(struct ft_disk_job *job)
{
	if (job->result == -EINVAL && ft_file_give_up_direct(job->file))
		job->result = 0;
	while (job->result >= 0 && (uint32_t)job->result < job->bytes) {
		ssize_t more = pwrite(job->file->fd, (char *)job->chunk->data + job->result,
				      job->bytes - (uint32_t)job->result,
				      (off_t)job->offset + job->result);

		if (more < 0 && errno == EINTR)
			continue;
		if (more <= 0) {
			if (job->result == 0)
				job->result = more < 0 ? -errno : -ENOSPC;
			return;
		}
		job->result += (int32_t)more;
	}
}

struct ft_disk_job *ft_disk_take(struct ft_disk *disk)
{
	struct ft_disk_job *job = &disk->jobs[disk->head % FT_DISK_DEPTH];

	if (disk->unsubmitted > 0) {
		disk->unsubmitted = 0;
		io_uring_submit(&disk->ring);
	}
	if (ft_disk_is_idle(disk))
		return NULL;
	if (!job->done)
		reap(disk);
	if (!job->done)
		return NULL;
	disk->head++;
	if (job->what == FT_DISK_CHUNK)
		finish_short_write(job);
	return job;
}
