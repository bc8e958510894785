/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the streams of a set, before anything is sent. */
#include "gen/stream_build.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "gen/draw.h"
#include "gen/stream_shape.h"
#include "gen/transmit.h"

/* Slots do not share cache lines. */
#define LINE_BYTES 64u
/* Of a port that sends frames in place (gen/transmit.h). */
#define CHUNK_BYTES 4096u
/* Of frames in the port's memory. Where streams need more, they have fewer slots in memory of
 * their own, and such a port copies them. */
#define MAX_PORT_BYTES (256u << 20)
/* Sizes in turn that each have slots of their own, which then never change their shape. */
#define MAX_SIZES_IN_SLOTS 512u
/* Of one kind of frame to another at top speed; any that shares divide well. */
#define TOP_SPEED_COST ((ft_fine_time)1 << 48)

/* The set in the making. */
struct build {
	const struct ft_stream_file *file;
	struct ft_transmit *transmit; /* whose port allows what */
	const struct ft_signature_run *run;
	struct ft_stream_set *set;
	struct ft_stream_headers *headers; /* of each stream */
	uint64_t shares;		   /* of all streams without a rate of their own */
};

static struct ft_spot spot_of(const struct build *build, unsigned i, const char *field)
{
	return ft_stream_spot(build->file, &build->file->streams[i], field);
}

/* Bytes of a frame that cannot be less, without FCS. */
static uint32_t least_bytes(const struct ft_stream_plan *plan, const struct ft_stream *stream)
{
	uint32_t given = plan->payload.byte_count, bytes = stream->payload_at + given;

	if (plan->signature)
		bytes += FT_SIGNATURE_ROOM_BYTES;
	/* What the user gives must not make way for what covers the payload. */
	if (plan->signature && given + FT_SIGNATURE_CRC_BYTES >= FT_SIGNATURE_COVERED_BYTES)
		bytes += FT_SIGNATURE_CRC_BYTES;
	return bytes;
}

static int check_size(const struct build *build, unsigned i, uint32_t size, bool is_tagged,
		      struct ft_error *error)
{
	const struct ft_transmit *transmit = build->transmit;
	const struct ft_stream_plan *plan = &build->file->streams[i];
	const struct ft_stream *stream = &build->set->streams[i];
	uint32_t least = least_bytes(plan, stream) + FT_FCS_BYTES;
	uint32_t most =
		(is_tagged ? transmit->max_tagged_bytes : transmit->max_bytes) + FT_FCS_BYTES;
	struct ft_spot spot = spot_of(build, i, "size");

	if (size < least)
		return ft_spot_fail(&spot, error,
				    "%u: headers, payload%s and FCS need %u bytes; make it "
				    "larger%s",
				    size, plan->signature ? ", signature" : "", least,
				    plan->signature ? " or set signature = false" : "");
	if (stream->ip != FT_LAYER_COUNT && size - FT_FCS_BYTES - stream->ip_at > UINT16_MAX)
		return ft_spot_fail(&spot, error, "%u: an IP packet has at most %u bytes", size,
				    UINT16_MAX);
	if (size > most)
		return ft_spot_fail(&spot, error,
				    "%u: port '%s' sends at most %u (with FCS); raise its MTU: ip "
				    "link set %s mtu %u, and the peer's",
				    size, transmit->device, most, transmit->device, size - 18);
	return 0;
}

static void fill_payload(const struct build *build, const struct ft_stream_plan *plan,
			 uint8_t *payload, uint32_t bytes)
{
	uint64_t state = ft_draw_begin(build->file->seed, plan->name, "payload"), drawn = 0;

	switch (plan->payload.pattern) {
	case FT_PATTERN_INCREMENT:
		for (uint32_t i = 0; i < bytes; i++)
			payload[i] = (uint8_t)i;
		break;
	case FT_PATTERN_RANDOM: /* eight bytes a draw, the highest first */
		for (uint32_t i = 0; i < bytes; i++) {
			drawn = i % 8 == 0 ? ft_draw_next(&state) : drawn << 8;
			payload[i] = (uint8_t)(drawn >> 56);
		}
		break;
	case FT_PATTERN_BYTES:
		memcpy(payload, plan->payload.bytes, plan->payload.byte_count);
		break;
	case FT_PATTERN_ZEROS:
		break;
	}
}

