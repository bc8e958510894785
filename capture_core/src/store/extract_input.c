/* SPDX-License-Identifier: Apache-2.0 */
/* Finding out what of an input is to be read. */
#include "store/extract_input.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/extract_run.h"

/* No chunk of ours is longer; an index that says so is not believed. */
#define MAX_CHUNK_BYTES (16u << 20)

struct preparation {
	struct ft_extract_input *input;
	struct ft_match *match;
	struct ft_spans *spans;	       /* NULL: the file is not ours */
	const struct ft_record *first; /* of a file that is not ours */
	struct ft_error *error;
};

static int agree_on_link_type(struct preparation *p, uint16_t link_type)
{
	struct ft_match *match = p->match;

	p->input->link_type = link_type;
	p->input->has_frames = true;
	if (match->link_type == link_type)
		return 0;
	if (match->link_type != UINT16_MAX)
		return ft_fail(p->error, -EINVAL,
			       "%s: has link type %u where the files before it have %u; extract "
			       "them apart, since one file holds one link type",
			       p->input->path, link_type, match->link_type);
	return ft_match_set_link_type(match, link_type, p->error);
}

static int note_source(struct preparation *p, uint32_t source)
{
	struct ft_extract_input *input = p->input;

	for (uint32_t i = 0; i < input->source_count; i++)
		if (input->sources[i] == source)
			return 0;
	if (input->source_count == FT_EXTRACT_MAX_SOURCES)
		return ft_fail(p->error, -EBADMSG, "%s: chunks of more than %u threads",
			       input->path, FT_EXTRACT_MAX_SOURCES);
	input->sources[input->source_count++] = source;
	return 0;
}

/* Keep a chunk if it can hold what is wanted. */
static int take_chunk(struct preparation *p, const struct ft_flow_key *key,
		      const struct ft_index_chunk *chunk, const struct ft_index_filters *filters)
{
	struct ft_extract_input *input = p->input;

	if (chunk->packets == 0)
		return 0;
	if (!ft_match_may_hold(p->match, key, chunk, filters)) {
		input->chunks_skipped++;
		return 0;
	}
	if (input->piece_count == input->piece_room) {
		size_t room = input->piece_room != 0 ? 2 * input->piece_room : 64;
		void *grown = reallocarray(input->pieces, room, sizeof(*input->pieces));

		if (grown == NULL)
			return ft_fail(p->error, -ENOMEM, "%s: out of memory", input->path);
		input->pieces = grown;
		input->piece_room = room;
	}
	input->pieces[input->piece_count++] = (struct ft_extract_piece){
		.offset = chunk->offset,
		.first_ns = chunk->first_ns,
		.length_bytes = chunk->length_bytes,
		.source = chunk->source,
	};
	return note_source(p, chunk->source);
}

/* Whether the file is not to be trusted right behind this span. */
static bool ends_badly(const struct ft_extract_input *input, const struct ft_span *span)
{
	if (span->kind == FT_SPAN_LOOSE)
		return span->stop != FT_STOP_NEXT || span->is.length_bytes == 0;
	return span->kind == FT_SPAN_CHUNK && !span->intact && input->is_partial;
}

/*
 * Read the file itself from `offset` up to `end`, or as far as it is whole. While it is being
 * written, only chunks whose checksum is right are whole.
 */
static int scan(struct preparation *p, uint64_t offset, uint64_t end)
{
	struct ft_extract_input *input = p->input;
	struct ft_span span;
	int rc = 0;

	while (offset < end && (rc = ft_spans_read(p->spans, offset, &span, p->error)) > 0) {
		bool broken = ends_badly(input, &span);

		rc = ft_interruption_came() ? ft_fail(p->error, -EINTR, "interrupted") : 0;
		if (rc == 0 && (!input->is_partial || (span.kind == FT_SPAN_CHUNK && span.intact)))
			rc = take_chunk(p, NULL, &span.is, NULL);
		if (rc < 0)
			return rc;
		offset += span.is.length_bytes;
		if (!broken || offset >= p->spans->size_bytes)
			continue;
		rc = ft_spans_find_chunk(p->spans, offset, &span, p->error);
		input->is_damaged |= rc > 0 || !input->is_partial;
		if (rc <= 0)
			return rc;
		offset = span.is.offset;
	}
	return rc < 0 ? rc : 0;
}

