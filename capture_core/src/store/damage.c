/* SPDX-License-Identifier: Apache-2.0 */
#include "store/damage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/settled.h"
#include "store/span.h"

/* The least that a disk writes at once: what was never written reads as so many zeros. */
#define SECTOR_BYTES 512u
#define READ_BYTES   (64u << 10)

struct search {
	const char *path;
	int fd;
	bool unsure;
	uint64_t written_bytes; /* beyond them there are zeros alone */
	struct ft_damage *damage;
	struct ft_error *error;
};

static bool is_zero(const uint8_t *bytes, size_t count)
{
	return count == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, count - 1) == 0);
}

/* Space that was reserved and never written: where the file system knows of it, it is not read. */
static uint64_t find_written_bytes(int fd, uint64_t size_bytes)
{
	off_t size = (off_t)size_bytes, hole = 0, data = 0;

	while (data >= 0 && (hole = lseek(fd, data, SEEK_HOLE)) >= 0 && hole < size)
		data = lseek(fd, hole, SEEK_DATA);
	if (hole < 0 || hole >= size || errno != ENXIO)
		return size_bytes;
	return (uint64_t)hole;
}

/* How many of the bytes there are not just zeros up to the piece's end. */
static int measure(struct search *search, struct ft_damage_piece *piece)
{
	static const size_t most = READ_BYTES;
	uint8_t bytes[READ_BYTES];
	uint64_t left = piece->bytes;

	if (piece->offset + left > search->written_bytes)
		left = search->written_bytes > piece->offset ? search->written_bytes - piece->offset
							     : 0;
	while (left > 0) {
		size_t count = left < most ? (size_t)left : most;
		ssize_t got =
			pread(search->fd, bytes, count, (off_t)(piece->offset + left - count));

		if (got != (ssize_t)count)
			return ft_fail(search->error, -EIO, "%s: cannot read: %s", search->path,
				       strerror(got < 0 ? errno : EIO));
		if (!is_zero(bytes, count)) {
			while (bytes[count - 1] == 0)
				count--, left--;
			break;
		}
		left -= count;
	}
	/* A hole is kept whole or not at all, so that its place tells where it was. */
	piece->saved_bytes = piece->is_tail || left == 0 ? left : piece->bytes;
	return 0;
}

static int add_piece(struct search *search, uint64_t offset, uint64_t bytes, bool is_tail)
{
	struct ft_damage *damage = search->damage;
	struct ft_damage_piece *grown =
		reallocarray(damage->pieces, damage->count + 1, sizeof(*grown));

	if (grown == NULL)
		return ft_fail(search->error, -ENOMEM, "%s: out of memory", search->path);
	damage->pieces = grown;
	grown[damage->count] = (struct ft_damage_piece){
		.offset = offset,
		.bytes = bytes,
		.is_tail = is_tail,
	};
	return measure(search, &grown[damage->count++]);
}

static bool has_zero_sector(const uint8_t *block, uint32_t bytes, uint64_t offset)
{
	uint32_t at = (uint32_t)(-offset % SECTOR_BYTES);

	for (; at + SECTOR_BYTES <= bytes; at += SECTOR_BYTES)
		if (is_zero(block + at, SECTOR_BYTES))
			return true;
	return false;
}

/*
 * How much of a span to keep of which no checksum says that it is right. `last_bytes`: the last
 * block of that.
 */
static uint32_t trusted_bytes(const struct search *search, const struct ft_span *span,
			      uint32_t *last_bytes)
{
	uint32_t used = 0;

	*last_bytes = 0;
	while (used < span->is.length_bytes) {
		const uint8_t *at = span->at + used;
		uint32_t bytes = ft_block_u32(at + 4);

		/* The filler of a chunk's end is zeros by nature. */
		if (search->unsure && ft_block_u32(at) == FT_BLOCK_ENHANCED &&
		    has_zero_sector(at, bytes, span->is.offset + used))
			break;
		used += bytes;
		*last_bytes = bytes;
	}
	return used;
}

/* From `offset` on there are no whole blocks; the file goes on at *next, or nowhere. */
static int add_break(struct search *search, struct ft_spans *spans, uint64_t offset,
		     uint32_t last_bytes, uint64_t *next)
{
	struct ft_span chunk;
	int rc = ft_spans_find_chunk(spans, offset, &chunk, search->error);

	if (rc < 0)
		return rc;
	*next = rc > 0 ? chunk.is.offset : search->damage->size_bytes;
	/* Too narrow for a block: the one before goes with it. */
	if (rc > 0 && *next - offset > 0 && *next - offset < FT_BLOCK_MIN_BYTES)
		offset -= last_bytes;
	if (*next == offset)
		return 0;
	return add_piece(search, offset, *next - offset, rc == 0);
}

static bool is_kept(const struct search *search, const struct ft_spans *spans,
		    const struct ft_span *span)
{
	bool same = memcmp(span->mark.session, spans->session, sizeof(spans->session)) == 0;

	return span->kind == FT_SPAN_FILLER ||
	       (span->kind == FT_SPAN_CHUNK && span->intact && (same || !search->unsure));
}