/* The sizes given, or the least that there can be. */
static int set_sizes(const struct build *build, unsigned i, bool is_tagged, uint32_t *longest,
		     struct ft_error *error)
{
	const struct ft_stream_plan *plan = &build->file->streams[i];
	struct ft_stream *stream = &build->set->streams[i];
	uint32_t least = least_bytes(plan, stream) + FT_FCS_BYTES;
	unsigned count = plan->sizes.count != 0 ? plan->sizes.count : 1;
	int rc = 0;

	stream->shapes = calloc(count, sizeof(*stream->shapes));
	if (stream->shapes == NULL)
		return ft_fail(error, -ENOMEM, "streams: out of memory");
	stream->shape_count = count;
	for (unsigned j = 0; rc == 0 && j < count; j++) {
		uint32_t size = least > FT_GENERATE_MIN_SIZE ? least : FT_GENERATE_MIN_SIZE;

		if (plan->sizes.count != 0)
			size = plan->sizes.bytes[j];
		rc = check_size(build, i, size, is_tagged, error);
		stream->shapes[j].bytes = size - FT_FCS_BYTES;
		if (*longest < stream->shapes[j].bytes)
			*longest = stream->shapes[j].bytes;
	}
	return rc;
}

static int build_shapes(const struct build *build, unsigned i, struct ft_error *error)
{
	const struct ft_stream_headers *headers = &build->headers[i];
	const struct ft_stream_plan *plan = &build->file->streams[i];
	struct ft_stream *stream = &build->set->streams[i];
	bool is_tagged = headers->bytes[12] == ETH_P_8021Q >> 8 &&
			 headers->bytes[13] == (ETH_P_8021Q & 0xff);
	uint32_t longest = 0;
	uint8_t *frame;
	int rc = set_sizes(build, i, is_tagged, &longest, error);

	if (rc != 0)
		return rc;
	stream->payload = calloc(1, longest);
	frame = calloc(1, longest);
	if (stream->payload == NULL || frame == NULL) {
		free(frame);
		return ft_fail(error, -ENOMEM, "streams: out of memory");
	}
	fill_payload(build, plan, stream->payload, longest - stream->payload_at);
	memcpy(frame, headers->bytes, headers->count);
	for (unsigned j = 0; j < stream->shape_count; j++)
		ft_stream_make_shape(stream, build->run, (uint16_t)i, frame, &stream->shapes[j]);
	free(frame);
	return 0;
}

/* What the stream has of the file's rate, or its own. */
static int find_pace(const struct build *build, unsigned i, struct ft_pace *pace,
		     struct ft_error *error)
{
	const struct ft_stream_plan *plan = &build->file->streams[i];
	struct ft_rate rate = plan->rate_given ? plan->rate : build->file->rate;
	struct ft_spot spot = spot_of(build, i, "rate");
	struct ft_error why;

	if (plan->rate_given && rate.unit == FT_RATE_MAX)
		return ft_spot_fail(&spot, error,
				    "top speed is for all streams together; take it out here");
	if (plan->rate_given && build->set->top_speed)
		return ft_spot_fail(&spot, error,
				    "others share top speed; give each a rate, or the file one");
	if (build->set->top_speed) {
		*pace = (struct ft_pace){.per_frame = TOP_SPEED_COST / plan->share};
		return 0;
	}
	if (!plan->rate_given)
		rate.value = rate.value * (double)plan->share / (double)build->shares;
	if (ft_pace_set(pace, &rate, build->transmit->speed_bps, &why) != 0)
		return ft_spot_fail(&spot, error, "%s", why.text);
	return 0;
}

