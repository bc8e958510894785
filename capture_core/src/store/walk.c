/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "ft/report.h"
#include "store/span.h"

#define READ_BYTES (1u << 20)
/* Hot threads told apart; more than a run can have. */
#define MAX_SOURCES 512u

struct interface {
	uint64_t packets, bytes;
	uint16_t link_type;
	bool told; /* has `last` been read? */
	struct ft_pcapng_statistics last;
};

struct walk {
	EVP_MD_CTX *hash;
	uint64_t packets, bytes, late, late_in_source;
	uint64_t first_ns, highest_ns;
	uint64_t source_highest_ns[MAX_SOURCES + 1];
	struct interface *interfaces;
	uint32_t interface_count;
	uint64_t chunks, intact, first_sequence, last_sequence;
	json_t *gaps;
	uint64_t gap_count;
};

static void hash_bytes(void *context, const uint8_t *bytes, size_t count)
{
	EVP_DigestUpdate(((struct walk *)context)->hash, bytes, count);
}

static json_t *finish_hash(struct walk *walk)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned count = 0;

	EVP_DigestFinal_ex(walk->hash, digest, &count);
	for (unsigned i = 0; i < count; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
	return json_string(text);
}

__attribute__((format(printf, 4, 5))) static void
note_gap(struct walk *walk, uint64_t offset, const char *what, const char *format, ...)
{
	char text[200];
	va_list arguments;

	if (walk->gap_count++ >= FT_WALK_MAX_GAPS)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	json_array_append_new(walk->gaps, json_pack("{s:I, s:s, s:s}", "offset", (json_int_t)offset,
						    "what", what, "text", text));
}

static void note_packet(struct walk *walk, uint32_t source, uint32_t interface, uint64_t stamp_ns,
			uint32_t bytes)
{
	uint64_t *highest_ns =
		&walk->source_highest_ns[source < MAX_SOURCES ? source : MAX_SOURCES];

	if (walk->packets == 0 || stamp_ns < walk->first_ns)
		walk->first_ns = stamp_ns;
	if (stamp_ns < walk->highest_ns)
		walk->late++;
	else
		walk->highest_ns = stamp_ns;
	if (stamp_ns < *highest_ns)
		walk->late_in_source++;
	else
		*highest_ns = stamp_ns;
	walk->packets++;
	walk->bytes += bytes;
	walk->interfaces[interface].packets++;
	walk->interfaces[interface].bytes += bytes;
}

/* A block without the counts of its port leaves what an earlier one told of them. */
static void note_statistics(struct walk *walk, const uint8_t *block, uint32_t bytes)
{
	struct ft_pcapng_statistics now;
	struct interface *interface;

	ft_statistics_read(block, bytes, &now);
	if (now.interface >= walk->interface_count)
		return;
	interface = &walk->interfaces[now.interface];
	if (!now.counts_port && interface->told) {
		interface->last.now_ns = now.now_ns;
		interface->last.delivered = now.delivered;
		return;
	}
	interface->told = true;
	interface->last = now;
}

static void take_blocks(struct walk *walk, const struct ft_span *span)
{
	for (uint32_t used = 0; used < span->is.length_bytes;) {
		const uint8_t *at = span->at + used;
		uint32_t bytes = ft_block_u32(at + 4);

		if (ft_block_u32(at) == FT_BLOCK_ENHANCED)
			note_packet(walk, span->is.source, ft_block_u32(at + 8),
				    ft_enhanced_stamp_ns(at), ft_block_u32(at + 20));
		else if (ft_block_u32(at) == FT_BLOCK_STATISTICS)
			note_statistics(walk, at, bytes);
		used += bytes;
	}
}

static void take_chunk(struct walk *walk, const struct ft_spans *spans, const struct ft_span *span)
{
	uint64_t sequence = span->mark.sequence;

	if (!span->intact)
		note_gap(walk, span->is.offset, "crc",
			 "the %u bytes of chunk %" PRIu64 " are not those that were written",
			 span->is.length_bytes, sequence);
	if (memcmp(span->mark.session, spans->session, sizeof(spans->session)) != 0)
		note_gap(walk, span->is.offset, "session", "chunk %" PRIu64 " is of another run",
			 sequence);
	if (walk->chunks == 0)
		walk->first_sequence = sequence;
	else if (sequence != walk->last_sequence + 1)
		note_gap(walk, span->is.offset, "sequence",
			 "chunk %" PRIu64 " follows chunk %" PRIu64, sequence, walk->last_sequence);
	walk->last_sequence = sequence;
	walk->chunks++;
	walk->intact += span->intact;
}

