/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/report.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_FORMAT (JSON_INDENT(2) | JSON_PRESERVE_ORDER)

int ft_report_check(const char *path, struct ft_error *error)
{
	char copy[PATH_MAX];
	struct stat status;
	const char *directory;

	if (strcmp(path, "-") == 0)
		return 0;
	if (path[0] == '\0')
		return ft_fail(error, -EINVAL, "--report: name a file");
	if (strlen(path) >= sizeof(copy) - sizeof(".XXXXXX"))
		return ft_fail(error, -EINVAL, "--report: the path is too long");
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return ft_fail(error, -EINVAL, "--report %s: is a directory; name a file", path);
	strcpy(copy, path);
	directory = dirname(copy);
	if (access(directory, W_OK | X_OK) != 0)
		return ft_fail(error, -errno, "--report %s: cannot write in %s: %s", path,
			       directory, strerror(errno));
	return 0;
}

json_t *ft_report_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy;

	if (string != NULL)
		return string;
	copy = strdup(text);
	for (char *at = copy; at != NULL && *at != '\0'; at++)
		if (*at & 0x80)
			*at = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

json_t *ft_report_path(const char *path)
{
	char directory[PATH_MAX];
	char whole[2 * PATH_MAX];

	if (path == NULL)
		return json_null();
	if (path[0] != '/' && strcmp(path, "-") != 0 && strcmp(path, "null:") != 0 &&
	    getcwd(directory, sizeof(directory)) != NULL) {
		snprintf(whole, sizeof(whole), "%s/%s", directory, path);
		return ft_report_text(whole);
	}
	return ft_report_text(path);
}

static int write_whole(FILE *file, const json_t *report)
{
	errno = 0;
	if (json_dumpf(report, file, REPORT_FORMAT) != 0 || fputc('\n', file) == EOF ||
	    fflush(file) != 0)
		return errno != 0 ? -errno : -EIO;
	return 0;
}

/* A report may go where renaming cannot: a FIFO, /dev/stderr. */
static int write_in_place(const char *path, const json_t *report)
{
	FILE *file = fopen(path, "we");
	int rc;

	if (file == NULL)
		return -errno;
	rc = write_whole(file, report);
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int write_beside(const char *path, const json_t *report)
{
	char temporary[PATH_MAX];
	mode_t mask = umask(0);
	FILE *file;
	int fd, rc;

	umask(mask);
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	fd = mkstemp(temporary);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (file == NULL) {
		rc = -errno;
		close(fd);
		goto out;
	}
	rc = write_whole(file, report);
	if (rc == 0 && (fchmod(fd, 0666 & ~mask) != 0 || fsync(fd) != 0))
		rc = -errno;
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(temporary, path) != 0)
		rc = -errno;
out:
	if (rc != 0)
		unlink(temporary);
	return rc;
}

int ft_report_write(const char *path, const json_t *report, struct ft_error *error)
{
	struct stat status;
	int rc;

	if (strcmp(path, "-") == 0)
		rc = write_whole(stdout, report);
	else if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		rc = write_in_place(path, report);
	else
		rc = write_beside(path, report);
	if (rc != 0)
		return ft_fail(error, rc, "--report %s: %s", path, strerror(-rc));
	return 0;
}