/* A frame's own time on the wire, 0 where the speed of the link is not known. */
static ft_fine_time wire_time(const struct build *build, uint32_t bytes)
{
	const struct ft_rate whole = {.unit = FT_RATE_PERCENT, .value = 100};
	struct ft_error ignored;
	struct ft_pace pace;

	if (ft_pace_set(&pace, &whole, build->transmit->speed_bps, &ignored) != 0)
		return 0;
	return ft_pace_cost(&pace, bytes);
}

static int build_schedule(struct build *build, unsigned i, struct ft_error *error)
{
	const struct ft_stream_plan *plan = &build->file->streams[i];
	struct ft_stream *stream = &build->set->streams[i];
	struct ft_spot spot = spot_of(build, i, "pacing");
	ft_fine_time mean = 0;
	struct ft_pace pace;
	int rc = find_pace(build, i, &pace, error);

	if (rc != 0)
		return rc;
	if (plan->poisson && build->set->top_speed)
		return ft_spot_fail(&spot, error, "gaps are drawn around a rate; give one");
	stream->limit = plan->count != 0 ? plan->count : UINT64_MAX;
	stream->poisson = plan->poisson;
	stream->burst = plan->burst != 0 ? plan->burst : 1;
	stream->gap_state = ft_draw_begin(build->file->seed, plan->name, "gap");
	for (unsigned j = 0; j < stream->shape_count; j++) {
		struct ft_stream_shape *shape = &stream->shapes[j];

		shape->cost = ft_pace_cost(&pace, shape->bytes);
		shape->least = wire_time(build, shape->bytes);
		mean += shape->cost;
	}
	if (!build->set->top_speed)
		build->set->requested_pps += ft_pace_pps(mean / stream->shape_count);
	stream->shapes_random = plan->sizes.random;
	stream->shape_state = ft_draw_begin(build->file->seed, plan->name, "size");
	if (stream->shapes_random)
		stream->next_shape =
			(unsigned)ft_draw_below(&stream->shape_state, stream->shape_count);
	return 0;
}

static int build_stream(struct build *build, unsigned i, struct ft_error *error)
{
	const struct ft_stream_plan *plan = &build->file->streams[i];
	struct ft_stream *stream = &build->set->streams[i];
	int rc;

	stream->name = plan->name;
	stream->signature = plan->signature;
	build->set->is_signed |= plan->signature;
	rc = ft_stream_build_headers(build->file, plan, stream, &build->headers[i], error);
	if (rc == 0)
		rc = build_shapes(build, i, error);
	return rc == 0 ? build_schedule(build, i, error) : rc;
}

static uint32_t longest_bytes(const struct ft_stream *stream)
{
	uint32_t longest = 0;

	for (unsigned i = 0; i < stream->shape_count; i++)
		if (longest < stream->shapes[i].bytes)
			longest = stream->shapes[i].bytes;
	return longest;
}

