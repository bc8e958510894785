/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/replay.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ft/filter.h"
#include "ft/reader.h"

#define LINKTYPE_ETHERNET 1

/* A load in progress; the arrays grow by doubling. */
struct loader {
	const char *path;
	const struct ft_replay_limits *limits;
	struct ft_filter *filter;
	struct ft_replay *replay;
	size_t frame_room;
	uint64_t data_room;
	uint64_t data_limit;   /* of memory that may be used */
	uint64_t frame_number; /* in the file, from 1 */
	uint64_t first_ns;     /* the first stamp of the file; 0: none yet */
	uint64_t last_due_ns;  /* the latest so far */
};

static int check_length(const struct loader *loader, const struct ft_record *record,
			struct ft_error *error)
{
	const struct ft_replay_limits *limits = loader->limits;
	bool tagged = record->captured_bytes >= ETH_HLEN && record->data[12] == ETH_P_8021Q >> 8 &&
		      record->data[13] == (ETH_P_8021Q & 0xff);
	uint32_t most = tagged ? limits->max_tagged_bytes : limits->max_bytes;

	if (record->captured_bytes < ETH_HLEN)
		return ft_fail(
			error, -EINVAL,
			"--replay %s: frame %llu has %u bytes, less than an Ethernet header; "
			"leave it out with -f 'greater %u' or editcap",
			loader->path, (unsigned long long)loader->frame_number,
			record->captured_bytes, (unsigned)ETH_HLEN);
	if (record->captured_bytes > most)
		return ft_fail(error, -EINVAL,
			       "--replay %s: frame %llu has %u bytes, port '%s' sends at most %u; "
			       "raise its MTU (ip link set %s mtu %u, and the peer's), or leave it "
			       "out with -f 'less %u'",
			       loader->path, (unsigned long long)loader->frame_number,
			       record->captured_bytes, limits->port, most, limits->port,
			       record->captured_bytes - (unsigned)ETH_HLEN, most);
	return 0;
}

static bool is_wanted(const struct loader *loader, const struct ft_record *record)
{
	const struct ft_frame frame = {
		.data = record->data,
		.captured_bytes = record->captured_bytes,
		.length_bytes = record->length_bytes,
	};

	return loader->filter == NULL || ft_filter_match(loader->filter, &frame);
}

/* Make room for one more frame of `bytes` bytes. */
static int grow(struct loader *loader, uint32_t bytes, struct ft_error *error)
{
	struct ft_replay *replay = loader->replay;

	if (replay->frame_count == loader->frame_room) {
		size_t room = loader->frame_room == 0 ? 1024 : loader->frame_room * 2;
		void *frames = reallocarray(replay->frames, room, sizeof(*replay->frames));

		if (frames == NULL)
			return ft_fail(error, -ENOMEM, "--replay %s: out of memory", loader->path);
		replay->frames = frames;
		loader->frame_room = room;
	}
	while (replay->data_bytes + bytes > loader->data_room) {
		uint64_t room = loader->data_room == 0 ? 1u << 20 : loader->data_room * 2;
		void *data = room <= loader->data_limit ? realloc(replay->data, room) : NULL;

		if (data == NULL)
			return ft_fail(error, -ENOMEM,
				       "--replay %s: does not fit this machine's memory; cut it "
				       "into pieces (editcap -c)",
				       loader->path);
		replay->data = data;
		loader->data_room = room;
	}
	return 0;
}

/* A frame without a stamp, or with an earlier one than its predecessor, follows at once. */
static uint64_t due_of(struct loader *loader, uint64_t stamp_ns)
{
	if (loader->first_ns == 0)
		loader->first_ns = stamp_ns;
	if (stamp_ns > loader->first_ns && stamp_ns - loader->first_ns > loader->last_due_ns)
		loader->last_due_ns = stamp_ns - loader->first_ns;
	return loader->last_due_ns;
}

static int add(struct loader *loader, const struct ft_record *record, struct ft_error *error)
{
	struct ft_replay *replay = loader->replay;
	int rc;

	loader->frame_number++;
	if (record->link_type != LINKTYPE_ETHERNET)
		return ft_fail(error, -EINVAL,
			       "--replay %s: frame %llu has link type %u, not Ethernet; replay a "
			       "capture of an Ethernet port",
			       loader->path, (unsigned long long)loader->frame_number,
			       record->link_type);
	if (!is_wanted(loader, record))
		return 0;
	rc = check_length(loader, record, error);
	if (rc == 0)
		rc = grow(loader, record->captured_bytes, error);
	if (rc != 0)
		return rc;
	replay->frames[replay->frame_count++] = (struct ft_replay_frame){
		.due_ns = due_of(loader, record->stamp_ns),
		.at = replay->data_bytes,
		.bytes = record->captured_bytes,
	};
	memcpy(replay->data + replay->data_bytes, record->data, record->captured_bytes);
	replay->data_bytes += record->captured_bytes;
	return 0;
}

static int load(struct loader *loader, const struct ft_reader_wait *wait, struct ft_error *error)
{
	struct ft_reader *reader;
	struct ft_record record;
	int rc = ft_reader_open(loader->path, wait, &reader, error);

	if (rc != 0)
		return rc;
	while ((rc = ft_reader_next(reader, &record, error)) == 1) {
		rc = add(loader, &record, error);
		if (rc != 0)
			break;
	}
	ft_reader_close(reader);
	return rc;
}

static unsigned fill(struct ft_source *source, ft_fine_time until, uint64_t sent_ns,
		     struct iovec *frames, unsigned room)
{
	struct ft_replay *replay = (struct ft_replay *)source;
	unsigned count = 0;

	(void)sent_ns;
	while (count < room && source->due <= until && replay->next < replay->frame_count) {
		const struct ft_replay_frame *frame = &replay->frames[replay->next++];

		frames[count++] = (struct iovec){replay->data + frame->at, frame->bytes};
		if (!replay->file_timing)
			source->due += ft_pace_cost(&replay->pace, frame->bytes);
		else if (replay->next < replay->frame_count)
			source->due = (ft_fine_time)frame[1].due_ns << FT_FINE_SHIFT;
	}
	return count;
}

static void restart(struct ft_source *source)
{
	source->due = 0;
}

static const struct ft_source_ops ops = {.fill = fill, .restart = restart};

/* fill() finds the replay by its first member. */
_Static_assert(offsetof(struct ft_replay, source) == 0, "the source comes first");

int ft_replay_load(const char *path, const char *filter, const struct ft_replay_limits *limits,
		   const struct ft_reader_wait *wait, struct ft_replay *replay,
		   struct ft_error *error)
{
	struct loader loader = {
		.path = path,
		.limits = limits,
		.replay = replay,
		.data_limit =
			(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4 * 3,
	};
	int rc = 0;

	*replay = (struct ft_replay){.source.ops = &ops};
	if (filter != NULL)
		rc = ft_filter_compile(filter, LINKTYPE_ETHERNET, &loader.filter, error);
	if (rc == 0)
		rc = load(&loader, wait, error);
	ft_filter_free(loader.filter);
	if (rc != 0)
		ft_replay_free(replay);
	return rc;
}

void ft_replay_free(struct ft_replay *replay)
{
	free(replay->frames);
	free(replay->data);
	*replay = (struct ft_replay){0};
}
