/* SPDX-License-Identifier: Apache-2.0 */
/* Mending in place, once it is known what: src/store/damage.c finds that out. */
#include "ft/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ft/clock.h"
#include "store/damage.h"
#include "store/names.h"
#include "store/span.h"

#define COPY_BYTES (1u << 20)
#define MAX_NAMES  100000
#define LOCK_TRIES 50u /* a second */

static bool ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);

	return length > tail && strcmp(text + length - tail, suffix) == 0;
}

static int sync_directory(const char *path, struct ft_error *error)
{
	char copy[PATH_MAX];
	int fd, rc = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		rc = ft_fail(error, -errno, "%s: its folder cannot be synced: %s", path,
			     strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

/* A new file of that name, or of the first free NAME.1, NAME.2, ... */
static int create_free(char *name, size_t room, struct ft_error *error)
{
	size_t length = strlen(name);
	int fd = -1;

	for (int i = 1; i < MAX_NAMES; i++) {
		fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0664);
		if (fd >= 0 || errno != EEXIST)
			break;
		snprintf(name + length, room - length, ".%d", i);
	}
	return fd >= 0 ? fd : ft_fail(error, -errno, "%s: %s", name, strerror(errno));
}

static int copy_piece(int from, int to, const struct ft_damage_piece *piece, const char *torn,
		      struct ft_error *error)
{
	uint8_t *bytes = malloc(COPY_BYTES);
	uint64_t done = 0;

	errno = ENOMEM;
	while (bytes != NULL && done < piece->saved_bytes) {
		uint64_t left = piece->saved_bytes - done;
		ssize_t got = pread(from, bytes, left < COPY_BYTES ? left : COPY_BYTES,
				    (off_t)(piece->offset + done));

		if (got <= 0 || write(to, bytes, (size_t)got) != got)
			break;
		done += (uint64_t)got;
	}
	free(bytes);
	return done == piece->saved_bytes
		       ? 0
		       : ft_fail(error, -EIO, "%s: cannot be written: %s", torn, strerror(errno));
}

/* Save what will be lost to the file, and be sure of it, before the file is touched. */
static int save_torn(int fd, const struct ft_damage *damage, struct ft_repair *repair,
		     struct ft_error *error)
{
	uint64_t saved = 0;
	int torn, rc = 0;

	for (size_t i = 0; i < damage->count; i++)
		saved += damage->pieces[i].saved_bytes;
	if (saved == 0) {
		repair->torn[0] = '\0';
		return 0;
	}
	torn = create_free(repair->torn, sizeof(repair->torn), error);
	if (torn < 0)
		return torn;
	for (size_t i = 0; rc == 0 && i < damage->count; i++)
		rc = copy_piece(fd, torn, &damage->pieces[i], repair->torn, error);
	if (rc == 0 && fsync(torn) != 0)
		rc = ft_fail(error, -errno, "%s: cannot be synced: %s", repair->torn,
			     strerror(errno));
	close(torn);
	if (rc == 0)
		return sync_directory(repair->torn, error);
	unlink(repair->torn);
	return rc;
}

/* A block of at least 12 bytes each; what is left over must be able to be one too. */
static int fill(int fd, const struct ft_damage_piece *piece)
{
	uint8_t *block = calloc(1, FT_BLOCK_MAX_BYTES);
	uint64_t offset = piece->offset, left = piece->bytes;
	int rc = block != NULL ? 0 : -ENOMEM;

	while (rc == 0 && left > 0) {
		uint32_t bytes = left < FT_BLOCK_MAX_BYTES ? (uint32_t)left : FT_BLOCK_MAX_BYTES;
		const uint32_t header[2] = {FT_BLOCK_FILLER, 0};

		if (left > bytes && left - bytes < FT_BLOCK_MIN_BYTES)
			bytes -= FT_BLOCK_MIN_BYTES;
		memset(block, 0, bytes);
		memcpy(block, header, sizeof(header));
		memcpy(block + 4, &bytes, sizeof(bytes));
		memcpy(block + bytes - 4, &bytes, sizeof(bytes));
		errno = EIO;
		if (pwrite(fd, block, bytes, (off_t)offset) != (ssize_t)bytes)
			rc = -errno;
		offset += bytes;
		left -= bytes;
	}
	free(block);
	return rc;
}

static int apply(int fd, const struct ft_damage *damage, struct ft_repair *repair,
		 struct ft_error *error)
{
	int rc = 0;

	repair->size_bytes = damage->size_bytes;
	for (size_t i = 0; rc == 0 && i < damage->count; i++) {
		const struct ft_damage_piece *piece = &damage->pieces[i];

		if (piece->is_tail) {
			rc = ftruncate(fd, (off_t)piece->offset) == 0 ? 0 : -errno;
			repair->cut_bytes = piece->bytes;
			repair->size_bytes = piece->offset;
		} else {
			rc = fill(fd, piece);
			repair->filled_bytes += piece->bytes;
		}
	}
	repair->changed = damage->count > 0;
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	return rc == 0 ? 0
		       : ft_fail(error, rc, "%s: cannot be mended: %s", repair->path,
				 strerror(-rc));
}

/* The index was made of other bytes; without one, extraction reads the file itself. */
static void remove_index(const char *name, bool is_partial)
{
	char index[PATH_MAX + 16];

	snprintf(index, sizeof(index), "%s.idx%s", name, is_partial ? FT_PARTIAL_SUFFIX : "");
	unlink(index);
}

/* Give NAME.partial its name. */
static int give_name(const char *path, const char *name, struct ft_repair *repair,
		     struct ft_error *error)
{
	int rc = -EEXIST;

	snprintf(repair->path, sizeof(repair->path), "%s", name);
	for (int i = 1; rc == -EEXIST && i < MAX_NAMES; i++) {
		rc = ft_rename_to_free(path, repair->path);
		if (rc == -EEXIST)
			snprintf(repair->path, sizeof(repair->path), "%s.%d", name, i);
	}
	if (rc != 0)
		return ft_fail(error, rc, "%s: cannot be renamed: %s", path, strerror(-rc));
	return sync_directory(path, error);
}

/* Nothing in it can be read: what it holds goes aside whole, and zeros go for good. */
static int put_away(const char *path, const struct ft_damage *damage, struct ft_repair *repair,
		    struct ft_error *error)
{
	bool is_zeros = damage->pieces[0].saved_bytes == 0;
	char torn[PATH_MAX + 8];

	snprintf(torn, sizeof(torn), "%s", repair->torn);
	repair->torn[0] = '\0';
	repair->cut_bytes = damage->size_bytes;
	if (!is_zeros) {
		int rc = give_name(path, torn, repair, error);

		snprintf(repair->torn, sizeof(repair->torn), "%s", repair->path);
		repair->path[0] = '\0';
		return rc;
	}
	repair->path[0] = '\0';
	if (unlink(path) != 0)
		return ft_fail(error, -errno, "%s: %s", path, strerror(errno));
	return sync_directory(path, error);
}

static int change(const char *path, int fd, const struct ft_damage *damage,
		  struct ft_repair *repair, struct ft_error *error)
{
	int rc;

	if (damage->is_all)
		return put_away(path, damage, repair, error);
	rc = save_torn(fd, damage, repair, error);
	return rc == 0 ? apply(fd, damage, repair, error) : rc;
}

static int mend(const char *path, int fd, const char *name, struct ft_repair *repair,
		struct ft_error *error)
{
	bool is_partial = ends_with(path, FT_PARTIAL_SUFFIX);
	struct ft_damage damage = {0};
	int rc = ft_damage_find(path, fd, is_partial, &damage, error);

	if (rc == 0)
		rc = change(path, fd, &damage, repair, error);
	if (rc == 0 && (damage.count > 0 || is_partial))
		remove_index(name, is_partial);
	if (rc == 0 && is_partial && !damage.is_all)
		rc = give_name(path, name, repair, error);
	ft_damage_free(&damage);
	return rc;
}

/* An engine's lock goes with its last write, which may outlive a killed engine for a moment. */
static bool lock(int fd)
{
	const struct timespec pause = {.tv_nsec = 20 * (long)FT_NS_PER_MS};

	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

int ft_repair_file(const char *path, struct ft_repair *repair, struct ft_error *error)
{
	char name[PATH_MAX];
	int fd, rc;

	*repair = (struct ft_repair){0};
	if (strlen(path) >= sizeof(name))
		return ft_fail(error, -ENAMETOOLONG, "%.100s...: the path is too long", path);
	strcpy(repair->path, path);
	strcpy(name, path);
	if (ends_with(path, FT_PARTIAL_SUFFIX))
		name[strlen(path) - strlen(FT_PARTIAL_SUFFIX)] = '\0';
	snprintf(repair->torn, sizeof(repair->torn), "%s.torn", name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ft_fail(error, -errno, "%s: cannot be opened for repair: %s", path,
			       strerror(errno));
	if (!lock(fd))
		rc = ft_fail(error, -EBUSY, "%s: a running capture is writing it", path);
	else
		rc = mend(path, fd, name, repair, error);
	close(fd);
	return rc;
}
