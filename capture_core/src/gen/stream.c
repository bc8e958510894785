/* SPDX-License-Identifier: Apache-2.0 */
/* ft_stream's fill() is run by the sender's thread and costs a few nanoseconds a frame. */
#include "gen/stream.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "ft/template.h"
#include "gen/transmit.h"

/* Slots do not share cache lines. */
#define LINE_BYTES 64u

static size_t slot_bytes(uint32_t frame_bytes)
{
	return (frame_bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

static unsigned fill(struct ft_source *source, ft_fine_time until, uint64_t sent_ns,
		     struct iovec *frames, unsigned room)
{
	struct ft_stream *stream = (struct ft_stream *)source;
	unsigned count = 0;

	while (count < room && source->due <= until) {
		const struct ft_stream_slot *slot = &stream->slots[stream->next];

		ft_signature_stamp(slot->room, (uint32_t)stream->number++, sent_ns);
		frames[count++] = (struct iovec){slot->frame, slot->bytes};
		source->due += slot->cost;
		stream->next = stream->next + 1 == stream->slot_count ? 0 : stream->next + 1;
	}
	return count;
}

static void restart(struct ft_source *source)
{
	source->due = 0;
}

static const struct ft_source_ops ops = {.fill = fill, .restart = restart};

/* fill() finds the stream by its first member. */
_Static_assert(offsetof(struct ft_stream, source) == 0, "the source comes first");

int ft_stream_create(const uint32_t *sizes, unsigned size_count, const struct ft_signature_run *run,
		     const struct ft_pace *pace, struct ft_stream *stream, struct ft_error *error)
{
	unsigned rounds = (FT_TRANSMIT_BATCH + size_count - 1) / size_count;
	size_t memory_bytes = 0;
	uint8_t *at;

	*stream = (struct ft_stream){.source.ops = &ops, .slot_count = rounds * size_count};
	for (unsigned i = 0; i < size_count; i++)
		memory_bytes += slot_bytes(sizes[i] - FT_FCS_BYTES);
	stream->slots = calloc(stream->slot_count, sizeof(*stream->slots));
	stream->memory = aligned_alloc(LINE_BYTES, memory_bytes * rounds);
	if (stream->slots == NULL || stream->memory == NULL) {
		ft_stream_free(stream);
		return ft_fail(error, -ENOMEM, "--size: out of memory");
	}
	at = stream->memory;
	for (unsigned i = 0; i < stream->slot_count; i++) {
		struct ft_stream_slot *slot = &stream->slots[i];

		slot->frame = at;
		slot->bytes = sizes[i % size_count] - FT_FCS_BYTES;
		slot->room = ft_template_fill(slot->frame, slot->bytes, run, 0);
		slot->cost = ft_pace_cost(pace, slot->bytes);
		stream->mean_cost += slot->cost;
		at += slot_bytes(slot->bytes);
	}
	stream->mean_cost /= stream->slot_count;
	return 0;
}

void ft_stream_free(struct ft_stream *stream)
{
	free(stream->slots);
	free(stream->memory);
	*stream = (struct ft_stream){0};
}
