/* SPDX-License-Identifier: Apache-2.0 */
/* An index made of the capture itself. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipe/summary.h"
#include "store/extract_run.h"
#include "store/reader.h"
#include "store/span.h"

/* Records of a file that has no chunks are taken together up to so many bytes. */
#define RUN_BYTES (4u << 20)

struct reindex {
	const char *path;
	struct ft_flow_key key;
	struct ft_index_writer *writer;
	struct ft_summary summary;
	struct ft_flow_table table;
	struct ft_error *error;
};

static void note(struct reindex *reindex, uint16_t link_type, const uint8_t *frame,
		 uint32_t captured_bytes)
{
	struct ft_flow flow;

	ft_flow_read(&reindex->key, link_type, frame, captured_bytes, &flow);
	ft_summary_note(&reindex->summary, &reindex->table, &reindex->key, &flow);
}

static int add_span(struct reindex *reindex, const struct ft_spans *spans,
		    const struct ft_span *span)
{
	ft_summary_begin(&reindex->summary, &reindex->table);
	for (uint32_t used = 0; used < span->is.length_bytes;) {
		const uint8_t *at = span->at + used;

		if (ft_block_u32(at) == FT_BLOCK_ENHANCED)
			note(reindex, spans->interfaces[ft_block_u32(at + 8)].link_type, at + 28,
			     ft_block_u32(at + 20));
		used += ft_block_u32(at + 4);
	}
	return ft_index_add(reindex->writer, &span->is,
			    span->is.packets > 0 ? &reindex->summary : NULL, reindex->error);
}

static int add_chunks(struct reindex *reindex, struct ft_spans *spans)
{
	uint64_t offset = 0;
	struct ft_span span;
	int rc;

	while ((rc = ft_spans_read(spans, offset, &span, reindex->error)) > 0) {
		if (span.is.length_bytes == 0)
			return ft_fail(reindex->error, -EBADMSG,
				       "%s: damaged at byte %llu; ft-extract --repair mends it",
				       reindex->path, (unsigned long long)offset);
		rc = add_span(reindex, spans, &span);
		if (rc < 0)
			return rc;
		offset += span.is.length_bytes;
	}
	return rc;
}

static void widen(struct ft_index_chunk *run, const struct ft_record *record)
{
	if (run->packets == 0)
		run->first_ns = run->last_ns = record->stamp_ns;
	run->packets++;
	run->bytes += record->captured_bytes;
	if (record->stamp_ns < run->last_ns)
		run->disordered++;
	else
		run->last_ns = record->stamp_ns;
	if (record->stamp_ns < run->first_ns)
		run->first_ns = record->stamp_ns;
}

static int end_run(struct reindex *reindex, struct ft_index_chunk *run, uint64_t offset)
{
	int rc;

	run->length_bytes = (uint32_t)(offset - run->offset);
	rc = run->packets > 0
		     ? ft_index_add(reindex->writer, run, &reindex->summary, reindex->error)
		     : 0;
	*run = (struct ft_index_chunk){
		.offset = offset,
		.sequence = run->sequence + 1,
		.source = FT_CHUNK_NO_SOURCE,
	};
	ft_summary_begin(&reindex->summary, &reindex->table);
	return rc;
}

/* An extraction goes on in the middle of the file: all interfaces must be known by then. */
static bool begins_with_interfaces(const struct ft_reader *reader, uint32_t count)
{
	return reader->first_interface == 0 && reader->interface_count == count;
}

static int add_records(struct reindex *reindex, struct ft_reader *reader)
{
	struct ft_index_chunk run = {.source = FT_CHUNK_NO_SOURCE};
	struct ft_record record;
	uint32_t interfaces = 0;
	uint64_t offset;
	int rc;

	ft_summary_begin(&reindex->summary, &reindex->table);
	for (bool first = true;; first = false) {
		offset = ft_reader_offset(reader);
		if (first || offset - run.offset >= RUN_BYTES) {
			rc = end_run(reindex, &run, offset);
			if (rc < 0)
				return rc;
		}
		rc = ft_reader_next(reader, &record, reindex->error);
		if (rc <= 0)
			break;
		if (first)
			interfaces = reader->interface_count;
		if (!begins_with_interfaces(reader, interfaces))
			return ft_fail(reindex->error, -EINVAL,
				       "--reindex %s: describes interfaces after its first frame; "
				       "such a file is read without an index",
				       reindex->path);
		widen(&run, &record);
		note(reindex, record.link_type, record.data, record.captured_bytes);
	}
	return rc < 0 ? rc : end_run(reindex, &run, ft_reader_offset(reader));
}

static int add_other(struct reindex *reindex)
{
	struct ft_reader *reader;
	int rc = ft_reader_open(reindex->path, NULL, &reader, reindex->error);

	if (rc != 0)
		return rc;
	if (ft_reader_is_packed(reader))
		rc = ft_fail(reindex->error, -EINVAL,
			     "--reindex %s: is compressed; such a file is read without an index",
			     reindex->path);
	else
		rc = add_records(reindex, reader);
	ft_reader_close(reader);
	return rc;
}

static int fill(struct reindex *reindex, int fd)
{
	struct ft_spans spans = {0};
	int rc = ft_spans_open(&spans, reindex->path, fd, reindex->error);

	if (rc == -EMEDIUMTYPE)
		return add_other(reindex);
	if (rc == 0) {
		rc = add_chunks(reindex, &spans);
		ft_spans_close(&spans);
	}
	return rc;
}

int ft_reindex_file(const char *path, struct ft_error *error)
{
	struct reindex *reindex = calloc(1, sizeof(*reindex));
	char name[PATH_MAX + 8];
	struct ft_error ignored;
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = 0;

	if (reindex == NULL)
		rc = ft_fail(error, -ENOMEM, "--reindex %s: out of memory", path);
	else if (fd < 0 || fstat(fd, &status) != 0)
		rc = ft_fail(error, -errno, "--reindex %s: %s", path, strerror(errno));
	else if (!S_ISREG(status.st_mode))
		rc = ft_fail(error, -EINVAL, "--reindex %s: not a file", path);
	if (rc != 0)
		goto out;
	reindex->path = path;
	reindex->error = error;
	if (getrandom(&reindex->key, sizeof(reindex->key), 0) != sizeof(reindex->key))
		rc = ft_fail(error, -EIO, "--reindex %s: no random bytes", path);
	snprintf(name, sizeof(name), "%s" FT_INDEX_SUFFIX, path);
	if (rc == 0)
		rc = ft_index_create(name, &reindex->key, &reindex->writer, error);
	if (rc != 0)
		goto out;
	rc = fill(reindex, fd);
	if (rc == 0)
		rc = ft_index_close(reindex->writer, (uint64_t)status.st_size, error);
	else
		ft_index_close(reindex->writer, 0, &ignored);
out:
	free(reindex);
	if (fd >= 0)
		close(fd);
	return rc;
}
