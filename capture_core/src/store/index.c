/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an index: run by the indexer thread, a record a chunk. */
#include "store/index.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <isa-l/crc.h>

#define BUFFER_BYTES (64u << 10)

/* A filter keeps so many bits for each one set: at two bits an item, 1 in 256 is found falsely. */
#define BITS_PER_SET_BIT 16u

struct ft_index_writer {
	char path[PATH_MAX];
	char partial[PATH_MAX + sizeof(".partial")];
	FILE *file;
	uint8_t body[FT_INDEX_MAX_BODY_BYTES];
};

uint32_t ft_index_crc(const void *body, size_t bytes)
{
	return crc32_iscsi((unsigned char *)body, (int)bytes, 0xffffffffu) ^ 0xffffffffu;
}

static int refuse(struct ft_index_writer *writer, int code, struct ft_error *error)
{
	return ft_fail(error, code, "index %s: %s", writer->path, strerror(-code));
}

static int put_record(struct ft_index_writer *writer, enum ft_index_kind kind, const void *body,
		      size_t bytes, struct ft_error *error)
{
	const struct ft_index_record record = {
		.kind = kind,
		.bytes = (uint32_t)bytes,
		.crc32c = ft_index_crc(body, bytes),
	};

	errno = 0;
	if (fwrite(&record, sizeof(record), 1, writer->file) != 1 ||
	    fwrite(body, bytes, 1, writer->file) != 1)
		return refuse(writer, errno != 0 ? -errno : -EIO, error);
	return 0;
}

int ft_index_create(const char *path, const struct ft_flow_key *key,
		    struct ft_index_writer **writer, struct ft_error *error)
{
	struct ft_index_writer *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (w == NULL)
		return ft_fail(error, -ENOMEM, "index %s: out of memory", path);
	snprintf(w->path, sizeof(w->path), "%s", path);
	snprintf(w->partial, sizeof(w->partial), "%s.partial", path);
	if (strlen(path) >= sizeof(w->path))
		rc = refuse(w, -ENAMETOOLONG, error);
	unlink(w->partial); /* a dead engine's; nor is another's link followed */
	if (rc == 0 && (w->file = fopen(w->partial, "wxe")) == NULL)
		rc = refuse(w, -errno, error);
	if (rc == 0) {
		setvbuf(w->file, NULL, _IOFBF, BUFFER_BYTES);
		fwrite(FT_INDEX_MAGIC, FT_INDEX_MAGIC_BYTES, 1, w->file);
		rc = put_record(w, FT_INDEX_KEY, key, sizeof(*key), error);
	}
	if (rc != 0) {
		if (w->file != NULL)
			fclose(w->file);
		free(w);
		return rc;
	}
	*writer = w;
	return 0;
}

static size_t count_bits(const uint64_t *words, size_t count)
{
	size_t set = 0;

	for (size_t i = 0; i < count; i++)
		set += (size_t)__builtin_popcountll(words[i]);
	return set;
}

/* Fold a filter of 2^full bits into `out`; returns the log2 of what it needs, 0 for nothing. */
static uint8_t fold(const uint64_t *words, uint8_t full, uint8_t *out)
{
	size_t count = (size_t)1 << full >> 6;
	size_t set = count_bits(words, count);
	uint8_t log2 = full;

	if (set == 0)
		return 0;
	while (log2 > FT_INDEX_MIN_LOG2 && (size_t)1 << (log2 - 1) >= set * BITS_PER_SET_BIT)
		log2--;
	for (size_t i = 0, kept = (size_t)1 << log2 >> 6; i < kept; i++) {
		uint64_t word = 0;

		for (size_t j = i; j < count; j += kept)
			word |= words[j];
		memcpy(out + 8 * i, &word, sizeof(word));
	}
	return log2;
}

int ft_index_add(struct ft_index_writer *writer, const struct ft_index_chunk *chunk,
		 const struct ft_summary *summary, struct ft_error *error)
{
	struct ft_index_folds folds = {0};
	size_t bytes = FT_INDEX_CHUNK_BYTES;

	if (summary != NULL) {
		const uint64_t *const full[FT_INDEX_FILTERS] = {summary->flow, summary->address,
								summary->port, summary->vlan};

		folds.flows = summary->flows;
		for (unsigned i = 0; i < FT_INDEX_FILTERS; i++) {
			folds.log2_bits[i] =
				fold(full[i], ft_index_max_log2[i], writer->body + bytes);
			if (folds.log2_bits[i] != 0)
				bytes += (size_t)1 << folds.log2_bits[i] >> 3;
		}
	}
	memcpy(writer->body, chunk, sizeof(*chunk));
	memcpy(writer->body + sizeof(*chunk), &folds, sizeof(folds));
	return put_record(writer, FT_INDEX_CHUNK, writer->body, bytes, error);
}

int ft_index_close(struct ft_index_writer *writer, uint64_t file_bytes, struct ft_error *error)
{
	int rc = 0;

	if (file_bytes != 0)
		rc = put_record(writer, FT_INDEX_END, &file_bytes, sizeof(file_bytes), error);
	if (fclose(writer->file) != 0 && rc == 0)
		rc = refuse(writer, -errno, error);
	if (rc == 0 && file_bytes != 0 && rename(writer->partial, writer->path) != 0)
		rc = refuse(writer, -errno, error);
	if (rc != 0 || file_bytes == 0)
		unlink(writer->partial);
	free(writer);
	return rc;
}
