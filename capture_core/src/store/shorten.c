/* SPDX-License-Identifier: Apache-2.0 */
#include "store/shorten.h"
#include "ft/pcapng.h"
#include "pipe/epb.h"

/* A block or record at `at`: its length, and the frame's bytes, interface and stamp if it has one.
 */
struct piece {
	uint32_t bytes;
	bool is_frame;
	uint32_t interface;
	uint32_t captured_bytes;
	uint64_t stamp_ns;
};

static struct piece read_piece(const uint8_t *at, bool pcapng)
{
	const uint32_t *words = (const uint32_t *)at;
	uint32_t record[4];

	if (pcapng && words[0] != FT_EPB_TYPE)
		return (struct piece){.bytes = words[1]};
	if (pcapng)
		return (struct piece){
			.bytes = words[1],
			.is_frame = true,
			.interface = words[2],
			.captured_bytes = words[5],
			.stamp_ns = (uint64_t)words[3] << 32 | words[4],
		};
	memcpy(record, at, sizeof(record)); /* records are not aligned */
	return (struct piece){
		.bytes = FT_PCAP_RECORD_HEADER_BYTES + record[2],
		.is_frame = true,
		.captured_bytes = record[2],
		.stamp_ns = record[0] * FT_NS_PER_SECOND + record[1],
	};
}

static void count(struct ft_chunk *chunk, const struct piece *piece, uint32_t first_interface)
{
	uint32_t interface = piece->interface - first_interface;

	chunk->frames[interface < FT_PORT_MAX_INTERFACES ? interface : 0]++;
	chunk->frame_bytes += piece->captured_bytes;
	if (piece->stamp_ns < chunk->first_ns)
		chunk->first_ns = piece->stamp_ns;
	if (piece->stamp_ns >= chunk->last_ns)
		chunk->last_ns = piece->stamp_ns;
	else
		chunk->disordered++;
}

static void end_again(struct ft_chunk *chunk, size_t room, size_t alignment)
{
	const struct ft_chunk_mark mark = {.source = chunk->pool->source};
	const struct ft_pcapng_statistics statistics = {
		.interface = chunk->pool->first_interface,
		.now_ns = ft_clock_utc_ns(),
	};

	chunk->used_bytes += (uint32_t)ft_pcapng_write_chunk_end(
		chunk->data + chunk->used_bytes, room - chunk->used_bytes, &statistics,
		chunk->used_bytes, alignment, &mark);
}

uint64_t ft_chunk_shorten(struct ft_chunk *chunk, size_t room, bool pcapng, size_t alignment)
{
	size_t end_bytes = pcapng ? FT_SHORTEN_END_BYTES : 0;
	size_t limit = room > end_bytes ? room - end_bytes : 0;
	uint32_t header_bytes = pcapng ? 12 : FT_PCAP_RECORD_HEADER_BYTES;
	uint64_t frames = ft_chunk_frames(chunk);
	uint32_t all = chunk->used_bytes;
	uint32_t first_interface = pcapng ? chunk->pool->first_interface : 0;

	chunk->used_bytes = 0;
	memset(chunk->frames, 0, sizeof(chunk->frames));
	chunk->frame_bytes = chunk->last_ns = chunk->disordered = 0;
	chunk->first_ns = UINT64_MAX;
	while (chunk->used_bytes + header_bytes <= limit && chunk->used_bytes < all) {
		struct piece piece = read_piece(chunk->data + chunk->used_bytes, pcapng);

		if (chunk->used_bytes + piece.bytes > limit)
			break;
		if (piece.is_frame)
			count(chunk, &piece, first_interface);
		else if (pcapng)
			break; /* the statistics that ended it */
		chunk->used_bytes += piece.bytes;
	}
	if (pcapng && chunk->used_bytes > 0)
		end_again(chunk, room, alignment);
	return frames - ft_chunk_frames(chunk);
}
