/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going through an input's frames. Run for every frame of every chunk that is read: about 10 ns for
 * one that does not match. What is read is untrusted, also where an index led to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/extract_input.h"
#include "store/extract_run.h"

/* Others' frames are looked at one by one; an interruption is heard after so many. */
#define FRAMES_AT_A_TIME 4096u
#define HUGE_PAGE_BYTES	 ((size_t)2 << 20)

struct ft_extract_cursor {
	struct ft_extract_input *input;
	const struct ft_match *match;
	uint32_t source;
	size_t next_piece;
	uint64_t stamp_ns; /* of the present frame */
	/* Ours. */
	int fd;
	uint8_t *chunk;
	size_t room, bytes, used;
	const uint8_t *block; /* the present frame */
	uint32_t interface_count;
	/* Others'. */
	struct ft_reader *reader;
	struct ft_record record;
	bool is_pending; /* `record` has been read and not been looked at */
	uint64_t end;	 /* of the present run of records */
	uint64_t record_count;
};

static int damaged(const struct ft_extract_cursor *cursor, uint64_t offset, struct ft_error *error)
{
	return ft_fail(error, -EBADMSG, "%s: damaged at byte %llu; ft-extract --repair mends it",
		       cursor->input->path, (unsigned long long)offset);
}

static int interrupted(struct ft_error *error)
{
	return ft_fail(error, -EINTR, "interrupted");
}

static int open_other(struct ft_extract_cursor *cursor, struct ft_error *error)
{
	struct ft_extract_input *input = cursor->input;
	int rc = 0;

	cursor->end = UINT64_MAX;
	if (input->reader != NULL) { /* handed over with its first frame */
		cursor->reader = input->reader;
		cursor->record = input->record;
		input->reader = NULL;
		cursor->is_pending = true;
		return 0;
	}
	rc = ft_reader_open(input->path, NULL, &cursor->reader, error);
	if (rc == 0 && !input->sequential) {
		/* Beyond the first frame all interfaces are known. */
		rc = ft_reader_next(cursor->reader, &cursor->record, error);
		cursor->end = 0;
	}
	return rc < 0 ? rc : 0;
}

int ft_extract_cursor_open(struct ft_extract_input *input, uint32_t source,
			   const struct ft_match *match, struct ft_extract_cursor **cursor,
			   struct ft_error *error)
{
	struct ft_extract_cursor *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (c == NULL)
		return ft_fail(error, -ENOMEM, "%s: out of memory", input->path);
	*c = (struct ft_extract_cursor){
		.input = input,
		.match = match,
		.source = input->ours ? input->sources[source] : 0,
		.fd = -1,
		.interface_count = input->number_count,
	};
	if (input->ours)
		c->fd = open(input->path, O_RDONLY | O_CLOEXEC);
	if (!input->ours)
		rc = open_other(c, error);
	else if (c->fd < 0)
		rc = ft_fail(error, -errno, "%s: cannot open: %s", input->path, strerror(errno));
	if (rc != 0) {
		ft_extract_cursor_close(c);
		return rc;
	}
	*cursor = c;
	return 0;
}

/* In huge pages where there are some: a chunk of 4 MiB has a thousand small ones to be faulted in.
 */
static bool make_room(struct ft_extract_cursor *cursor, size_t bytes)
{
	size_t room = (bytes + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);

	free(cursor->chunk);
	cursor->room = 0;
	cursor->chunk = aligned_alloc(HUGE_PAGE_BYTES, room);
	if (cursor->chunk == NULL)
		return false;
	if (bytes > HUGE_PAGE_BYTES)
		madvise(cursor->chunk, room, MADV_HUGEPAGE);
	cursor->room = room;
	return true;
}

/* 1 with the next chunk of the cursor's source in memory, 0 when there is none. */
static int load_chunk(struct ft_extract_cursor *cursor, struct ft_error *error)
{
	const struct ft_extract_input *input = cursor->input;
	const struct ft_extract_piece *piece;
	ssize_t got;

	while (cursor->next_piece < input->piece_count &&
	       input->pieces[cursor->next_piece].source != cursor->source)
		cursor->next_piece++;
	if (cursor->next_piece == input->piece_count)
		return 0;
	if (ft_interruption_came())
		return interrupted(error);
	piece = &input->pieces[cursor->next_piece++];
	if (piece->length_bytes > cursor->room && !make_room(cursor, piece->length_bytes))
		return ft_fail(error, -ENOMEM, "%s: out of memory", input->path);
	got = pread(cursor->fd, cursor->chunk, piece->length_bytes, (off_t)piece->offset);
	if (got < 0)
		return ft_fail(error, -errno, "%s: cannot read: %s", input->path, strerror(errno));
	if ((size_t)got != piece->length_bytes)
		return damaged(cursor, piece->offset + (size_t)got, error);
	cursor->bytes = piece->length_bytes;
	cursor->used = 0;
	return 1;
}

