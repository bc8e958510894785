/* SPDX-License-Identifier: Apache-2.0 */
#include "store/recover.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ft/repair.h"
#include "store/names.h"

static void mend(const char *partial)
{
	struct ft_repair repair;
	struct ft_error error;
	int rc = ft_repair_file(partial, &repair, &error);

	if (rc == -EBUSY)
		return; /* a live engine's */
	if (rc != 0)
		fprintf(stderr, "ft-capture: %s\n", error.text);
	else if (repair.path[0] == '\0' && repair.torn[0] != '\0')
		fprintf(stderr, "ft-capture: %s held no frame and is %s now\n", partial,
			repair.torn);
	else if (repair.path[0] == '\0')
		fprintf(stderr, "ft-capture: %s held nothing and is gone\n", partial);
	else
		fprintf(stderr,
			"ft-capture: %s was left by a run that did not end; it is %s now%s%s\n",
			partial, repair.path, repair.torn[0] != '\0' ? ", its torn end " : "",
			repair.torn);
}

/* Whether `name` is STEM_...EXT.partial. */
static bool is_of_ring(const char *name, const char *base)
{
	const char *dot = strrchr(base, '.');
	size_t stem = dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base);
	size_t ext = strlen(base + stem), length = strlen(name);
	size_t end = ext + strlen(FT_PARTIAL_SUFFIX);

	return length > stem + 1 + end && strncmp(name, base, stem) == 0 && name[stem] == '_' &&
	       strncmp(name + length - end, base + stem, ext) == 0 &&
	       strcmp(name + length - strlen(FT_PARTIAL_SUFFIX), FT_PARTIAL_SUFFIX) == 0;
}

static void mend_ring(const char *path)
{
	char copy[FT_PATH_BYTES], partial[2 * FT_PATH_BYTES];
	const char *base = strrchr(path, '/'), *folder;
	const struct dirent *entry;
	DIR *entries;

	base = base != NULL ? base + 1 : path;
	snprintf(copy, sizeof(copy), "%s", path);
	folder = dirname(copy);
	entries = opendir(folder);
	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		if (!is_of_ring(entry->d_name, base))
			continue;
		snprintf(partial, sizeof(partial), "%s/%s", folder, entry->d_name);
		mend(partial);
	}
	if (entries != NULL)
		closedir(entries);
}

void ft_recover(const char *path, bool ring)
{
	char partial[FT_PATH_BYTES + 16];

	snprintf(partial, sizeof(partial), "%s" FT_PARTIAL_SUFFIX, path);
	if (access(partial, F_OK) == 0)
		mend(partial);
	if (ring)
		mend_ring(path);
}
