/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "ft/template.h"
#include "gen/transmit.h"

/* Slots do not share cache lines. */
#define LINE_BYTES 64u

static size_t slot_bytes(uint32_t frame_bytes)
{
	return (frame_bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

int ft_stream_create(const uint32_t *sizes, unsigned size_count, const struct ft_signature_run *run,
		     const struct ft_pace *pace, struct ft_stream *stream, struct ft_error *error)
{
	unsigned rounds = (FT_TRANSMIT_BATCH + size_count - 1) / size_count;
	size_t memory_bytes = 0;
	uint8_t *at;

	*stream = (struct ft_stream){.slot_count = rounds * size_count};
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
