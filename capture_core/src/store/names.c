/* SPDX-License-Identifier: Apache-2.0 */
#include "store/names.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ft/clock.h"
#include "ft/index.h"

#define MAX_ASIDE 100000

int ft_rename_to_free(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	/* NFS and some FUSE file systems cannot promise that the name is free. */
	if (errno != EINVAL || access(to, F_OK) == 0)
		return errno == EINVAL ? -EEXIST : -errno;
	return rename(from, to) == 0 ? 0 : -errno;
}

int ft_move_aside(const char *path, struct ft_error *error)
{
	char aside[FT_PATH_BYTES + 16], index[FT_PATH_BYTES + 16];
	int rc = -EEXIST;

	for (int i = 1; rc == -EEXIST && i < MAX_ASIDE; i++) {
		snprintf(aside, sizeof(aside), "%s.%d", path, i);
		rc = ft_rename_to_free(path, aside);
	}
	if (rc != 0)
		return ft_fail(error, rc, "%s exists and cannot be renamed: %s", path,
			       strerror(-rc));
	fprintf(stderr, "%s: %s existed and is now %s\n", program_invocation_short_name, path,
		aside);
	/* Its index goes with it; without one, extraction only takes longer. */
	snprintf(index, sizeof(index), "%s" FT_INDEX_SUFFIX, path);
	snprintf(aside + strlen(aside), sizeof(aside) - strlen(aside), FT_INDEX_SUFFIX);
	ft_rename_to_free(index, aside);
	return 0;
}

/* What a dead engine left is moved aside; what a live one writes is its own. */
static int clear_partial(const char *path, const char *partial, struct ft_error *error)
{
	int fd = open(partial, O_RDWR | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return errno == ENOENT ? 0
				       : ft_fail(error, -errno, "%s: %s", partial, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		rc = ft_fail(error, -EBUSY,
			     "-w %s: a running capture is writing it; choose another name", path);
	else
		rc = ft_move_aside(partial, error);
	close(fd);
	return rc;
}

/* A new file, locked. Another engine may mend it away before it is: -EAGAIN then. */
static int create_locked(const char *partial)
{
	int fd = open(partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0664);
	struct stat status;

	if (fd < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	flock(fd, LOCK_EX);
	if (fstat(fd, &status) == 0 && status.st_nlink > 0)
		return fd;
	close(fd);
	return -EAGAIN;
}

int ft_partial_open(const char *path, struct ft_error *error)
{
	char partial[FT_PATH_BYTES];
	int fd, rc;

	snprintf(partial, sizeof(partial), "%s" FT_PARTIAL_SUFFIX, path);
	do {
		rc = clear_partial(path, partial, error);
		if (rc != 0)
			return rc;
		fd = create_locked(partial);
	} while (fd == -EAGAIN);
	if (fd < 0)
		return ft_fail(error, fd, "-w %s: cannot be written: %s", path, strerror(-fd));
	return fd;
}

int ft_directory_open(const char *path)
{
	char copy[FT_PATH_BYTES];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int ft_partial_finish(const char *path, int directory_fd, struct ft_error *error)
{
	char partial[FT_PATH_BYTES];
	int rc = 0;

	snprintf(partial, sizeof(partial), "%s" FT_PARTIAL_SUFFIX, path);
	if (access(path, F_OK) == 0)
		rc = ft_move_aside(path, error);
	if (rc != 0)
		return rc;
	rc = ft_rename_to_free(partial, path);
	if (rc == 0 && fsync(directory_fd) != 0)
		rc = -errno;
	if (rc != 0)
		ft_fail(error, rc, "%s: cannot be renamed to %s: %s", partial, path, strerror(-rc));
	return rc;
}

void ft_partial_discard(const char *path)
{
	char partial[FT_PATH_BYTES];

	snprintf(partial, sizeof(partial), "%s" FT_PARTIAL_SUFFIX, path);
	unlink(partial);
}

void ft_ring_name(const char *path, uint64_t number, uint64_t opened_ns, char *name, size_t bytes)
{
	time_t seconds = (time_t)(opened_ns / FT_NS_PER_SECOND);
	const char *base = strrchr(path, '/'), *dot;
	char stamp[32];
	struct tm when;
	int stem;

	base = base != NULL ? base + 1 : path;
	dot = strrchr(base, '.');
	stem = (int)(dot != NULL && dot != base ? (size_t)(dot - path) : strlen(path));
	localtime_r(&seconds, &when);
	strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &when);
	snprintf(name, bytes, "%.*s_%05llu_%s%s", stem, path, (unsigned long long)number, stamp,
		 path + stem);
}