static int find_in_chunks(struct search *search, struct ft_spans *spans)
{
	uint64_t page = FT_CHUNK_ALIGNMENT, offset;
	struct ft_span span;
	int rc;

	ft_spans_limit(spans, (search->written_bytes + page - 1) / page * page);
	offset = search->unsure ? ft_settled_bytes(spans, FT_SETTLED_MARGIN_BYTES) : 0;
	while ((rc = ft_spans_read(spans, offset, &span, search->error)) > 0) {
		uint32_t last_bytes, good;
		bool whole;

		if (is_kept(search, spans, &span)) {
			offset += span.is.length_bytes;
			continue;
		}
		good = span.kind == FT_SPAN_CHUNK && span.intact
			       ? 0
			       : trusted_bytes(search, &span, &last_bytes);
		whole = good == span.is.length_bytes && good > 0 &&
			(span.kind == FT_SPAN_CHUNK || span.stop == FT_STOP_NEXT ||
			 span.stop == FT_STOP_END);
		offset += good;
		if (!whole)
			rc = add_break(search, spans, offset, good > 0 ? last_bytes : 0, &offset);
		if (rc < 0)
			return rc;
	}
	if (rc == 0 && offset < search->damage->size_bytes)
		rc = add_piece(search, offset, search->damage->size_bytes - offset, true);
	return rc;
}

/*
 * Space that was reserved reads as zeros, of which a pcap record's header could be made as well as
 * its frame: nothing that begins in the last written page and reaches beyond it was written whole.
 */
static int find_written_end(struct search *search, uint64_t *end)
{
	struct ft_damage_piece all = {.bytes = search->damage->size_bytes, .is_tail = true};
	uint64_t page = FT_CHUNK_ALIGNMENT;
	int rc = measure(search, &all);

	*end = (all.saved_bytes + page - 1) / page * page;
	if (!search->unsure || *end > all.bytes)
		*end = all.bytes;
	return rc;
}

static bool is_nothing(const struct ft_record *record)
{
	return record->stamp_ns == 0 && record->captured_bytes == 0 && record->length_bytes == 0;
}

static int find_in_records(struct search *search, struct ft_reader *reader, uint64_t written_end)
{
	uint64_t good = ft_reader_offset(reader);
	struct ft_record record;
	int rc;

	while ((rc = ft_reader_next(reader, &record, search->error)) > 0) {
		if (is_nothing(&record) || ft_reader_offset(reader) > written_end)
			break;
		good = ft_reader_offset(reader);
	}
	if (rc == 0)
		good = ft_reader_offset(reader); /* blocks without packets at the end too */
	if (rc < 0 && rc != -EBADMSG)
		return rc;
	if (good >= search->damage->size_bytes)
		return 0;
	return add_piece(search, good, search->damage->size_bytes - good, true);
}

static int find_in_other(struct search *search)
{
	struct ft_reader *reader;
	uint64_t written_end;
	char path[32];
	int rc = find_written_end(search, &written_end);

	if (rc != 0)
		return rc;
	/* The very file that is locked, whatever its name stands for by now. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", search->fd);
	rc = ft_reader_open(path, NULL, &reader, search->error);
	if (rc == -EBADMSG && search->unsure) {
		search->damage->is_all = true;
		return add_piece(search, 0, search->damage->size_bytes, true);
	}
	if (rc != 0)
		return rc == -EBADMSG
			       ? ft_fail(search->error, rc, "%s: not a capture", search->path)
			       : rc;
	if (ft_reader_is_packed(reader))
		rc = ft_fail(search->error, -EBADMSG,
			     "%s: is compressed; unpack it with gunzip first", search->path);
	else
		rc = find_in_records(search, reader, written_end);
	ft_reader_close(reader);
	return rc;
}

int ft_damage_find(const char *path, int fd, bool unsure, struct ft_damage *damage,
		   struct ft_error *error)
{
	struct search search = {
		.path = path,
		.fd = fd,
		.unsure = unsure,
		.damage = damage,
		.error = error,
	};
	struct ft_spans spans = {0};
	struct stat status;
	int rc;

	if (fstat(fd, &status) != 0)
		return ft_fail(error, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return ft_fail(error, -EINVAL, "%s: not a file", path);
	damage->size_bytes = (uint64_t)status.st_size;
	search.written_bytes = find_written_bytes(fd, damage->size_bytes);
	rc = ft_spans_open(&spans, path, fd, error);
	if (rc != 0 && rc != -EMEDIUMTYPE)
		return rc;
	/* With headers that are not to be trusted it is as good as anybody's. */
	if (rc == 0 && spans.is_sound)
		rc = find_in_chunks(&search, &spans);
	else
		rc = find_in_other(&search);
	ft_spans_close(&spans);
	return rc;
}

void ft_damage_free(struct ft_damage *damage)
{
	free(damage->pieces);
}
