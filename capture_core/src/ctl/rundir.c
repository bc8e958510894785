/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/rundir.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#define SYSTEM_RUN     "/run/fieldtap"
#define GROUP	       "fieldtap"
#define BACKLOG	       16
#define MAX_NAME_BYTES 64u
#define MAX_TRIES      100u

/* A name is a folder, a word on command lines and a string in JSON. */
static bool name_is_usable(const char *name)
{
	size_t bytes = strlen(name);
	json_t *text = json_string(name); /* NULL unless it is UTF-8 */
	bool usable = text != NULL && bytes > 0 && bytes <= MAX_NAME_BYTES && name[0] != '.' &&
		      name[0] != '-' && strchr(name, '/') == NULL;

	for (size_t i = 0; usable && i < bytes; i++)
		usable = !iscntrl((unsigned char)name[i]);
	json_decref(text);
	return usable;
}

static bool make_writable(const char *directory, mode_t mode)
{
	if (mkdir(directory, mode) == 0)
		chmod(directory, mode); /* past the umask; for the set-group-id bit too */
	return access(directory, W_OK | X_OK) == 0;
}

/* The appliance's tmpfiles.d makes it; elsewhere root does, open to the group where there is one.
 */
static bool make_system_run(void)
{
	bool existed = access(SYSTEM_RUN, F_OK) == 0;
	const struct group *group;

	if (!make_writable(SYSTEM_RUN, 02775))
		return false;
	group = existed ? NULL : getgrnam(GROUP);
	if (group != NULL && chown(SYSTEM_RUN, (uid_t)-1, group->gr_gid) == 0)
		chmod(SYSTEM_RUN, 02775);
	return true;
}

int ft_rundir_choose(char *path, size_t bytes, struct ft_error *error)
{
	const char *own = getenv("FIELDTAP_RUN_DIR"), *user = getenv("XDG_RUNTIME_DIR");

	if (own != NULL && own[0] != '\0') {
		snprintf(path, bytes, "%s", own);
		if (make_writable(path, 0775))
			return 0;
	}
	snprintf(path, bytes, "%s", SYSTEM_RUN);
	if (make_system_run())
		return 0;
	if (user != NULL && user[0] != '\0') {
		snprintf(path, bytes, "%s/fieldtap", user);
		if (make_writable(path, 0700))
			return 0;
	}
	return ft_fail(
		error, -EACCES,
		"no run directory is writable: tried $FIELDTAP_RUN_DIR, " SYSTEM_RUN
		" and $XDG_RUNTIME_DIR/fieldtap; run as root, or set FIELDTAP_RUN_DIR to one "
		"that is");
}

/*
 * The lock, not the socket, says whether an engine lives: it goes with the process. -EAGAIN when
 * the engine that had the name removed its folder while we were at it.
 */
static int take_lock(const struct ft_rundir *rundir, const char *name, struct ft_error *error)
{
	char path[PATH_MAX + 8];
	struct stat status;
	int fd, rc;

	if (mkdir(rundir->path, 0775) != 0 && errno != EEXIST)
		return ft_fail(error, -errno, "%s: %s", rundir->path, strerror(errno));
	snprintf(path, sizeof(path), "%s/lock", rundir->path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
	if (fd < 0)
		return ft_fail(error, errno == ENOENT ? -EAGAIN : -errno, "%s: %s", path,
			       strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		rc = ft_fail(error, -EEXIST,
			     "--name %s: a running engine has this name (%s); choose another or "
			     "stop it",
			     name, rundir->path);
	else if (fstat(fd, &status) != 0 || status.st_nlink == 0)
		rc = ft_fail(error, -EAGAIN, "%s: removed by the engine that had it", path);
	else
		return fd;
	close(fd);
	return rc;
}

int ft_rundir_claim(const char *name, struct ft_rundir *rundir, struct ft_error *error)
{
	char run[PATH_MAX - 80], socket_path[PATH_MAX + 16];
	int rc;

	rundir->path[0] = '\0';
	if (!name_is_usable(name))
		return ft_fail(error, -EINVAL,
			       "--name '%s': must be 1 to %u printable characters, without '/' "
			       "and not beginning with '.' or '-'",
			       name, MAX_NAME_BYTES);
	rc = ft_rundir_choose(run, sizeof(run), error);
	if (rc != 0)
		return rc;
	snprintf(rundir->path, sizeof(rundir->path), "%s/%s", run, name);
	rundir->lock_fd = -EAGAIN;
	for (unsigned i = 0; i < MAX_TRIES && rundir->lock_fd == -EAGAIN; i++)
		rundir->lock_fd = take_lock(rundir, name, error);
	if (rundir->lock_fd < 0) {
		rundir->path[0] = '\0';
		return rundir->lock_fd;
	}
	snprintf(socket_path, sizeof(socket_path), "%s/control.sock", rundir->path);
	unlink(socket_path); /* of an engine that died: we hold its lock */
	return 0;
}

int ft_rundir_listen(const struct ft_rundir *rundir, struct ft_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char final_path[PATH_MAX + 16];
	int fd, rc;

	rc = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.new", rundir->path);
	if (rc >= (int)sizeof(address.sun_path))
		return ft_fail(error, -ENAMETOOLONG,
			       "%s: too long for a socket; set FIELDTAP_RUN_DIR to a shorter path",
			       rundir->path);
	snprintf(final_path, sizeof(final_path), "%s/control.sock", rundir->path);
	unlink(address.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ft_fail(error, -errno, "control socket: %s", strerror(errno));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    chmod(address.sun_path, 0660) != 0 || listen(fd, BACKLOG) != 0 ||
	    rename(address.sun_path, final_path) != 0) {
		rc = ft_fail(error, -errno, "%s: %s", final_path, strerror(errno));
		close(fd);
		return rc;
	}
	return fd;
}

void ft_rundir_release(struct ft_rundir *rundir)
{
	const char *const left[] = {"control.sock", "control.new", "lock"};
	char path[PATH_MAX + 16];

	if (rundir->path[0] == '\0')
		return;
	for (unsigned i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", rundir->path, left[i]);
		unlink(path);
	}
	rmdir(rundir->path); /* stays when a client keeps a log there */
	close(rundir->lock_fd);
	rundir->path[0] = '\0';
}