/* A chunk of the index that is where the file has one; frames of others are told by their stamp. */
static bool confirm(struct preparation *p, const struct ft_index_chunk *chunk)
{
	if (p->spans != NULL)
		return chunk->length_bytes <= MAX_CHUNK_BYTES && ft_spans_confirm(p->spans, chunk);
	return p->first->stamp_ns >= chunk->first_ns && p->first->stamp_ns <= chunk->last_ns;
}

/*
 * Go through the index. 0 with the offset up to which it told, -ESTALE when it is not this file's.
 * Ours is read itself where the index has left something out.
 */
static int read_index(struct preparation *p, struct ft_index_reader *index, uint64_t *end)
{
	const struct ft_flow_key *key = ft_index_key(index);
	const struct ft_index_filters *filters;
	struct ft_index_chunk chunk, last = {0};
	int rc;

	*end = p->spans != NULL ? p->spans->header_bytes : 0;
	while ((rc = ft_index_next(index, &chunk, &filters, p->error)) > 0) {
		if (chunk.packets > 0 && last.packets == 0 && !confirm(p, &chunk))
			return -ESTALE;
		if (p->spans != NULL && chunk.length_bytes > MAX_CHUNK_BYTES)
			return -ESTALE;
		if (p->spans != NULL && chunk.offset > *end)
			rc = scan(p, *end, chunk.offset);
		if (rc >= 0)
			rc = take_chunk(p, key, &chunk, filters);
		if (rc < 0)
			return rc;
		*end = chunk.offset + chunk.length_bytes;
		if (chunk.packets > 0)
			last = chunk;
	}
	if (rc == 0 && p->spans != NULL && last.packets > 0 && !confirm(p, &last))
		return -ESTALE;
	return rc;
}

/* CAPTURE.idx, or for CAPTURE.partial CAPTURE.idx.partial. */
static void name_index(const struct ft_extract_input *input, char *name, size_t room)
{
	size_t length = strlen(input->path);

	if (input->is_partial)
		snprintf(name, room, "%.*s" FT_INDEX_SUFFIX ".partial", (int)(length - 8),
			 input->path);
	else
		snprintf(name, room, "%s" FT_INDEX_SUFFIX, input->path);
}

static void forget_pieces(struct ft_extract_input *input)
{
	input->piece_count = 0;
	input->source_count = 0;
	input->chunks_skipped = 0;
	input->indexed = false;
}

/* 0 with the offset up to which an index told what there is: 0 without a sound one. */
static int use_index(struct preparation *p, uint64_t size_bytes, uint64_t *end)
{
	struct ft_extract_input *input = p->input;
	struct ft_index_reader *index;
	struct ft_error why;
	char name[PATH_MAX + 16];
	uint64_t told;
	int rc;

	*end = 0;
	name_index(input, name, sizeof(name));
	rc = ft_index_open(name, &index, &why);
	if (rc == -ENOENT)
		return 0;
	if (rc != 0) {
		fprintf(stderr, "ft-extract: %s; reading the whole file\n", why.text);
		return 0;
	}
	rc = read_index(p, index, end);
	told = ft_index_file_bytes(index);
	ft_index_close_reader(index);
	if (rc == 0 && (input->is_partial || told == size_bytes)) {
		input->indexed = true;
		return 0;
	}
	forget_pieces(input);
	*end = 0;
	if (rc == -EBADMSG || rc == -ESTALE || rc == 0) {
		fprintf(stderr, "ft-extract: %s: the index does not fit; reading the whole file\n",
			input->path);
		return 0;
	}
	return rc;
}

