/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ft_index_filters {
	uint8_t log2_bits[FT_INDEX_FILTERS];
	const uint8_t *bits[FT_INDEX_FILTERS];
};

struct ft_index_reader {
	char *path;
	FILE *file;
	struct ft_flow_key key;
	uint64_t file_bytes;
	uint64_t end_offset; /* of the chunk before: chunks lie behind each other */
	struct ft_index_filters filters;
	uint8_t body[FT_INDEX_MAX_BODY_BYTES];
	char buffer[64u << 10]; /* the file's: stdio's own is a page, whatever it is asked for */
};

static int damaged(const struct ft_index_reader *reader, const char *what, struct ft_error *error)
{
	return ft_fail(error, -EBADMSG, "index %s: %s", reader->path, what);
}

/* 1 with a record's body, 0 where the file ends before it does. */
static int read_record(struct ft_index_reader *reader, struct ft_index_record *record,
		       struct ft_error *error)
{
	if (fread(record, sizeof(*record), 1, reader->file) != 1)
		return 0;
	if (record->bytes > sizeof(reader->body))
		return damaged(reader, "a record is too long", error);
	if (record->bytes > 0 && fread(reader->body, record->bytes, 1, reader->file) != 1)
		return 0;
	if (record->crc32c != ft_index_crc(reader->body, record->bytes))
		return damaged(reader, "a record's checksum is wrong", error);
	return 1;
}

static int read_beginning(struct ft_index_reader *reader, struct ft_error *error)
{
	struct ft_index_record record;
	char magic[FT_INDEX_MAGIC_BYTES];
	int rc;

	if (fread(magic, sizeof(magic), 1, reader->file) != 1 ||
	    memcmp(magic, FT_INDEX_MAGIC, sizeof(magic)) != 0)
		return damaged(reader, "not an index that this version knows", error);
	rc = read_record(reader, &record, error);
	if (rc < 0)
		return rc;
	if (rc == 0 || record.kind != FT_INDEX_KEY || record.bytes != sizeof(reader->key))
		return damaged(reader, "it does not begin with its key", error);
	memcpy(&reader->key, reader->body, sizeof(reader->key));
	return 0;
}

int ft_index_open(const char *path, struct ft_index_reader **opened, struct ft_error *error)
{
	struct ft_index_reader *reader = calloc(1, sizeof(*reader));
	int rc;

	if (reader == NULL || (reader->path = strdup(path)) == NULL) {
		free(reader);
		return ft_fail(error, -ENOMEM, "index %s: out of memory", path);
	}
	reader->file = fopen(path, "re");
	if (reader->file != NULL)
		setvbuf(reader->file, reader->buffer, _IOFBF, sizeof(reader->buffer));
	if (reader->file == NULL)
		rc = ft_fail(error, -errno, "index %s: %s", path, strerror(errno));
	else
		rc = read_beginning(reader, error);
	if (rc != 0) {
		ft_index_close_reader(reader);
		return rc;
	}
	*opened = reader;
	return 0;
}

/* Where each filter lies in the body; they fill it exactly. */
static bool find_filters(struct ft_index_reader *reader, const struct ft_index_folds *folds,
			 size_t bytes)
{
	size_t at = FT_INDEX_CHUNK_BYTES;

	for (unsigned i = 0; i < FT_INDEX_FILTERS; i++) {
		uint8_t log2 = folds->log2_bits[i];

		if (log2 != 0 && (log2 < FT_INDEX_MIN_LOG2 || log2 > ft_index_max_log2[i]))
			return false;
		reader->filters.log2_bits[i] = log2;
		reader->filters.bits[i] = reader->body + at;
		if (log2 != 0)
			at += (size_t)1 << log2 >> 3;
		if (at > bytes)
			return false;
	}
	return at == bytes;
}

static int take_chunk(struct ft_index_reader *reader, size_t bytes, struct ft_index_chunk *chunk,
		      struct ft_error *error)
{
	struct ft_index_folds folds;

	if (bytes < FT_INDEX_CHUNK_BYTES)
		return damaged(reader, "a chunk's record is too short", error);
	memcpy(chunk, reader->body, sizeof(*chunk));
	memcpy(&folds, reader->body + sizeof(*chunk), sizeof(folds));
	if (!find_filters(reader, &folds, bytes))
		return damaged(reader, "a chunk's filters do not fit its record", error);
	if (chunk->offset < reader->end_offset || chunk->offset > INT64_MAX)
		return damaged(reader, "its chunks overlap", error);
	reader->end_offset = chunk->offset + chunk->length_bytes;
	return 1;
}

int ft_index_next(struct ft_index_reader *reader, struct ft_index_chunk *chunk,
		  const struct ft_index_filters **filters, struct ft_error *error)
{
	struct ft_index_record record;
	int rc = reader->file_bytes != 0 ? 0 : read_record(reader, &record, error);

	if (rc <= 0)
		return rc;
	if (record.kind == FT_INDEX_CHUNK) {
		*filters = &reader->filters;
		return take_chunk(reader, record.bytes, chunk, error);
	}
	if (record.kind != FT_INDEX_END || record.bytes != sizeof(reader->file_bytes))
		return damaged(reader, "a record of unknown kind", error);
	memcpy(&reader->file_bytes, reader->body, sizeof(reader->file_bytes));
	if (reader->file_bytes < reader->end_offset)
		return damaged(reader, "its chunks lie outside the capture", error);
	return 0;
}

uint64_t ft_index_file_bytes(const struct ft_index_reader *reader)
{
	return reader->file_bytes;
}

const struct ft_flow_key *ft_index_key(const struct ft_index_reader *reader)
{
	return &reader->key;
}

static bool has_bit(const struct ft_index_filters *filters, enum ft_index_filter which,
		    uint64_t position)
{
	if (filters->log2_bits[which] == 0)
		return false;
	position &= ((uint64_t)1 << filters->log2_bits[which]) - 1;
	return filters->bits[which][position / 8] >> position % 8 & 1;
}

bool ft_index_may_hold_flow(const struct ft_index_filters *filters, uint64_t hash)
{
	return has_bit(filters, FT_INDEX_FLOWS, hash) &&
	       has_bit(filters, FT_INDEX_FLOWS, hash >> 32);
}

bool ft_index_may_hold_address(const struct ft_index_filters *filters, uint64_t hash)
{
	return has_bit(filters, FT_INDEX_ADDRESSES, hash) &&
	       has_bit(filters, FT_INDEX_ADDRESSES, hash >> 32);
}

bool ft_index_may_hold_port(const struct ft_index_filters *filters, uint16_t port)
{
	return has_bit(filters, FT_INDEX_PORTS, port);
}

bool ft_index_may_hold_vlan(const struct ft_index_filters *filters, uint16_t vlan)
{
	return has_bit(filters, FT_INDEX_VLANS, vlan);
}

void ft_index_close_reader(struct ft_index_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->file != NULL)
		fclose(reader->file);
	free(reader->path);
	free(reader);
}
