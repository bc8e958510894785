/* SPDX-License-Identifier: Apache-2.0 */
#include "store/retention.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ft/clock.h"
#include "ft/index.h"

void ft_retention_init(struct ft_retention *retention)
{
	pthread_mutex_init(&retention->lock, NULL);
}

void ft_retention_free(struct ft_retention *retention)
{
	for (unsigned i = 0; i < retention->count; i++)
		free(retention->records[i].path);
	free(retention->records);
	pthread_mutex_destroy(&retention->lock);
}

void ft_retention_add(struct ft_retention *retention, const struct ft_file_record *record)
{
	pthread_mutex_lock(&retention->lock);
	if (retention->count == retention->room) {
		unsigned room = retention->room > 0 ? 2 * retention->room : 16;
		struct ft_file_record *records =
			realloc(retention->records, room * sizeof(*records));

		if (records == NULL)
			abort(); /* a file would go without a trace in the ledger */
		retention->records = records;
		retention->room = room;
	}
	retention->records[retention->count++] = *record;
	pthread_mutex_unlock(&retention->lock);
}

static bool is_kept(const struct ft_file_record *record)
{
	char mark[FT_PATH_BYTES];

	snprintf(mark, sizeof(mark), "%s" FT_KEEP_SUFFIX, record->path);
	return access(mark, F_OK) == 0;
}

/* The oldest complete file that may go, or -1. */
static int find_oldest(const struct ft_retention *retention)
{
	for (unsigned i = 0; i < retention->count; i++)
		if (retention->records[i].complete && !is_kept(&retention->records[i]))
			return (int)i;
	return -1;
}

static uint64_t free_space_bytes(const char *path)
{
	char copy[FT_PATH_BYTES];
	struct statvfs space;

	snprintf(copy, sizeof(copy), "%s", path);
	if (statvfs(dirname(copy), &space) != 0)
		return UINT64_MAX;
	return (uint64_t)space.f_bavail * space.f_frsize;
}

static uint64_t sum_bytes(const struct ft_retention *retention)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < retention->count; i++)
		bytes += retention->records[i].size_bytes;
	return bytes;
}

static void expire(struct ft_retention *retention, unsigned index)
{
	struct ft_file_record *record = &retention->records[index];
	char beside[FT_PATH_BYTES];

	snprintf(beside, sizeof(beside), "%s" FT_INDEX_SUFFIX, record->path);
	unlink(beside);
	unlink(record->path);
	pthread_mutex_lock(&retention->lock);
	retention->expired.files++;
	retention->expired.packets += record->packets;
	retention->expired.packet_bytes += record->packet_bytes;
	retention->expired.size_bytes += record->size_bytes;
	free(record->path);
	memmove(record, record + 1, (retention->count - index - 1) * sizeof(*record));
	retention->count--;
	pthread_mutex_unlock(&retention->lock);
}

static bool too_many(const struct ft_retention *retention, unsigned growing, uint64_t growing_bytes)
{
	return (retention->max_files != 0 && retention->count + growing > retention->max_files) ||
	       (retention->max_bytes != 0 &&
		sum_bytes(retention) + growing_bytes > retention->max_bytes);
}

bool ft_retention_apply(struct ft_retention *retention, const char *path, unsigned growing,
			uint64_t growing_bytes)
{
	uint64_t now_ns = ft_clock_utc_ns();
	uint64_t before_bytes = retention->free_bytes > 0 ? free_space_bytes(path) : 0;
	uint64_t freed_bytes = 0; /* which some file systems count only after a while */
	bool enough = true;
	int oldest;

	while ((oldest = find_oldest(retention)) >= 0) {
		const struct ft_file_record *record = &retention->records[oldest];
		bool old = retention->max_age_ns != 0 && now_ns > record->closed_ns &&
			   now_ns - record->closed_ns > retention->max_age_ns;

		enough = retention->free_bytes == 0 ||
			 free_space_bytes(path) >= retention->free_bytes ||
			 before_bytes + freed_bytes >= retention->free_bytes;
		if (!old && enough && !too_many(retention, growing, growing_bytes))
			return true;
		freed_bytes += record->size_bytes;
		expire(retention, (unsigned)oldest);
	}
	return retention->free_bytes == 0 || before_bytes + freed_bytes >= retention->free_bytes ||
	       free_space_bytes(path) >= retention->free_bytes;
}
