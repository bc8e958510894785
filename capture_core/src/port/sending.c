/* SPDX-License-Identifier: Apache-2.0 */
#include "port/sending.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/offload.h"

#define HOLDER_BYTES (NAME_MAX + 64)

/* The file stays when the claim ends: the lock is the claim, its text only says whose it is. */
static int open_claim(const char *device, int ifindex, struct ft_error *error)
{
	char directory[PATH_MAX - 64], path[PATH_MAX];
	int rc = ft_offload_directory(directory, sizeof(directory), error), fd;

	if (rc != 0)
		return rc;
	snprintf(path, sizeof(path), "%s/send-%lu-%d", directory, ft_offload_namespace(), ifindex);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0664);
	if (fd < 0)
		return ft_fail(error, -errno, "port '%s': %s: %s", device, path, strerror(errno));
	fchmod(fd, 0664); /* past the umask: the next engine may be another user's */
	return fd;
}

static int refuse(const char *option, const char *device, int fd, struct ft_error *error)
{
	char holder[HOLDER_BYTES] = "another run";
	ssize_t bytes = pread(fd, holder, sizeof(holder) - 1, 0);

	if (bytes > 0)
		holder[bytes] = '\0';
	return ft_fail(error, -EEXIST,
		       "%s: port '%s': %s sends by it already, and whose frames left it could not "
		       "be told; stop that run, or choose another port",
		       option, device, holder);
}

int ft_sending_claim(const char *option, const char *device, int ifindex, const char *program,
		     const char *name, struct ft_error *error)
{
	char holder[HOLDER_BYTES];
	int fd = open_claim(device, ifindex, error), bytes, rc = 0;

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		rc = errno == EWOULDBLOCK
			     ? refuse(option, device, fd, error)
			     : ft_fail(error, -errno, "%s: port '%s': cannot be claimed: %s",
				       option, device, strerror(errno));
	bytes = snprintf(holder, sizeof(holder), "%s '%s'", program, name);
	if (rc == 0 && (ftruncate(fd, 0) != 0 || pwrite(fd, holder, (size_t)bytes, 0) != bytes))
		rc = ft_fail(error, -errno, "%s: port '%s': cannot be claimed: %s", option, device,
			     strerror(errno));
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}
