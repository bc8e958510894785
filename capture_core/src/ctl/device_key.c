/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/device_key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSTEM_KEYS   "/var/lib/fieldtap/keys"
#define KEYGEN	      "ssh-keygen"
#define NEW_KEY	      ".new"
#define NOT_SAID      "it does not say why"
#define ERROR_BYTES   256u
#define FOLDER_LENGTH (PATH_MAX - 64)

/* Read to the end, keep what fits, terminated. */
static void read_all(int fd, char *text, size_t bytes)
{
	size_t used = 0;
	char rest[256];
	ssize_t got;

	while (1) {
		bool fits = used + 1 < bytes;

		got = read(fd, fits ? text + used : rest, fits ? bytes - used - 1 : sizeof(rest));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += fits ? (size_t)got : 0;
	}
	text[used] = '\0';
}

static int spawn(const char *const argv[], int input, int output, int errors, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc != 0)
		return -rc;
	if (input >= 0)
		posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	else
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
	rc = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

/* What ssh-keygen says on stdout is its result; on stderr, the reason of a failure. */
static int run(const char *const argv[], int input, char *output, size_t bytes,
	       struct ft_error *error)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1}, status = -1, rc = 0;
	char why[ERROR_BYTES] = "";
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
		rc = -errno;
	if (rc == 0)
		rc = spawn(argv, input, out[1], err[1], &pid);
	close(out[1]);
	close(err[1]);
	if (rc == 0) {
		read_all(out[0], output, bytes);
		read_all(err[0], why, sizeof(why));
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		why[strcspn(why, "\n")] = '\0';
	}
	close(out[0]);
	close(err[0]);
	if (rc != 0)
		return ft_fail(error, rc, KEYGEN " cannot be run: %s; install openssh-client",
			       strerror(-rc));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return ft_fail(error, -EIO, KEYGEN " failed: %s", why[0] != '\0' ? why : NOT_SAID);
	return 0;
}

static bool system_keys_are_ours(void)
{
	return access(SYSTEM_KEYS, W_OK | X_OK) == 0 ||
	       access(SYSTEM_KEYS "/" FT_DEVICE_KEY_FILE, R_OK) == 0;
}

static int choose_folder(char *folder, size_t bytes, struct ft_error *error)
{
	const char *own = getenv("FIELDTAP_KEY_DIR"), *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	int length;

	if (own != NULL && own[0] != '\0')
		length = snprintf(folder, bytes, "%s", own);
	else if (system_keys_are_ours())
		length = snprintf(folder, bytes, SYSTEM_KEYS);
	else if (state != NULL && state[0] == '/')
		length = snprintf(folder, bytes, "%s/fieldtap", state);
	else if (home != NULL && home[0] == '/')
		length = snprintf(folder, bytes, "%s/.local/state/fieldtap", home);
	else
		return ft_fail(error, -ENOENT, "there is no place for a key: set FIELDTAP_KEY_DIR");
	if ((size_t)length >= bytes)
		return ft_fail(error, -ENAMETOOLONG, "the path of the key folder is too long");
	return 0;
}

/* The folder and those above it, for us alone. */
static int make_folder(const char *folder, struct ft_error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", folder);
	for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		*slash = '\0';
		mkdir(path, 0700);
	}
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return ft_fail(error, -errno, "%s: %s", folder, strerror(errno));
	return 0;
}

/*
 * Under a name of its own first: a key is there whole or not at all. Root hands it to the owner of
 * the folder, whose engines are to sign with it too.
 */
static int make_key(const char *folder, const char *path, struct ft_error *error)
{
	char fresh[PATH_MAX], fresh_public[PATH_MAX + 8], public[PATH_MAX + 8];
	char comment[sizeof(((struct utsname *)NULL)->nodename) + 16], said[64];
	const char *const argv[] = {KEYGEN, "-q",    "-t", "ed25519", "-N", "",
				    "-C",   comment, "-f", fresh,     NULL};
	struct utsname host;
	struct stat status;
	int rc;

	uname(&host);
	snprintf(comment, sizeof(comment), "fieldtap %s", host.nodename);
	snprintf(fresh, sizeof(fresh), "%s/" NEW_KEY, folder);
	snprintf(fresh_public, sizeof(fresh_public), "%s.pub", fresh);
	snprintf(public, sizeof(public), "%s.pub", path);
	unlink(fresh); /* of one who died at it: we have the folder's lock */
	rc = run(argv, -1, said, sizeof(said), error);
	if (rc != 0)
		return rc;
	if (stat(folder, &status) != 0 ||
	    (geteuid() == 0 && (chown(fresh, status.st_uid, status.st_gid) != 0 ||
				chown(fresh_public, status.st_uid, status.st_gid) != 0)) ||
	    rename(fresh_public, public) != 0 || rename(fresh, path) != 0)
		return ft_fail(error, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

int ft_device_key_prepare(char *path, size_t bytes, struct ft_error *error)
{
	char folder[FOLDER_LENGTH];
	int rc = choose_folder(folder, sizeof(folder), error), fd;

	if (rc == 0)
		rc = make_folder(folder, error);
	if (rc != 0)
		return rc;
	if ((size_t)snprintf(path, bytes, "%s/" FT_DEVICE_KEY_FILE, folder) >= bytes)
		return ft_fail(error, -ENAMETOOLONG, "the path of the key folder is too long");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ft_fail(error, -errno, "%s: %s", folder, strerror(errno));
	flock(fd, LOCK_EX); /* two engines that start at once make one key */
	if (access(path, F_OK) != 0)
		rc = make_key(folder, path, error);
	close(fd);
	return rc;
}

int ft_device_key_sign(const char *key, int fd, char *signature, size_t bytes,
		       struct ft_error *error)
{
	char path[PATH_MAX];
	const char *const argv[] = {KEYGEN, "-Y", "sign", "-n", FT_SIGNATURE_NAMESPACE,
				    "-f",   path, NULL};

	snprintf(path, sizeof(path), "%s", key);
	return run(argv, fd, signature, bytes, error);
}
