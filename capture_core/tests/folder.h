/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of the test's own: the working directory while it runs, gone afterwards. */
#ifndef FT_TESTS_FOLDER_H
#define FT_TESTS_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int enter_folder(void **state)
{
	static char path[] = "/tmp/fieldtap-test-XXXXXX";

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	*state = mkdtemp(path);
	return *state != NULL ? chdir(path) : -1;
}

static inline int remove_entry(const char *path, const struct stat *status, int type,
			       struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static inline int leave_folder(void **state)
{
	if (chdir("/") != 0)
		return -1;
	return nftw(*state, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A new file, or one more at the end of an old one. */
static inline void put_bytes(const char *path, const void *bytes, size_t count)
{
	FILE *file = fopen(path, "ae");

	if (file == NULL || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
		abort();
}

static inline void put_text(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

/* The whole file, zero-terminated; the caller frees it. */
static inline uint8_t *read_whole(const char *path, size_t *bytes)
{
	struct stat status;
	FILE *file = fopen(path, "re");
	uint8_t *all;

	if (file == NULL || fstat(fileno(file), &status) != 0)
		abort();
	all = calloc(1, (size_t)status.st_size + 1);
	*bytes = fread(all, 1, (size_t)status.st_size, file);
	fclose(file);
	return all;
}

static inline bool holds_text(const char *path, const char *text)
{
	size_t bytes;
	uint8_t *all = read_whole(path, &bytes);
	bool same = strcmp((char *)all, text) == 0;

	free(all);
	return same;
}

static inline bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

#endif