/* The number of each interface in the output. Equal ones of several files are one. */
static int number_interfaces(struct preparation *p, struct ft_extract_output *output)
{
	const struct ft_spans *spans = p->spans;
	struct ft_extract_input *input = p->input;
	int rc = 0;

	input->number_count = spans->interface_count;
	input->numbers = calloc(input->number_count + 1, sizeof(*input->numbers));
	if (input->numbers == NULL)
		return ft_fail(p->error, -ENOMEM, "%s: out of memory", input->path);
	for (uint32_t i = 0; rc == 0 && output != NULL && i < spans->interface_count; i++) {
		const struct ft_span_interface *interface = &spans->interfaces[i];
		unsigned nth = 0;

		for (uint32_t j = 0; j < i; j++)
			nth += spans->interfaces[j].bytes == interface->bytes &&
			       memcmp(spans->interfaces[j].block, interface->block,
				      interface->bytes) == 0;
		rc = ft_extract_output_add_block(output, interface, nth, &input->numbers[i],
						 p->error);
	}
	return rc;
}

static void find_first(struct ft_extract_input *input)
{
	for (size_t i = 0; i < input->piece_count; i++)
		if (i == 0 || input->pieces[i].first_ns < input->first_ns)
			input->first_ns = input->pieces[i].first_ns;
}

static int prepare_ours(struct preparation *p, struct ft_extract_output *output)
{
	struct ft_extract_input *input = p->input;
	uint64_t end;
	int rc = 0;

	input->ours = true;
	for (uint32_t i = 0; rc == 0 && i < p->spans->interface_count; i++)
		rc = agree_on_link_type(p, p->spans->interfaces[i].link_type);
	if (rc == 0)
		rc = number_interfaces(p, output);
	if (rc == 0)
		rc = use_index(p, p->spans->size_bytes, &end);
	if (rc == 0)
		rc = scan(p, end, p->spans->size_bytes);
	if (rc == 0 && input->is_damaged)
		fprintf(stderr,
			"ft-extract: %s: is damaged; what can be read is taken, and ft-extract "
			"--repair mends it\n",
			input->path);
	input->chunks_read = input->piece_count;
	find_first(input);
	return rc;
}

static int prepare_other(struct preparation *p, bool is_regular, uint64_t size_bytes)
{
	struct ft_extract_input *input = p->input;
	uint64_t end = 0;
	int rc = ft_reader_open(input->path, NULL, &input->reader, p->error);

	if (rc == 0)
		rc = ft_reader_next(input->reader, &input->record, p->error);
	if (rc == 0 && input->reader != NULL)
		return 0; /* no frames */
	if (rc < 0)
		return rc;
	input->first_ns = input->record.stamp_ns;
	input->sequential = true;
	p->first = &input->record;
	rc = agree_on_link_type(p, input->record.link_type);
	if (rc != 0 || !is_regular)
		return rc;
	if (!ft_reader_is_packed(input->reader))
		rc = use_index(p, size_bytes, &end);
	if (rc == 0 && input->indexed) {
		input->sequential = false;
		input->chunks_read = input->piece_count;
		find_first(input);
	}
	ft_reader_close(input->reader);
	input->reader = NULL;
	return rc;
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);

	return length > tail && strcmp(text + length - tail, suffix) == 0;
}

int ft_extract_input_prepare(struct ft_extract_input *input, struct ft_match *match,
			     struct ft_extract_output *output, struct ft_error *error)
{
	struct preparation p = {.input = input, .match = match, .error = error};
	struct ft_spans spans = {0};
	struct stat status = {0};
	bool is_stdin = strcmp(input->path, "-") == 0;
	int fd, rc;

	if (is_stdin || (stat(input->path, &status) == 0 && !S_ISREG(status.st_mode)))
		return prepare_other(&p, false, 0);
	fd = open(input->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ft_fail(error, -errno, "%s: cannot open: %s", input->path, strerror(errno));
	input->is_partial = ends_with(input->path, ".partial");
	rc = ft_spans_open(&spans, input->path, fd, error);
	if (rc == 0) {
		p.spans = &spans;
		rc = prepare_ours(&p, output);
		ft_spans_close(&spans);
	} else if (rc == -EMEDIUMTYPE) {
		rc = prepare_other(&p, true, (uint64_t)status.st_size);
	}
	close(fd);
	return rc;
}

void ft_extract_input_free(struct ft_extract_input *input)
{
	ft_reader_close(input->reader);
	free(input->pieces);
	free(input->numbers);
}
