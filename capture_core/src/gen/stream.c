/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill() is run by the sender's thread, once a batch. At 10GbE line rate of the smallest frame
 * there are 67 ns a frame, most of which the port needs: here it is at most 30. No allocation, no
 * division, no call but to log() for drawn gaps.
 */
#include "gen/stream.h"

#include <endian.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "ft/clock.h"
#include "gen/checksum.h"
#include "gen/draw.h"
#include "gen/stream_shape.h"

/* A year, below 2^87: with a factor below 2^38 it fits. */
#define LONGEST_MEAN ((ft_fine_time)(365 * 86400 * FT_NS_PER_SECOND) << FT_FINE_SHIFT)

static uint64_t next_value(struct ft_stream_op *op)
{
	uint64_t value = op->value;

	switch (op->kind) {
	case FT_VALUE_RANDOM:
		return value + ft_draw_below(&op->state, op->count);
	case FT_VALUE_LIST:
		value = op->list[op->index];
		break;
	default:
		op->value += op->step;
	}
	if (++op->index == op->count) {
		op->index = 0;
		op->value = op->first;
	}
	return value;
}

/* Put the field's bits between those of its neighbours. */
static void put_bits(const struct ft_stream_op *op, uint8_t *frame, uint64_t bits)
{
	uint8_t *at = frame + op->at;
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (op->width) {
	case 2:
		memcpy(&two, at, sizeof(two));
		two = htobe16((uint16_t)((be16toh(two) & op->keep) | bits));
		memcpy(at, &two, sizeof(two));
		break;
	case 4:
		memcpy(&four, at, sizeof(four));
		four = htobe32((uint32_t)((be32toh(four) & op->keep) | bits));
		memcpy(at, &four, sizeof(four));
		break;
	default:
		memcpy(&eight, at, sizeof(eight));
		eight = htobe64((be64toh(eight) & op->keep) | bits);
		memcpy(at, &eight, sizeof(eight));
	}
}

