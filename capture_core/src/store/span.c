/* SPDX-License-Identifier: Apache-2.0 */
#include "store/span.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTE_ORDER_MAGIC 0x1a2b3c4du

#define WINDOW_BYTES (12u << 20)
/* The first chunk: headers alone. */
#define HEADER_BYTES (64u << 10)
/* A chunk of ours and what may stand before its end. */
#define CHUNK_BYTES (5u << 20)
/* A damaged chunk and the next one, by whose mark the former's end is known. */
#define SPAN_BYTES (11u << 20)

static void tell(struct ft_spans *spans, uint64_t offset, const uint8_t *bytes, size_t count)
{
	size_t known = 0;

	if (spans->on_read == NULL || offset + count <= spans->told_bytes)
		return;
	if (offset < spans->told_bytes)
		known = (size_t)(spans->told_bytes - offset);
	spans->on_read(spans->context, bytes + known, count - known);
	spans->told_bytes = offset + count;
}

/* Move the window so that it begins at `offset`, and has `most` bytes if the file has them. */
static int refill(struct ft_spans *spans, uint64_t offset, size_t most, struct ft_error *error)
{
	uint64_t end = spans->window_offset + spans->window_bytes;
	size_t kept = offset >= spans->window_offset && offset < end ? (size_t)(end - offset) : 0;

	if (kept > 0)
		memmove(spans->window, spans->window + (offset - spans->window_offset), kept);
	spans->window_offset = offset;
	spans->window_bytes = kept;
	while (spans->window_bytes < most) {
		uint8_t *to = spans->window + spans->window_bytes;
		uint64_t at = spans->window_offset + spans->window_bytes;
		size_t room = most - spans->window_bytes;
		ssize_t got;

		if (at >= spans->size_bytes)
			break;
		if (room > spans->size_bytes - at)
			room = (size_t)(spans->size_bytes - at);
		got = pread(spans->fd, to, room, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ft_fail(error, -errno, "%s: cannot read: %s", spans->path,
				       strerror(errno));
		if (got == 0)
			spans->size_bytes = at; /* somebody cut it */
		tell(spans, at, to, (size_t)got);
		spans->window_bytes += (size_t)got;
	}
	return 0;
}

/*
 * `want` bytes from `offset` on, fewer only at the end of the file. Where somebody is told of
 * what is read, it is read without a gap.
 */
static int look(struct ft_spans *spans, uint64_t offset, size_t want, const uint8_t **at,
		size_t *left, struct ft_error *error)
{
	uint64_t end = spans->window_offset + spans->window_bytes;
	int rc;

	if (offset > spans->size_bytes)
		offset = spans->size_bytes;
	while (offset < spans->window_offset || offset > end ||
	       (offset + want > end && end < spans->size_bytes)) {
		bool gapless = spans->on_read != NULL && offset > end;

		rc = refill(spans, gapless ? end : offset,
			    want > HEADER_BYTES ? WINDOW_BYTES : HEADER_BYTES, error);
		if (rc < 0)
			return rc;
		end = spans->window_offset + spans->window_bytes;
		if (offset > spans->size_bytes)
			offset = spans->size_bytes;
	}
	*at = spans->window + (offset - spans->window_offset);
	*left = end - offset < want ? (size_t)(end - offset) : want;
	return 0;
}

static void note_packet(struct ft_index_chunk *is, const uint8_t *block)
{
	uint64_t stamp_ns = ft_enhanced_stamp_ns(block);

	if (is->packets == 0)
		is->first_ns = is->last_ns = stamp_ns;
	is->packets++;
	is->bytes += ft_block_u32(block + 20);
	if (stamp_ns < is->last_ns)
		is->disordered++;
	else
		is->last_ns = stamp_ns;
	if (stamp_ns < is->first_ns)
		is->first_ns = stamp_ns;
}

static void note_drops(struct ft_index_chunk *is, const uint8_t *block, uint32_t bytes)
{
	struct ft_pcapng_statistics told;

	ft_statistics_read(block, bytes, &told);
	if (told.missed != UINT64_MAX && told.os_drops != UINT64_MAX)
		is->dropped = told.missed + told.os_drops;
	if (told.ring_drops != UINT64_MAX)
		is->dropped += told.ring_drops + told.disk_drops;
}

/* Whether the block is one that we write there. */
static bool is_sound(const struct ft_spans *spans, const uint8_t *at, uint32_t bytes,
		     uint64_t offset, bool first)
{
	switch (ft_block_u32(at)) {
	case FT_BLOCK_ENHANCED:
		return ft_enhanced_is_sound(at, bytes, spans->interface_count);
	case FT_BLOCK_STATISTICS:
		return bytes >= FT_STATISTICS_MIN_BYTES;
	case FT_BLOCK_SECTION:
		return first && offset == 0 && bytes >= 28 &&
		       ft_block_u32(at + 8) == BYTE_ORDER_MAGIC &&
		       (ft_block_u32(at + 12) & 0xffffu) == 1;
	case FT_BLOCK_INTERFACE:
		return first && bytes >= FT_INTERFACE_MIN_BYTES;
	case FT_BLOCK_FILLER:
		return bytes <= FT_BLOCK_MAX_BYTES;
	default:
		return false;
	}
}

static enum ft_span_stop why_none(const uint8_t *at, size_t left, bool is_all)
{
	if (left == 0)
		return is_all ? FT_STOP_END : FT_STOP_NEXT;
	if (left < 8)
		return FT_STOP_CUT;
	/* What reaches beyond the file was cut if it begins like a block of ours. */
	if (ft_block_u32(at + 4) > left && ft_block_u32(at + 4) % 4 == 0 &&
	    ft_block_u32(at + 4) <= FT_BLOCK_MAX_BYTES &&
	    (ft_block_u32(at) == FT_BLOCK_ENHANCED || ft_block_u32(at) == FT_BLOCK_STATISTICS))
		return is_all ? FT_STOP_CUT : FT_STOP_NEXT;
	return FT_STOP_STRUCTURE;
}

static bool is_block_boundary(const struct ft_span *span, size_t bytes)
{
	size_t used = 0;

	while (used < bytes)
		used += ft_block_u32(span->at + used + 4);
	return used == bytes;
}

/* A mark ends a chunk at `used`. 1: the span is that chunk; -1: other blocks stand before it. */
static int take_mark(struct ft_span *span, size_t used)
{
	uint32_t bytes = span->mark.bytes;
	bool intact = false;

	if (bytes == used)
		return 1;
	if (bytes > used || !is_block_boundary(span, used - bytes))
		return 0;
	ft_pcapng_read_chunk_mark(span->at + used - bytes, bytes, &span->mark, &intact);
	return intact ? -1 : 0;
}

/* The packets of the first `bytes` bytes alone, all of them whole blocks. */
static void shorten(struct ft_span *span, size_t bytes)
{
	span->is = (struct ft_index_chunk){
		.offset = span->is.offset,
		.source = FT_CHUNK_NO_SOURCE,
		.length_bytes = (uint32_t)bytes,
	};
	for (size_t used = 0; used < bytes; used += ft_block_u32(span->at + used + 4))
		if (ft_block_u32(span->at + used) == FT_BLOCK_ENHANCED)
			note_packet(&span->is, span->at + used);
}

/* Blocks from span->at on, up to a mark, a filler, or what is none. */
static void take_blocks(const struct ft_spans *spans, size_t left, bool is_all,
			struct ft_span *span)
{
	uint64_t offset = span->is.offset;
	bool first = offset == 0;
	size_t used = 0;

	for (;;) {
		const uint8_t *at = span->at + used;
		uint32_t bytes = ft_block_bytes(at, left - used);
		uint32_t type = bytes != 0 ? ft_block_u32(at) : 0;
		int rc;

		span->is.length_bytes = (uint32_t)used;
		if (bytes == 0 || !is_sound(spans, at, bytes, offset + used, first)) {
			span->stop = why_none(at, left - used, is_all);
			return;
		}
		if (type == FT_BLOCK_FILLER) {
			if (used > 0)
				return;
			span->kind = FT_SPAN_FILLER;
			span->is.length_bytes = bytes;
			return;
		}
		used += bytes;
		span->is.length_bytes = (uint32_t)used;
		if (type == FT_BLOCK_ENHANCED)
			note_packet(&span->is, at);
		if (type != FT_BLOCK_STATISTICS)
			continue;
		note_drops(&span->is, at, bytes);
		if (!ft_pcapng_read_chunk_mark(at, bytes, &span->mark, &span->intact))
			continue;
		rc = take_mark(span, used);
		if (rc < 0) {
			shorten(span, used - span->mark.bytes);
			return;
		}
		if (rc == 0)
			continue;
		span->kind = FT_SPAN_CHUNK;
		ft_pcapng_read_chunk_mark(span->at, used, &span->mark, &span->intact);
		span->is.sequence = span->mark.sequence;
		span->is.source = span->mark.source;
		return;
	}
}

static int read_span(struct ft_spans *spans, uint64_t offset, size_t want, struct ft_span *span,
		     struct ft_error *error)
{
	size_t left;
	int rc;

	*span = (struct ft_span){
		.kind = FT_SPAN_LOOSE,
		.is = {.offset = offset, .source = FT_CHUNK_NO_SOURCE},
	};
	rc = look(spans, offset, want, &span->at, &left, error);
	if (rc < 0 || left == 0)
		return rc;
	take_blocks(spans, left, offset + left >= spans->size_bytes, span);
	return 1;
}

int ft_spans_read(struct ft_spans *spans, uint64_t offset, struct ft_span *span,
		  struct ft_error *error)
{
	int rc = read_span(spans, offset, CHUNK_BYTES, span, error);

	if (rc > 0 && span->kind == FT_SPAN_LOOSE && offset + CHUNK_BYTES < spans->size_bytes)
		rc = read_span(spans, offset, SPAN_BYTES, span, error);
	return rc;
}

static bool is_own_chunk(const struct ft_spans *spans, const struct ft_span *span)
{
	return span->kind == FT_SPAN_CHUNK && span->intact &&
	       memcmp(span->mark.session, spans->session, sizeof(spans->session)) == 0;
}

int ft_spans_find_chunk(struct ft_spans *spans, uint64_t offset, struct ft_span *span,
			struct ft_error *error)
{
	const uint64_t step = spans->aligned ? FT_CHUNK_ALIGNMENT : 4;
	size_t left = 1;

	for (uint64_t at = (offset + step - 1) / step * step; left > 0; at += step) {
		const uint8_t *bytes;
		int rc = look(spans, at, FT_BLOCK_MAX_BYTES, &bytes, &left, error);

		if (rc < 0)
			return rc;
		if (ft_block_bytes(bytes, left) == 0)
			continue;
		rc = ft_spans_read(spans, at, span, error);
		if (rc < 0)
			return rc;
		if (rc > 0 && is_own_chunk(spans, span))
			return 1;
		/* Whole blocks up to an intact chunk need not be looked at one by one. */
		if (rc > 0 && span->kind == FT_SPAN_LOOSE && span->stop == FT_STOP_NEXT &&
		    span->is.length_bytes >= step)
			at = (at + span->is.length_bytes) / step * step - step;
	}
	return 0;
}

int ft_spans_finish(struct ft_spans *spans, struct ft_error *error)
{
	const uint8_t *at;
	size_t left;

	return look(spans, spans->size_bytes, 1, &at, &left, error);
}

bool ft_spans_confirm(struct ft_spans *spans, const struct ft_index_chunk *chunk)
{
	uint8_t end[FT_CHUNK_MARK_BYTES + 8];
	struct ft_chunk_mark mark;

	if (chunk->length_bytes < sizeof(end) ||
	    pread(spans->fd, end, sizeof(end),
		  (off_t)(chunk->offset + chunk->length_bytes - sizeof(end))) !=
		    (ssize_t)sizeof(end))
		return false;
	memcpy(&mark, end, sizeof(mark));
	return mark.sequence == chunk->sequence && mark.bytes == chunk->length_bytes &&
	       mark.source == chunk->source &&
	       memcmp(mark.session, spans->session, sizeof(spans->session)) == 0;
}

/* Interface blocks stay where they are: in a copy of the first chunk. */
static int keep_interfaces(struct ft_spans *spans, const struct ft_span *span,
			   struct ft_error *error)
{
	spans->first_chunk = malloc(span->is.length_bytes);
	if (spans->first_chunk == NULL)
		return ft_fail(error, -ENOMEM, "%s: out of memory", spans->path);
	memcpy(spans->first_chunk, span->at, span->is.length_bytes);
	for (uint32_t used = 0; used < span->is.length_bytes;) {
		const uint8_t *at = spans->first_chunk + used;
		uint32_t bytes = ft_block_u32(at + 4);

		if (ft_block_u32(at) == FT_BLOCK_INTERFACE) {
			if (spans->interface_count == FT_SPAN_MAX_INTERFACES)
				return ft_fail(error, -EBADMSG, "%s: more than %u interfaces",
					       spans->path, FT_SPAN_MAX_INTERFACES);
			spans->interfaces[spans->interface_count++] = (struct ft_span_interface){
				.block = at,
				.bytes = bytes,
				.snap_bytes = ft_block_u32(at + 12),
				.link_type = (uint16_t)ft_block_u32(at + 8),
			};
		}
		used += bytes;
	}
	return 0;
}

int ft_spans_open(struct ft_spans *spans, const char *path, int fd, struct ft_error *error)
{
	struct ft_span span;
	struct stat status;
	int rc;

	*spans = (struct ft_spans){
		.path = path,
		.fd = fd,
		.on_read = spans->on_read,
		.context = spans->context,
	};
	if (fstat(fd, &status) != 0)
		return ft_fail(error, -errno, "%s: %s", path, strerror(errno));
	spans->size_bytes = (uint64_t)status.st_size;
	spans->window = malloc(WINDOW_BYTES);
	if (spans->window == NULL)
		return ft_fail(error, -ENOMEM, "%s: out of memory", path);
	rc = read_span(spans, 0, HEADER_BYTES, &span, error);
	if (rc > 0 && span.kind == FT_SPAN_LOOSE)
		rc = ft_spans_read(spans, 0, &span, error);
	if (rc >= 0)
		rc = rc > 0 && span.kind == FT_SPAN_CHUNK &&
				     ft_block_u32(span.at) == FT_BLOCK_SECTION
			     ? keep_interfaces(spans, &span, error)
			     : -EMEDIUMTYPE;
	if (rc < 0) {
		ft_spans_close(spans);
		return rc;
	}
	memcpy(spans->session, span.mark.session, sizeof(spans->session));
	spans->header_bytes = span.is.packets == 0 ? span.is.length_bytes : 0;
	spans->is_sound = span.intact;
	spans->aligned = span.is.length_bytes % FT_CHUNK_ALIGNMENT == 0;
	return 0;
}

void ft_spans_limit(struct ft_spans *spans, uint64_t size_bytes)
{
	if (size_bytes >= spans->size_bytes)
		return;
	spans->size_bytes = size_bytes;
	if (spans->window_offset + spans->window_bytes > size_bytes)
		spans->window_offset = spans->window_bytes = 0;
}

void ft_spans_close(struct ft_spans *spans)
{
	free(spans->window);
	free(spans->first_chunk);
	spans->window = spans->first_chunk = NULL;
}

const uint8_t *ft_block_find_option(const uint8_t *block, uint32_t bytes, uint32_t fixed_bytes,
				    uint16_t code, uint16_t *length)
{
	uint32_t at = fixed_bytes, end = bytes - 4;

	while (at + 4 <= end) {
		uint32_t header = ft_block_u32(block + at);
		uint32_t count = header >> 16;

		at += 4;
		if ((header & 0xffffu) == 0 || count > end - at)
			return NULL;
		if ((header & 0xffffu) == code) {
			*length = (uint16_t)count;
			return block + at;
		}
		at += (count + 3u) & ~3u;
	}
	return NULL;
}

static uint64_t read_count(const uint8_t *block, uint32_t bytes, uint16_t code)
{
	uint64_t count = UINT64_MAX;
	uint16_t length = 0;
	const uint8_t *value = ft_block_find_option(block, bytes, 20, code, &length);

	if (value != NULL && length == sizeof(count))
		memcpy(&count, value, sizeof(count));
	return count;
}

void ft_statistics_read(const uint8_t *block, uint32_t bytes,
			struct ft_pcapng_statistics *statistics)
{
	uint64_t drops[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
	uint16_t length = 0;
	const uint8_t *value = ft_block_find_option(block, bytes, 20, 0x8002, &length);

	if (value != NULL && length == sizeof(drops))
		memcpy(drops, value, sizeof(drops));
	*statistics = (struct ft_pcapng_statistics){
		.interface = ft_block_u32(block + 8),
		.now_ns = (uint64_t)ft_block_u32(block + 12) << 32 | ft_block_u32(block + 16),
		.delivered = read_count(block, bytes, 8),
		.received = read_count(block, bytes, 4),
		.missed = read_count(block, bytes, 5),
		.accepted = read_count(block, bytes, 6),
		.os_drops = read_count(block, bytes, 7),
		.ring_drops = drops[0],
		.disk_drops = drops[1],
		.excess = drops[2],
	};
	statistics->counts_port = statistics->received != UINT64_MAX;
}
