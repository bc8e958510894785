/* SPDX-License-Identifier: Apache-2.0 */
/* Files for one run of a fuzz target, in memory where that is possible. */
#ifndef FT_FUZZ_SCRATCH_H
#define FT_FUZZ_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void scratch_leave(void);

/* A folder of this process, made at the first call and gone when it ends. */
static inline const char *scratch_folder(void)
{
	static char folder[] = "/dev/shm/fieldtap-fuzz-XXXXXX";
	static int made;

	if (made)
		return folder;
	if (mkdtemp(folder) == NULL) {
		strcpy(folder, "/tmp/fieldtap-fuzz-XXXXXX");
		if (mkdtemp(folder) == NULL)
			abort();
	}
	made = 1;
	atexit(scratch_leave);
	return folder;
}

static inline int scratch_remove_entry(const char *path, const struct stat *status, int type,
				       struct FTW *place)
{
	(void)status;
	(void)type;
	return place->level > 0 ? remove(path) : 0;
}

/* Empty it. */
static inline void scratch_clear(void)
{
	nftw(scratch_folder(), scratch_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_leave(void)
{
	scratch_clear();
	rmdir(scratch_folder());
}

static inline void scratch_put(const char *name, const uint8_t *bytes, size_t count, char *path,
			       size_t room)
{
	FILE *file;

	snprintf(path, room, "%s/%s", scratch_folder(), name);
	file = fopen(path, "we");
	if (file == NULL || (count > 0 && fwrite(bytes, count, 1, file) != 1) || fclose(file) != 0)
		abort();
}

#endif