/* Where a slot goes from `at` on: on cache lines of its own, and within a chunk if it fits one. */
static size_t place_slot(size_t at, size_t bytes)
{
	at = (at + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
	if (bytes <= CHUNK_BYTES && at % CHUNK_BYTES + bytes > CHUNK_BYTES)
		at = (at + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
	return at;
}

/*
 * Decide how many slots each stream has, when no slot may be needed again before `in_flight`
 * further frames, and where it can be none changes its size. Returns the bytes of all.
 */
static size_t count_slots(struct ft_stream_set *set, unsigned in_flight)
{
	size_t end = 0;

	for (unsigned i = 0; i < set->count; i++) {
		struct ft_stream *stream = &set->streams[i];
		uint32_t bytes = longest_bytes(stream), sizes = stream->shape_count;

		stream->slot_count = in_flight;
		if (!stream->shapes_random && sizes <= MAX_SIZES_IN_SLOTS)
			stream->slot_count = (in_flight + sizes - 1) / sizes * sizes;
		for (unsigned j = 0; j < stream->slot_count; j++)
			end = place_slot(end, bytes) + bytes;
		if (set->longest_bytes < bytes)
			set->longest_bytes = bytes;
	}
	return end;
}

/* Whole frames; those that may change their size have all of the payload behind them. */
static void fill_slots(const struct build *build, unsigned i, uint8_t *memory, size_t *end)
{
	const struct ft_stream_headers *headers = &build->headers[i];
	struct ft_stream *stream = &build->set->streams[i];
	uint32_t bytes = longest_bytes(stream);

	for (unsigned j = 0; j < stream->slot_count; j++) {
		struct ft_stream_slot *slot = &stream->slots[j];
		size_t at = place_slot(*end, bytes);

		*end = at + bytes;
		slot->frame = memory + at;
		slot->shape = &stream->shapes[j % stream->shape_count];
		memcpy(slot->frame, headers->bytes, headers->count);
		memcpy(slot->frame + headers->count, stream->payload, bytes - headers->count);
		ft_stream_put_shape(stream, slot->shape, slot->frame);
	}
}

static int build_slots(const struct build *build, struct ft_error *error)
{
	struct ft_stream_set *set = build->set;
	size_t bytes = count_slots(set, build->transmit->slots_in_flight), end = 0;
	uint8_t *memory;

	if (bytes <= MAX_PORT_BYTES) {
		memory = ft_transmit_memory(build->transmit, bytes);
	} else {
		bytes = count_slots(set, FT_TRANSMIT_BATCH);
		memory = set->memory = malloc(bytes);
	}
	if (memory == NULL)
		return ft_fail(error, -ENOMEM, "streams: no memory for %zu bytes of frames", bytes);
	for (unsigned i = 0; i < set->count; i++) {
		struct ft_stream *stream = &set->streams[i];

		stream->slots = calloc(stream->slot_count, sizeof(*stream->slots));
		if (stream->slots == NULL)
			return ft_fail(error, -ENOMEM, "streams: out of memory");
		fill_slots(build, i, memory, &end);
	}
	return 0;
}

/* All frames, where every stream says how many it has. */
static uint64_t count_frames(const struct ft_stream_file *file)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < file->count; i++) {
		if (file->streams[i].count == 0)
			return 0;
		frames += file->streams[i].count;
	}
	return frames;
}

static int build_set(struct build *build, struct ft_error *error)
{
	const struct ft_stream_file *file = build->file;
	struct ft_stream_set *set = build->set;
	int rc = 0;

	set->streams = calloc(file->count, sizeof(*set->streams));
	set->due = calloc(file->count, sizeof(*set->due));
	build->headers = calloc(file->count, sizeof(*build->headers));
	if (set->streams == NULL || set->due == NULL || build->headers == NULL)
		return ft_fail(error, -ENOMEM, "streams: out of memory");
	set->count = file->count;
	set->asked = count_frames(file);
	for (unsigned i = 0; i < file->count; i++)
		if (!file->streams[i].rate_given)
			build->shares += file->streams[i].share;
	set->top_speed = build->shares != 0 && file->rate.unit == FT_RATE_MAX;
	for (unsigned i = 0; rc == 0 && i < file->count; i++)
		rc = build_stream(build, i, error);
	return rc == 0 ? build_slots(build, error) : rc;
}

int ft_stream_set_create(const struct ft_stream_file *file, struct ft_transmit *transmit,
			 const struct ft_signature_run *run, struct ft_stream_set *set,
			 struct ft_error *error)
{
	struct build build = {.file = file, .transmit = transmit, .run = run, .set = set};
	int rc;

	*set = (struct ft_stream_set){.source.ops = &ft_stream_ops};
	rc = build_set(&build, error);
	free(build.headers);
	if (rc == 0)
		set->source.ops->restart(&set->source);
	else
		ft_stream_set_free(set);
	return rc;
}

void ft_stream_set_free(struct ft_stream_set *set)
{
	for (unsigned i = 0; i < set->count; i++) {
		free(set->streams[i].shapes);
		free(set->streams[i].slots);
		free(set->streams[i].payload);
	}
	free(set->streams);
	free(set->due);
	free(set->memory);
	*set = (struct ft_stream_set){0};
}
