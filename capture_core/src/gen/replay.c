/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill() and ft_replay_set_pace() run on the sender's thread, a few nanoseconds a frame. A late
 * frame is caught up with: the schedule stays where it is, whatever kept it.
 */
#include "ft/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ft/clock.h"
#include "ft/rewrite.h"
#include "gen/picker.h"
#include "gen/replay_ring.h"

/* What has to be there before the first frame is sent. */
#define AHEAD_NS (250 * FT_NS_PER_MS)

/* A load in progress; the arrays grow by doubling. */
struct loader {
	const struct ft_replay_settings *settings;
	struct ft_replay *replay;
	uint64_t room_bytes; /* that all may take */
	size_t frame_room;
	uint64_t data_room;
};

/* Make room for one more frame. -ENOBUFS: the file does not fit. */
static int grow(struct loader *loader, uint32_t bytes)
{
	struct ft_replay *replay = loader->replay;
	uint64_t used =
		replay->data_bytes + bytes + (replay->frame_count + 1) * sizeof(*replay->frames);

	if (used > loader->room_bytes)
		return -ENOBUFS;
	if (replay->frame_count == loader->frame_room) {
		size_t room = loader->frame_room == 0 ? 1024 : loader->frame_room * 2;
		void *frames = reallocarray(replay->frames, room, sizeof(*replay->frames));

		if (frames == NULL)
			return -ENOBUFS;
		replay->frames = frames;
		loader->frame_room = room;
	}
	while (replay->data_bytes + bytes > loader->data_room) {
		uint64_t room = loader->data_room == 0 ? 1u << 20 : loader->data_room * 2;
		void *data = realloc(replay->data, room);

		if (data == NULL)
			return -ENOBUFS;
		replay->data = data;
		loader->data_room = room;
	}
	return 0;
}

static int load_frames(struct loader *loader, struct ft_picker *picker, struct ft_error *error)
{
	struct ft_replay *replay = loader->replay;
	struct ft_replay_frame frame;
	int rc;

	while ((rc = ft_picker_next(picker, &frame, error)) == 1) {
		rc = grow(loader, frame.bytes);
		if (rc != 0)
			return rc;
		replay->frames[replay->frame_count++] = frame;
		memcpy(replay->data + replay->data_bytes, frame.data, frame.bytes);
		replay->data_bytes += frame.bytes;
		if (replay->longest_bytes < frame.bytes)
			replay->longest_bytes = frame.bytes;
	}
	return rc;
}

/* Where each frame lies in memory that moves no more. */
static void point_frames(struct ft_replay *replay)
{
	const uint8_t *at = replay->data;

	for (size_t i = 0; i < replay->frame_count; i++) {
		replay->frames[i].data = at;
		at += replay->frames[i].bytes;
	}
}

static void unload(struct ft_replay *replay)
{
	free(replay->frames);
	free(replay->data);
	replay->frames = NULL;
	replay->data = NULL;
	replay->frame_count = 0;
	replay->data_bytes = 0;
	replay->longest_bytes = 0;
}

/* Load the whole file. A damaged one is sent up to there. -ENOBUFS: it does not fit. */
static int load(struct loader *loader, struct ft_picker *picker, struct ft_error *error)
{
	struct ft_replay *replay = loader->replay;
	int rc = load_frames(loader, picker, error);

	if (rc == -EBADMSG && replay->frame_count > 0) {
		replay->result = rc;
		replay->damage = *error;
		replay->loops = 1;
		rc = 0;
	}
	if (rc != 0)
		return rc;
	point_frames(replay);
	replay->period_ns = ft_picker_period_ns(picker);
	return 0;
}

static uint64_t available_memory_bytes(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (file != NULL && kib == 0 && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "MemAvailable: %llu kB", &kib);
	if (file != NULL)
		fclose(file);
	return kib * 1024;
}

/* The size of a file that can be read twice, else UINT64_MAX. */
static uint64_t file_bytes(const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct stat about;

	if ((is_stdin ? fstat(STDIN_FILENO, &about) : stat(path, &about)) != 0 ||
	    !S_ISREG(about.st_mode))
		return UINT64_MAX;
	return (uint64_t)about.st_size;
}

static int read_on_the_way(struct ft_replay *replay, const struct ft_replay_settings *settings,
			   uint64_t room_bytes, struct ft_error *error)
{
	struct ft_picker *picker;
	int rc = ft_picker_open(settings, &picker, error);

	if (rc != 0)
		return rc;
	rc = ft_replay_ring_create(picker, settings->loops, room_bytes / 2, &replay->ring, error);
	if (rc != 0)
		ft_picker_free(picker);
	return rc;
}

static int open_file(struct ft_replay *replay, const struct ft_replay_settings *settings,
		     uint64_t room_bytes, struct ft_error *error)
{
	struct loader loader = {settings, replay, room_bytes, 0, 0};
	struct ft_picker *picker;
	int rc = ft_picker_open(settings, &picker, error);

	if (rc != 0)
		return rc;
	rc = load(&loader, picker, error);
	ft_picker_free(picker);
	if (rc == 0 && replay->frame_count == 0)
		return ft_fail(error, -EINVAL,
			       "--replay %s: no frame is left to send; see --packets, --from, "
			       "--to, -f, --rewrite and what the file holds (capinfos)",
			       settings->path);
	if (rc != 0)
		unload(replay);
	if (rc == -ENOBUFS)
		rc = read_on_the_way(replay, settings, room_bytes, error);
	return rc;
}

