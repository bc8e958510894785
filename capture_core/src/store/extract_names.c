/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ft/repair.h"
#include "store/extract_run.h"

static bool ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);

	return length > tail && strcmp(text + length - tail, suffix) == 0;
}

/* A capture is known by how it begins; what a repair set aside is none, and neither is an index. */
static bool is_capture(const char *path)
{
	static const uint8_t magics[][4] = {
		{0x0a, 0x0d, 0x0d, 0x0a}, {0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1},
		{0xa1, 0xb2, 0x3c, 0x4d}, {0x4d, 0x3c, 0xb2, 0xa1},
	};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t begin[4] = {0};
	struct stat status;
	bool found = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	    read(fd, begin, sizeof(begin)) == sizeof(begin))
		for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
			found |= memcmp(begin, magics[i], sizeof(begin)) == 0;
	close(fd);
	if (begin[0] == 0x1f && begin[1] == 0x8b && strstr(path, ".pcap") != NULL)
		found = true;
	return found && strstr(path, ".torn") == NULL && !ends_with(path, ".idx");
}

static int add(struct ft_names *names, const char *path, struct ft_error *error)
{
	char **grown = reallocarray(names->at, names->count + 1, sizeof(*grown));

	if (grown == NULL || (grown[names->count] = strdup(path)) == NULL) {
		names->at = grown != NULL ? grown : names->at;
		return ft_fail(error, -ENOMEM, "out of memory");
	}
	names->at = grown;
	names->count++;
	return 0;
}

static int add_folder(struct ft_names *names, const char *folder, struct ft_error *error)
{
	struct dirent **entries;
	size_t before = names->count;
	int count = scandir(folder, &entries, NULL, alphasort);
	int rc = 0;

	if (count < 0)
		return ft_fail(error, -errno, "%s: %s", folder, strerror(errno));
	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (rc == 0 && is_capture(path))
			rc = add(names, path, error);
		free(entries[i]);
	}
	free(entries);
	if (rc == 0 && names->count == before)
		return ft_fail(error, -ENOENT, "%s: there is no capture in it", folder);
	return rc;
}

int ft_names_find(struct ft_names *names, const struct ft_extract_settings *settings,
		  struct ft_error *error)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < settings->input_count; i++) {
		const char *path = settings->inputs[i];
		struct stat status;

		if (strcmp(path, "-") != 0 && stat(path, &status) != 0)
			return ft_fail(error, -errno, "%s: cannot open: %s", path, strerror(errno));
		if (strcmp(path, "-") != 0 && S_ISDIR(status.st_mode))
			rc = add_folder(names, path, error);
		else
			rc = add(names, path, error);
	}
	return rc;
}

static void say(const char *path, const struct ft_repair *repair)
{
	const char *torn = repair->torn[0] != '\0' ? repair->torn : NULL;

	if (repair->path[0] == '\0')
		fprintf(stderr, "ft-extract: %s: held no frame%s%s\n", path,
			torn != NULL ? "; what it held is in " : " and is gone",
			torn != NULL ? torn : "");
	else if (repair->changed)
		fprintf(stderr,
			"ft-extract: %s: mended, is now %s of %llu bytes: %llu cut off its end, "
			"%llu made filler%s%s\n",
			path, repair->path, (unsigned long long)repair->size_bytes,
			(unsigned long long)repair->cut_bytes,
			(unsigned long long)repair->filled_bytes,
			torn != NULL ? "; what was there is in " : ", all of them zeros",
			torn != NULL ? torn : "");
	else if (strcmp(path, repair->path) != 0)
		fprintf(stderr, "ft-extract: %s: is whole, is now %s\n", path, repair->path);
}

int ft_names_repair(struct ft_names *names, size_t index, struct ft_error *error)
{
	struct ft_repair repair;
	int rc = ft_repair_file(names->at[index], &repair, error);
	char *path;

	if (rc != 0)
		return rc;
	say(names->at[index], &repair);
	path = strdup(repair.path[0] != '\0' ? repair.path : "/dev/null");
	if (path == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	free(names->at[index]);
	names->at[index] = path;
	return 0;
}

void ft_names_free(struct ft_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->at[i]);
	free(names->at);
}