static uint64_t sum_words(uint64_t bits)
{
	return (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
}

/* Give the slot's frame another size. */
static __attribute__((noinline)) void reshape(const struct ft_stream *stream,
					      struct ft_stream_slot *slot,
					      const struct ft_stream_shape *shape)
{
	const struct ft_stream_shape *old = slot->shape;
	uint32_t tail_at = old->bytes - old->tail_bytes;

	memcpy(slot->frame + tail_at, stream->payload + (tail_at - stream->payload_at),
	       old->tail_bytes);
	ft_stream_put_shape(stream, shape, slot->frame);
	slot->shape = shape;
}

/*
 * Both checksums are those of the frame without the fields that vary, to which these are added (RFC
 * 1624, with an old value of 0).
 */
static struct iovec make_frame(struct ft_stream *stream, const struct ft_stream_shape *shape,
			       uint64_t sent_ns)
{
	struct ft_stream_slot *slot = &stream->slots[stream->next_slot];
	uint64_t ip_sum = shape->ip_sum, transport_sum = shape->transport_sum;
	uint64_t number = ft_count_read(&stream->number);
	uint8_t *frame = slot->frame;

	stream->next_slot = stream->next_slot + 1 == stream->slot_count ? 0 : stream->next_slot + 1;
	if (slot->shape != shape)
		reshape(stream, slot, shape);
	for (unsigned i = 0; i < stream->op_count; i++) {
		struct ft_stream_op *op = &stream->ops[i];
		uint64_t bits = next_value(op) << op->shift, sum = sum_words(bits);

		put_bits(op, frame, bits);
		ip_sum += sum & op->in_ip_sum;
		transport_sum += sum & op->in_transport_sum;
	}
	if (stream->ip_varies)
		ft_stream_put_be16(frame + stream->ip_check_at,
				   (uint16_t)~ft_checksum_fold(ip_sum));
	if (stream->transport_varies)
		ft_stream_put_transport_sum(stream, frame, transport_sum);
	if (stream->signature)
		ft_signature_stamp(frame + shape->bytes - FT_SIGNATURE_ROOM_BYTES, (uint32_t)number,
				   sent_ns);
	ft_count_set(&stream->number, number + 1);
	return (struct iovec){frame, shape->bytes};
}

/*
 * An exponential gap with the mean that the burst owes. The time that its frames take on the wire
 * is not drawn, so that none is due before the port can have sent the one before.
 */
static __attribute__((noinline)) ft_fine_time draw_gap(struct ft_stream *stream)
{
	ft_fine_time mean = stream->owed, least = stream->owed_least;
	ft_fine_time spare = mean > least ? mean - least : 0;
	ft_fine_time drawn = spare < LONGEST_MEAN ? spare : LONGEST_MEAN;
	/* From 2^-53 to 1 in steps of 2^-53. */
	double share = (double)((ft_draw_next(&stream->gap_state) >> 11) + 1) * 0x1p-53;
	uint64_t factor = (uint64_t)(-log(share) * 0x1p32);

	return mean - spare + (drawn * factor >> 32);
}

/* One place of the schedule on; returns the shape of the frame that has this place. */
static const struct ft_stream_shape *take_turn(struct ft_stream *stream)
{
	const struct ft_stream_shape *shape = &stream->shapes[stream->next_shape];

	if (stream->shapes_random)
		stream->next_shape =
			(unsigned)ft_draw_below(&stream->shape_state, stream->shape_count);
	else
		stream->next_shape =
			stream->next_shape + 1 == stream->shape_count ? 0 : stream->next_shape + 1;
	stream->turns++;
	stream->owed += shape->cost;
	stream->owed_least += shape->least;
	if (++stream->in_burst < stream->burst)
		return shape;
	stream->due += stream->poisson ? draw_gap(stream) : stream->owed;
	stream->in_burst = 0;
	stream->owed = stream->owed_least = 0;
	return shape;
}

/* Of two streams with a frame due at the same moment, the first in the file goes first. */
static bool is_before(const struct ft_stream *a, const struct ft_stream *b)
{
	return a->due < b->due || (a->due == b->due && a < b);
}

/* Let the first of the heap sink to where it belongs. */
static void sink(struct ft_stream_set *set, unsigned at)
{
	struct ft_stream *moved = set->due[at];

	for (unsigned child = 2 * at + 1; child < set->due_count; child = 2 * at + 1) {
		if (child + 1 < set->due_count && is_before(set->due[child + 1], set->due[child]))
			child++;
		if (!is_before(set->due[child], moved))
			break;
		set->due[at] = set->due[child];
		at = child;
	}
	set->due[at] = moved;
}

/* After a turn of the stream that was due. */
static void reorder(struct ft_stream_set *set)
{
	if (set->due[0]->turns == set->due[0]->limit)
		set->due[0] = set->due[--set->due_count];
	if (set->due_count > 1)
		sink(set, 0);
}

static void say_due(struct ft_stream_set *set)
{
	if (set->due_count == 0)
		set->source.due = FT_SOURCE_END;
	else
		set->source.due = set->top_speed ? 0 : set->due[0]->due;
}

static unsigned fill(struct ft_source *source, ft_fine_time until, uint64_t sent_ns,
		     struct iovec *frames, unsigned room)
{
	struct ft_stream_set *set = (struct ft_stream_set *)source;
	unsigned count = 0;

	if (set->top_speed)
		until = FT_SOURCE_END - 1;
	while (count < room && set->due_count > 0 && set->due[0]->due <= until) {
		struct ft_stream *stream = set->due[0];

		frames[count++] = make_frame(stream, take_turn(stream), sent_ns);
		reorder(set);
	}
	say_due(set);
	return count;
}

static uint64_t skip(struct ft_source *source, ft_fine_time before, uint64_t most)
{
	struct ft_stream_set *set = (struct ft_stream_set *)source;
	uint64_t count = 0;

	while (count < most && set->due_count > 0 && set->due[0]->due < before) {
		take_turn(set->due[0]);
		reorder(set);
		count++;
	}
	say_due(set);
	return count;
}

static void restart(struct ft_source *source)
{
	struct ft_stream_set *set = (struct ft_stream_set *)source;

	set->due_count = 0;
	for (unsigned i = 0; i < set->count; i++) {
		struct ft_stream *stream = &set->streams[i];

		stream->due = 0;
		stream->owed = stream->owed_least = 0;
		stream->in_burst = 0;
		if (stream->turns < stream->limit) /* all are due at 0: this is a heap */
			set->due[set->due_count++] = stream;
	}
	say_due(set);
}

uint64_t ft_stream_set_unsigned(const struct ft_stream_set *set)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < set->count; i++)
		if (!set->streams[i].signature)
			frames += ft_count_read(&set->streams[i].number);
	return frames;
}

static bool repeats(struct ft_source *source, struct ft_repeated *repeated)
{
	struct ft_stream_set *set = (struct ft_stream_set *)source;
	struct ft_stream *stream = &set->streams[0];
	const struct ft_stream_shape *shape = &stream->shapes[0];

	*repeated = (struct ft_repeated){
		.frame = stream->slots[0].frame,
		.bytes = shape->bytes,
		.room_at = shape->bytes - FT_SIGNATURE_ROOM_BYTES,
		.number = &stream->number,
	};
	return set->top_speed && set->count == 1 && stream->shape_count == 1 &&
	       stream->op_count == 0 && stream->signature && stream->limit == UINT64_MAX;
}

const struct ft_source_ops ft_stream_ops = {
	.fill = fill,
	.restart = restart,
	.skip = skip,
	.repeats = repeats,
};

/* fill() finds the set by its first member. */
_Static_assert(offsetof(struct ft_stream_set, source) == 0, "the source comes first");