/* Set what is sent next, its due_ns counted over all passes. */
static enum ft_ring_state take_next(struct ft_replay *replay)
{
	if (replay->ring != NULL)
		return ft_replay_ring_take(replay->ring, &replay->next);
	if (replay->position == replay->frame_count) {
		if (replay->frame_count == 0 || ++replay->pass == replay->loops)
			return FT_RING_END;
		replay->position = 0;
	}
	replay->next = replay->frames[replay->position++];
	replay->next.due_ns += replay->pass * replay->period_ns;
	return FT_RING_FRAME;
}

/* `due` of the frame that is next, by the file's timing; by a pace it is set already. */
static void set_due(struct ft_replay *replay)
{
	ft_fine_time due = (ft_fine_time)replay->next.due_ns << FT_FINE_SHIFT;

	if (!replay->file_timing)
		return;
	if (replay->rebase)
		replay->base = replay->source.due - due;
	replay->rebase = false;
	replay->source.due = replay->base + due;
}

/* Make `next` and `due` those of the following frame. */
static void advance(struct ft_replay *replay)
{
	switch (take_next(replay)) {
	case FT_RING_FRAME:
		replay->has_next = true;
		set_due(replay);
		break;
	case FT_RING_EMPTY:
		replay->has_next = false;
		replay->source.starved = true;
		break;
	case FT_RING_END:
		replay->has_next = false;
		replay->source.ends = replay->file_timing ? 0 : replay->source.due;
		replay->source.due = FT_SOURCE_END;
		break;
	}
}

/* After a look into an empty ring: an underrun is a frame that was due before it was there. */
static void look_again(struct ft_replay *replay, ft_fine_time until)
{
	replay->source.starved = false;
	advance(replay);
	if (replay->has_next && replay->source.due < until)
		ft_count_add(&replay->underruns, 1);
}

static unsigned fill(struct ft_source *source, ft_fine_time until, uint64_t sent_ns,
		     struct iovec *frames, unsigned room)
{
	struct ft_replay *replay = (struct ft_replay *)source;
	unsigned count = 0;

	(void)sent_ns;
	if (replay->source.starved) {
		look_again(replay, until);
		return 0; /* now that `due` is known */
	}
	while (count < room && replay->has_next && source->due <= until) {
		const struct ft_replay_frame *frame = &replay->next;

		frames[count++] = (struct iovec){(void *)(uintptr_t)frame->data, frame->bytes};
		if (!replay->file_timing)
			source->due += ft_pace_cost(&replay->pace, frame->bytes);
		advance(replay);
	}
	return count;
}

static void restart(struct ft_source *source)
{
	struct ft_replay *replay = (struct ft_replay *)source;

	source->due = 0;
	replay->rebase = true;
	if (replay->has_next)
		set_due(replay);
	else
		advance(replay);
}

static const struct ft_source_ops ops = {.fill = fill, .restart = restart};

_Static_assert(offsetof(struct ft_replay, source) == 0, "the source comes first");

int ft_replay_open(const struct ft_replay_settings *settings, struct ft_replay *replay,
		   struct ft_error *error)
{
	uint64_t room_bytes =
		settings->room_bytes != 0 ? settings->room_bytes : available_memory_bytes() / 2;
	uint64_t bytes = file_bytes(settings->path);
	int rc;

	*replay = (struct ft_replay){.source.ops = &ops, .loops = settings->loops};
	if (bytes == UINT64_MAX && settings->loops != 1 &&
	    (strcmp(settings->path, "-") == 0 || access(settings->path, F_OK) == 0))
		return ft_fail(error, -EINVAL,
			       "--loop: %s can be read only once; write it to a file first",
			       settings->path);
	if (bytes > room_bytes || ft_rewrite_varies(settings->rewrite))
		rc = read_on_the_way(replay, settings, room_bytes, error);
	else
		rc = open_file(replay, settings, room_bytes, error);
	if (rc != 0)
		ft_replay_free(replay);
	return rc;
}

int ft_replay_start(struct ft_replay *replay, struct ft_error *error)
{
	return replay->ring != NULL ? ft_replay_ring_start(replay->ring, error) : 0;
}

bool ft_replay_is_ready(const struct ft_replay *replay, double speed)
{
	struct ft_ring_ahead ahead;
	ft_fine_time cost;

	if (replay->ring == NULL)
		return true;
	ahead = ft_replay_ring_ahead(replay->ring);
	cost = ahead.frames * replay->pace.per_frame +
	       (ahead.bytes + ahead.frames * FT_FCS_BYTES) * replay->pace.per_byte;
	if (replay->file_timing)
		return ahead.is_all || (double)ahead.due_ns >= (double)AHEAD_NS * speed;
	return ahead.is_all || ft_fine_ns(cost) >= AHEAD_NS;
}

void ft_replay_set_pace(struct ft_replay *replay, const struct ft_pace *pace, ft_fine_time now)
{
	bool was_by_file = replay->file_timing;

	replay->file_timing = pace == NULL;
	if (pace != NULL)
		replay->pace = *pace;
	if (replay->source.due == FT_SOURCE_END || (was_by_file && pace == NULL))
		return;
	/* Whenever it was to come, the next frame comes now, and the rest from there on. */
	replay->source.due = now;
	replay->rebase = true;
	if (replay->has_next)
		set_due(replay);
}

int ft_replay_result(const struct ft_replay *replay, struct ft_error *error)
{
	if (replay->ring != NULL)
		return ft_replay_ring_result(replay->ring, error);
	if (replay->result != 0)
		*error = replay->damage;
	return replay->result;
}

void ft_replay_free(struct ft_replay *replay)
{
	ft_replay_ring_free(replay->ring);
	replay->ring = NULL;
	unload(replay);
}