/* After loose blocks: where the walk goes on; 0: nowhere. */
static int take_stop(struct walk *walk, struct ft_spans *spans, const struct ft_span *loose,
		     uint64_t *offset, struct ft_error *error)
{
	enum ft_span_stop stop = loose->stop;
	struct ft_span next;
	int rc;

	if (loose->is.length_bytes > 0)
		note_gap(walk, loose->is.offset, "unmarked", "%u bytes of blocks in no chunk",
			 loose->is.length_bytes);
	if (stop == FT_STOP_END || (stop == FT_STOP_NEXT && loose->is.length_bytes > 0))
		return stop == FT_STOP_NEXT;
	rc = ft_spans_find_chunk(spans, *offset, &next, error);
	if (rc < 0)
		return rc;
	if (rc > 0)
		note_gap(walk, *offset, "structure",
			 "no valid block; the next intact chunk is at byte %" PRIu64,
			 next.is.offset);
	else if (stop == FT_STOP_CUT)
		note_gap(walk, *offset, "cut", "the file ends within a block");
	else
		note_gap(walk, *offset, "structure", "no valid block, and no chunk after it");
	*offset = next.is.offset;
	return rc;
}

static int walk_chunks(struct walk *walk, struct ft_spans *spans, struct ft_error *error)
{
	uint64_t offset = 0, filled_to = UINT64_MAX;
	struct ft_span span;
	int rc;

	while ((rc = ft_spans_read(spans, offset, &span, error)) > 0) {
		take_blocks(walk, &span);
		offset += span.is.length_bytes;
		if (span.kind == FT_SPAN_CHUNK)
			take_chunk(walk, spans, &span);
		if (span.kind == FT_SPAN_FILLER) {
			if (filled_to != span.is.offset)
				note_gap(walk, span.is.offset, "mended",
					 "filler where a repair found no whole blocks");
			filled_to = offset;
		}
		if (span.kind == FT_SPAN_LOOSE) {
			rc = take_stop(walk, spans, &span, &offset, error);
			if (rc <= 0)
				break;
		}
	}
	return rc < 0 ? rc : ft_spans_finish(spans, error);
}

static int keep_interfaces(struct walk *walk, uint32_t count, struct ft_error *error)
{
	struct interface *grown = reallocarray(walk->interfaces, count, sizeof(*grown));

	if (grown == NULL && count > 0)
		return ft_fail(error, -ENOMEM, "out of memory");
	if (count > walk->interface_count)
		memset(grown + walk->interface_count, 0,
		       (count - walk->interface_count) * sizeof(*grown));
	walk->interfaces = grown;
	walk->interface_count = count;
	return 0;
}

static int walk_ours(struct walk *walk, struct ft_spans *spans, struct ft_error *error)
{
	int rc = keep_interfaces(walk, spans->interface_count, error);

	for (uint32_t i = 0; rc == 0 && i < spans->interface_count; i++)
		walk->interfaces[i].link_type = spans->interfaces[i].link_type;
	return rc == 0 ? walk_chunks(walk, spans, error) : rc;
}

static int hash_file(struct walk *walk, const char *path, int fd, struct ft_error *error)
{
	uint8_t *bytes = malloc(READ_BYTES);
	ssize_t got = bytes != NULL ? 1 : -1;

	for (off_t offset = 0; got > 0; offset += got) {
		got = pread(fd, bytes, READ_BYTES, offset);
		if (got > 0)
			EVP_DigestUpdate(walk->hash, bytes, (size_t)got);
	}
	free(bytes);
	return got == 0 ? 0 : ft_fail(error, -errno, "%s: cannot read: %s", path, strerror(errno));
}

/* What others wrote: frame by frame. */
static int walk_other(struct walk *walk, const char *path, int fd, struct ft_error *error)
{
	struct ft_reader *reader;
	struct ft_record record;
	int rc = hash_file(walk, path, fd, error);

	if (rc == 0)
		rc = ft_reader_open(path, NULL, &reader, error);
	if (rc != 0)
		return rc;
	while ((rc = ft_reader_next(reader, &record, error)) > 0) {
		if (record.interface >= walk->interface_count)
			rc = keep_interfaces(walk, record.interface + 1, error);
		if (rc < 0)
			break;
		walk->interfaces[record.interface].link_type = record.link_type;
		note_packet(walk, FT_CHUNK_NO_SOURCE, record.interface, record.stamp_ns,
			    record.captured_bytes);
	}
	ft_reader_close(reader);
	return rc;
}

static json_t *number(bool told, uint64_t value)
{
	return told && value <= INT64_MAX ? json_integer((json_int_t)value) : json_null();
}

static json_t *report_statistics(const struct interface *interface)
{
	const struct ft_pcapng_statistics *last = &interface->last;

	if (!interface->told)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "now_ns",
			 number(true, last->now_ns), "received", number(true, last->received),
			 "missed", number(true, last->missed), "accepted",
			 number(true, last->accepted), "os_drops", number(true, last->os_drops),
			 "ring_drops", number(true, last->ring_drops), "disk_drops",
			 number(true, last->disk_drops), "excess", number(true, last->excess),
			 "delivered", number(true, last->delivered));
}

