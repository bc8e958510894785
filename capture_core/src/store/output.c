/* SPDX-License-Identifier: Apache-2.0 */
#include "store/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "store/names.h"

#define NULL_OUTPUT "null:"
#define POLL_MS	    100

struct ft_output {
	char path[PATH_MAX];
	int fd;		  /* -1: null */
	int directory_fd; /* -1: a stream */
	uint64_t bytes;
	bool dirty;
	atomic_bool abandoned; /* written by the main thread */
	EVP_MD_CTX *hash;      /* NULL: not asked for */
	char sha256[65];
};

static int open_file(struct ft_output *output, struct ft_error *error)
{
	output->directory_fd = ft_directory_open(output->path);
	if (output->directory_fd < 0)
		return ft_fail(error, output->directory_fd, "-w %s: cannot be written: %s",
			       output->path, strerror(-output->directory_fd));
	output->fd = ft_partial_open(output->path, error);
	return output->fd < 0 ? output->fd : 0;
}

static int open_stream(struct ft_output *output, bool is_fifo, struct ft_error *error)
{
	if (strcmp(output->path, "-") == 0)
		output->fd = dup(STDOUT_FILENO);
	else
		/* Opening a FIFO would otherwise wait for its reader. */
		output->fd = open(output->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (output->fd >= 0)
		return 0;
	if (errno == ENXIO && !is_fifo)
		return ft_fail(error, -EINVAL, "-w %s: cannot be written; name a file, a FIFO or -",
			       output->path);
	return ft_fail(error, -errno, "-w %s: cannot be written: %s", output->path,
		       strerror(errno));
}

static int start_hash(struct ft_output *output, struct ft_error *error)
{
	output->hash = EVP_MD_CTX_new();
	if (output->hash == NULL || EVP_DigestInit_ex(output->hash, EVP_sha256(), NULL) != 1)
		return ft_fail(error, -ENOMEM, "SHA-256 is not available");
	return 0;
}

int ft_output_open(const char *path, bool hashed, struct ft_output **output, struct ft_error *error)
{
	struct ft_output *o = calloc(1, sizeof(*o));
	struct stat status;
	bool exists = stat(path, &status) == 0;
	int rc = 0;

	if (o == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	o->fd = o->directory_fd = -1;
	snprintf(o->path, sizeof(o->path), "%s", path);
	if (strlen(path) >= sizeof(o->path))
		rc = ft_fail(error, -ENAMETOOLONG, "-w: the path is too long");
	else if (path[0] == '\0')
		rc = ft_fail(error, -EINVAL, "-w: name a file, or null:");
	else if (exists && S_ISDIR(status.st_mode))
		rc = ft_fail(error, -EINVAL, "-w %s: is a directory; name a file in it", path);
	else if (strcmp(path, "-") == 0 || (exists && !S_ISREG(status.st_mode)))
		rc = open_stream(o, exists && S_ISFIFO(status.st_mode), error);
	else if (strcmp(path, NULL_OUTPUT) != 0)
		rc = open_file(o, error);
	if (rc == 0 && hashed && ft_output_is_kept(o))
		rc = start_hash(o, error);
	if (rc != 0) {
		ft_output_free(o);
		return rc;
	}
	*output = o;
	return 0;
}

static void account(struct ft_output *output, const void *data, size_t bytes)
{
	output->bytes += bytes;
	output->dirty = true;
	if (output->hash != NULL)
		EVP_DigestUpdate(output->hash, data, bytes);
}

bool ft_output_is_ready(const struct ft_output *output)
{
	struct pollfd waiter = {.fd = output->fd, .events = POLLOUT};

	return poll(&waiter, 1, 0) != 0 || output->fd < 0;
}

void ft_output_abandon(struct ft_output *output)
{
	atomic_store_explicit(&output->abandoned, true, memory_order_relaxed);
}

/* False when the reader takes nothing and has been given up. */
static bool wait_for_reader(const struct ft_output *output)
{
	struct pollfd waiter = {.fd = output->fd, .events = POLLOUT};
	int waited_ms = 0;

	while (poll(&waiter, 1, POLL_MS) == 0) {
		waited_ms += POLL_MS;
		if (waited_ms >= FT_OUTPUT_PATIENCE_MS &&
		    atomic_load_explicit(&output->abandoned, memory_order_relaxed))
			return false;
	}
	return true;
}

size_t ft_output_write(struct ft_output *output, const void *data, size_t bytes,
		       struct ft_error *error)
{
	bool is_stream = output->directory_fd < 0;
	size_t most = is_stream ? PIPE_BUF : bytes; /* so much a pipe takes at once when ready */
	size_t wrote = 0;

	if (output->fd < 0) {
		output->bytes += bytes;
		return bytes;
	}
	while (wrote < bytes) {
		ssize_t count;

		if (is_stream && !wait_for_reader(output)) {
			ft_fail(error, -ETIMEDOUT, "writing %s: its reader takes nothing more",
				output->path);
			return wrote;
		}
		count = write(output->fd, (const char *)data + wrote,
			      bytes - wrote < most ? bytes - wrote : most);
		if (count < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (count < 0) {
			ft_fail(error, -errno, "writing %s: %s", output->path, strerror(errno));
			return wrote;
		}
		wrote += (size_t)count;
	}
	account(output, data, bytes);
	return bytes;
}

void ft_output_cut(struct ft_output *output, const void *data, size_t wrote, size_t keep)
{
	if (output->directory_fd < 0) /* a stream: its reader has them all */
		keep = wrote;
	account(output, data, keep);
	if (output->directory_fd >= 0 && ftruncate(output->fd, (off_t)output->bytes) == 0)
		lseek(output->fd, (off_t)output->bytes, SEEK_SET);
}

int ft_output_sync(struct ft_output *output, struct ft_error *error)
{
	if (output->directory_fd < 0 || !output->dirty)
		return 0;
	if (fdatasync(output->fd) != 0 || fsync(output->directory_fd) != 0)
		return ft_fail(error, -errno, "syncing %s: %s", output->path, strerror(errno));
	output->dirty = false;
	return 0;
}

static void finish_hash(struct ft_output *output)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;

	if (output->hash == NULL || EVP_DigestFinal_ex(output->hash, digest, &bytes) != 1)
		return;
	for (unsigned i = 0; i < bytes && i < 32; i++)
		snprintf(output->sha256 + 2 * i, 3, "%02x", digest[i]);
}

int ft_output_finish(struct ft_output *output, struct ft_error *error)
{
	int rc = ft_output_sync(output, error);

	finish_hash(output);
	if (rc != 0 || output->directory_fd < 0)
		return rc;
	return ft_partial_finish(output->path, output->directory_fd, error);
}

void ft_output_discard(struct ft_output *output)
{
	if (output->directory_fd >= 0)
		ft_partial_discard(output->path);
}

const char *ft_output_path(const struct ft_output *output)
{
	return output->path;
}

bool ft_output_is_kept(const struct ft_output *output)
{
	return output->fd >= 0;
}

bool ft_output_is_file(const struct ft_output *output)
{
	return output->directory_fd >= 0;
}

uint64_t ft_output_bytes(const struct ft_output *output)
{
	return output->bytes;
}

const char *ft_output_sha256(const struct ft_output *output)
{
	return output->sha256[0] != '\0' ? output->sha256 : NULL;
}

void ft_output_free(struct ft_output *output)
{
	if (output == NULL)
		return;
	if (output->fd >= 0)
		close(output->fd);
	if (output->directory_fd >= 0)
		close(output->directory_fd);
	EVP_MD_CTX_free(output->hash);
	free(output);
}
