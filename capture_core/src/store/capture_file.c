/* SPDX-License-Identifier: Apache-2.0 */
#include "store/capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ft/pcapng.h"

/* Allocation steps: small for small captures, large enough to be rare for fast ones. */
#define FIRST_STEP_BYTES (16ull << 20)
#define LAST_STEP_BYTES	 (1ull << 30)

int ft_file_open(const char *path, uint64_t number, bool direct, struct ft_file **file,
		 struct ft_error *error)
{
	struct ft_file *f = calloc(1, sizeof(*f));
	int rc = -ENOMEM;

	if (f == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	f->directory_fd = -1;
	f->number = number;
	f->first_ns = UINT64_MAX;
	strncpy(f->path, path, sizeof(f->path) - 1);
	f->fd = rc = ft_partial_open(path, error);
	/* Not every file system takes it. */
	f->direct = direct && rc >= 0 && fcntl(f->fd, F_SETFL, O_DIRECT) == 0;
	if (rc >= 0) {
		f->directory_fd = rc = ft_directory_open(path);
		if (rc < 0) {
			ft_fail(error, rc, "-w %s: its folder: %s", path, strerror(-rc));
			ft_partial_discard(path);
		}
	}
	if (rc < 0) {
		ft_file_free(f);
		return rc;
	}
	*file = f;
	return 0;
}

/* Allocate up to `wanted` bytes of the file, or as much of that as there is. */
static int allocate(struct ft_file *file, uint64_t needed, uint64_t wanted)
{
	uint64_t end = wanted;

	while (1) {
		if (fallocate(file->fd, 0, 0, (off_t)end) == 0) {
			file->allocated_bytes = end;
			return 0;
		}
		if (errno == EINTR)
			continue;
		if (errno != ENOSPC && errno != EFBIG && errno != EDQUOT)
			return -errno;
		if (end <= needed)
			return -ENOSPC;
		end = end - (end - needed) / 2;
		if (end - needed < FT_CHUNK_ALIGNMENT)
			end = needed;
	}
}

/* The disk is full: take what is left of it, down to single pages. */
static void allocate_the_rest(struct ft_file *file)
{
	for (uint64_t step = 1ull << 22; step >= FT_CHUNK_ALIGNMENT; step /= 2)
		while (fallocate(file->fd, 0, 0, (off_t)(file->allocated_bytes + step)) == 0)
			file->allocated_bytes += step;
}

uint64_t ft_file_make_room(struct ft_file *file, uint64_t bytes, struct ft_error *error)
{
	uint64_t needed = file->size_bytes + bytes + FT_FILE_RESERVE_BYTES;
	uint64_t step = file->size_bytes / 2, end, usable;
	int rc;

	if (needed <= file->allocated_bytes)
		return bytes;
	step = step < FIRST_STEP_BYTES ? FIRST_STEP_BYTES : step;
	step = step > LAST_STEP_BYTES ? LAST_STEP_BYTES : step;
	end = needed + step;
	if (file->expected_bytes != 0 && end > file->expected_bytes)
		end = needed > file->expected_bytes ? needed : file->expected_bytes;
	rc = allocate(file, needed, end);
	if (rc == 0)
		return bytes;
	if (rc != -ENOSPC) { /* it cannot allocate ahead: writes will tell */
		file->allocated_bytes = 0;
		return bytes;
	}
	allocate_the_rest(file);
	ft_fail(error, -ENOSPC, "writing %s: %s", file->path, strerror(ENOSPC));
	usable = file->allocated_bytes > file->size_bytes + FT_FILE_RESERVE_BYTES
			 ? file->allocated_bytes - file->size_bytes - FT_FILE_RESERVE_BYTES
			 : 0;
	return usable < bytes ? usable : bytes;
}

void ft_file_release_room(struct ft_file *file)
{
	if (file->allocated_bytes > file->size_bytes &&
	    ftruncate(file->fd, (off_t)file->size_bytes) == 0)
		file->allocated_bytes = file->size_bytes;
}

bool ft_file_give_up_direct(struct ft_file *file)
{
	int flags = fcntl(file->fd, F_GETFL);

	if (!file->direct || flags < 0 || fcntl(file->fd, F_SETFL, flags & ~O_DIRECT) != 0)
		return false;
	file->direct = false;
	return true;
}

int ft_file_append(struct ft_file *file, const void *data, size_t bytes, struct ft_error *error)
{
	size_t wrote = 0;

	while (wrote < bytes) {
		ssize_t count = pwrite(file->fd, (const char *)data + wrote, bytes - wrote,
				       (off_t)(file->size_bytes + wrote));

		if (count < 0 &&
		    (errno == EINTR || (errno == EINVAL && ft_file_give_up_direct(file))))
			continue;
		if (count <= 0)
			return ft_fail(error, count < 0 ? -errno : -ENOSPC, "writing %s: %s",
				       file->path, strerror(count < 0 ? errno : ENOSPC));
		wrote += (size_t)count;
	}
	file->size_bytes += bytes;
	return 0;
}

int ft_file_finish(struct ft_file *file, struct ft_error *error)
{
	if (ftruncate(file->fd, (off_t)file->size_bytes) != 0 || fsync(file->fd) != 0)
		return ft_fail(error, -errno, "finishing %s: %s", file->path, strerror(errno));
	if (file->sync_failed) /* told once: the sync above says nothing of it */
		return ft_fail(error, -EIO, "finishing %s: an earlier sync of it failed",
			       file->path);
	return ft_partial_finish(file->path, file->directory_fd, error);
}

void ft_file_discard(struct ft_file *file)
{
	ft_partial_discard(file->path);
}

void ft_file_free(struct ft_file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
		close(file->fd);
	if (file->directory_fd >= 0)
		close(file->directory_fd);
	EVP_MD_CTX_free(file->hash);
	free(file);
}