static json_t *report_name(const struct ft_spans *spans, uint32_t index)
{
	uint16_t length = 0;
	const uint8_t *name = NULL;
	char text[256];

	if (spans != NULL && index < spans->interface_count)
		name = ft_block_find_option(spans->interfaces[index].block,
					    spans->interfaces[index].bytes, 16, 2, &length);
	if (name == NULL)
		return json_null();
	snprintf(text, sizeof(text), "%.*s", (int)length, (const char *)name);
	return ft_report_text(text);
}

static json_t *report_interfaces(const struct walk *walk, const struct ft_spans *spans)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < walk->interface_count; i++) {
		const struct interface *interface = &walk->interfaces[i];

		json_array_append_new(list, json_pack("{s:o, s:i, s:I, s:I, s:o}", "name",
						      report_name(spans, i), "link_type",
						      interface->link_type, "packets",
						      (json_int_t)interface->packets, "bytes",
						      (json_int_t)interface->bytes, "statistics",
						      report_statistics(interface)));
	}
	return list;
}

static json_t *report_session(const struct ft_spans *spans)
{
	char text[33];

	if (spans == NULL)
		return json_null();
	for (unsigned i = 0; i < sizeof(spans->session); i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", spans->session[i]);
	return json_string(text);
}

static void report_findings(json_t *report, struct walk *walk, const struct ft_spans *spans)
{
	json_object_set_new(report, "sha256", finish_hash(walk));
	json_object_set_new(report, "packets", number(true, walk->packets));
	json_object_set_new(report, "bytes", number(true, walk->bytes));
	json_object_set_new(report, "first_ns", number(walk->packets > 0, walk->first_ns));
	json_object_set_new(report, "last_ns", number(walk->packets > 0, walk->highest_ns));
	json_object_set_new(report, "late", number(true, walk->late));
	json_object_set_new(report, "late_in_source", number(true, walk->late_in_source));
	json_object_set_new(report, "link_type",
			    number(walk->interface_count > 0,
				   walk->interface_count > 0 ? walk->interfaces[0].link_type : 0));
	json_object_set_new(report, "session", report_session(spans));
	json_object_set_new(report, "chunks",
			    json_pack("{s:I, s:I, s:o, s:o}", "count", (json_int_t)walk->chunks,
				      "intact", (json_int_t)walk->intact, "first_sequence",
				      number(walk->chunks > 0, walk->first_sequence),
				      "last_sequence",
				      number(walk->chunks > 0, walk->last_sequence)));
	json_object_set_new(report, "interfaces", report_interfaces(walk, spans));
	json_object_set(report, "gaps", walk->gaps);
	json_object_set_new(report, "gap_count", number(true, walk->gap_count));
}

static const char *format_of(int fd)
{
	uint32_t magic = 0;

	if (pread(fd, &magic, sizeof(magic), 0) != sizeof(magic))
		return NULL;
	if (magic == FT_BLOCK_SECTION)
		return "pcapng";
	if (magic == 0xa1b2c3d4 || magic == 0xd4c3b2a1 || magic == 0xa1b23c4d ||
	    magic == 0x4d3cb2a1)
		return "pcap";
	return NULL;
}

static void walk_open(struct walk *walk, const char *path, int fd, json_t *report)
{
	struct ft_spans spans = {.on_read = hash_bytes, .context = walk};
	struct stat status = {0};
	struct ft_error error;
	const char *format = format_of(fd);
	int rc;

	fstat(fd, &status);
	rc = ft_spans_open(&spans, path, fd, &error);
	if (rc == -EMEDIUMTYPE) {
		EVP_DigestInit_ex(walk->hash, EVP_sha256(), NULL); /* afresh */
		rc = walk_other(walk, path, fd, &error);
		spans.path = NULL;
	} else if (rc == 0) {
		rc = walk_ours(walk, &spans, &error);
	}
	json_object_set_new(report, "error", rc < 0 ? ft_report_text(error.text) : json_null());
	json_object_set_new(report, "format", format != NULL ? json_string(format) : json_null());
	json_object_set_new(report, "size_bytes", number(true, (uint64_t)status.st_size));
	report_findings(report, walk, spans.window != NULL ? &spans : NULL);
	ft_spans_close(&spans);
}

json_t *ft_walk_file(const char *path)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	json_t *report = json_object();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[FT_ERROR_TEXT_BYTES];

	if (walk == NULL || report == NULL)
		goto out;
	walk->hash = EVP_MD_CTX_new();
	walk->gaps = json_array();
	json_object_set_new(report, "path", ft_report_path(path));
	if (fd < 0) {
		snprintf(text, sizeof(text), "%.300s: %s", path, strerror(errno));
		json_object_set_new(report, "error", ft_report_text(text));
	} else if (walk->hash != NULL && EVP_DigestInit_ex(walk->hash, EVP_sha256(), NULL) == 1) {
		walk_open(walk, path, fd, report);
	}
	json_decref(walk->gaps);
	EVP_MD_CTX_free(walk->hash);
	free(walk->interfaces);
out:
	free(walk);
	if (fd >= 0)
		close(fd);
	return report;
}