/* The next frame of the chunk that matches, if any. */
static int next_in_chunk(struct ft_extract_cursor *cursor, struct ft_error *error)
{
	const struct ft_match *match = cursor->match;

	while (cursor->used < cursor->bytes) {
		const uint8_t *at = cursor->chunk + cursor->used;
		uint32_t bytes = ft_block_bytes(at, cursor->bytes - cursor->used);
		uint64_t stamp_ns;

		if (bytes == 0 || bytes > FT_BLOCK_MAX_BYTES)
			return damaged(cursor,
				       cursor->input->pieces[cursor->next_piece - 1].offset +
					       cursor->used,
				       error);
		cursor->used += bytes;
		if (ft_block_u32(at) != FT_BLOCK_ENHANCED)
			continue;
		if (!ft_enhanced_is_sound(at, bytes, cursor->interface_count))
			return damaged(cursor,
				       cursor->input->pieces[cursor->next_piece - 1].offset +
					       cursor->used - bytes,
				       error);
		stamp_ns = ft_enhanced_stamp_ns(at);
		if (stamp_ns < match->from_ns || stamp_ns >= match->to_ns ||
		    !ft_match_frame(match, at + 28, ft_block_u32(at + 20), ft_block_u32(at + 24)))
			continue;
		cursor->block = at;
		cursor->stamp_ns = stamp_ns;
		return 1;
	}
	return 0;
}

static int next_of_ours(struct ft_extract_cursor *cursor, struct ft_error *error)
{
	int rc;

	do {
		rc = next_in_chunk(cursor, error);
		if (rc != 0)
			return rc;
		rc = load_chunk(cursor, error);
	} while (rc > 0);
	return rc;
}

/* The next record of the runs that an index left, or of all. */
static int next_record(struct ft_extract_cursor *cursor, struct ft_error *error)
{
	const struct ft_extract_input *input = cursor->input;
	int rc;

	if (cursor->is_pending) {
		cursor->is_pending = false;
		return 1;
	}
	while (cursor->end != UINT64_MAX && ft_reader_offset(cursor->reader) >= cursor->end) {
		const struct ft_extract_piece *piece;

		if (cursor->next_piece == input->piece_count)
			return 0;
		piece = &input->pieces[cursor->next_piece++];
		rc = ft_reader_seek(cursor->reader, piece->offset, error);
		if (rc < 0)
			return rc;
		cursor->end = piece->offset + piece->length_bytes;
	}
	return ft_reader_next(cursor->reader, &cursor->record, error);
}

static int next_of_others(struct ft_extract_cursor *cursor, struct ft_error *error)
{
	const struct ft_match *match = cursor->match;
	const struct ft_record *record = &cursor->record;
	int rc;

	while ((rc = next_record(cursor, error)) > 0) {
		if (++cursor->record_count % FRAMES_AT_A_TIME == 0 && ft_interruption_came())
			return interrupted(error);
		if (record->link_type != match->link_type)
			return ft_fail(error, -EINVAL,
				       "%s: has frames of link types %u and %u; one file holds one",
				       cursor->input->path, match->link_type, record->link_type);
		cursor->stamp_ns = record->stamp_ns;
		if (record->stamp_ns >= match->from_ns && record->stamp_ns < match->to_ns &&
		    ft_match_frame(match, record->data, record->captured_bytes,
				   record->length_bytes))
			return 1;
	}
	return rc;
}

int ft_extract_cursor_next(struct ft_extract_cursor *cursor, struct ft_error *error)
{
	return cursor->input->ours ? next_of_ours(cursor, error) : next_of_others(cursor, error);
}

uint64_t ft_extract_cursor_stamp_ns(const struct ft_extract_cursor *cursor)
{
	return cursor->stamp_ns;
}

/* Others' interfaces are met one by one. */
static int number_interface(struct ft_extract_input *input, const struct ft_record *record,
			    struct ft_extract_output *output, struct ft_error *error)
{
	uint32_t count = record->interface + 1;
	uint32_t *grown;

	if (record->interface >= input->number_count) {
		grown = reallocarray(input->numbers, count, sizeof(*grown));
		if (grown == NULL)
			return ft_fail(error, -ENOMEM, "%s: out of memory", input->path);
		for (uint32_t i = input->number_count; i < count; i++)
			grown[i] = UINT32_MAX;
		input->numbers = grown;
		input->number_count = count;
	}
	if (input->numbers[record->interface] != UINT32_MAX)
		return 0;
	return ft_extract_output_add_interface(output, input->path, record->link_type,
					       &input->numbers[record->interface], error);
}

int ft_extract_cursor_write(struct ft_extract_cursor *cursor, struct ft_extract_output *output,
			    struct ft_error *error)
{
	struct ft_extract_input *input = cursor->input;
	int rc;

	input->packets++;
	if (input->ours) {
		input->bytes += ft_block_u32(cursor->block + 20);
		return ft_extract_output_put_block(output, cursor->block,
						   input->numbers[ft_block_u32(cursor->block + 8)],
						   error);
	}
	input->bytes += cursor->record.captured_bytes;
	rc = number_interface(input, &cursor->record, output, error);
	return rc < 0 ? rc
		      : ft_extract_output_put_record(output, &cursor->record,
						     input->numbers[cursor->record.interface],
						     error);
}

void ft_extract_cursor_close(struct ft_extract_cursor *cursor)
{
	if (cursor == NULL)
		return;
	if (cursor->fd >= 0)
		close(cursor->fd);
	free(cursor->chunk);
	ft_reader_close(cursor->reader);
	free(cursor);
}
