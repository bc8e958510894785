/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a capture run, in its status and its report. */
#include <string.h>

#include "ctl/capture_run.h"
#include "ft/report.h"

/* A status tells no more files than a screen shows. */
#define MAX_LISTED 16u

static json_t *number_or_null(bool known, uint64_t number)
{
	return known ? json_integer((json_int_t)number) : json_null();
}

static json_t *describe(const char *path, uint64_t packets, uint64_t bytes)
{
	return json_pack("{s:o, s:I, s:I}", "path", ft_report_text(path), "packets",
			 (json_int_t)packets, "bytes", (json_int_t)bytes);
}

static void sum_stored(const struct ft_capture_run *run, uint64_t *stored, uint64_t *stored_bytes)
{
	*stored = *stored_bytes = 0;
	for (unsigned i = 0; i < run->port_count; i++) {
		struct ft_ledger sum;

		ft_ledger_sum(run->ports[i].shared.ledgers, run->ports[i].shared.queue_count, &sum);
		*stored += sum.stored;
		*stored_bytes += sum.stored_bytes;
	}
}

/* A stream is one output, `null:` none. */
static json_t *list_stream(const struct ft_capture_run *run, uint64_t stored, uint64_t stored_bytes)
{
	json_t *files = json_array();

	if (ft_output_is_kept(run->stream))
		json_array_append_new(files,
				      describe(ft_output_path(run->stream), stored, stored_bytes));
	return files;
}

static void current_path(const struct ft_capture_run *run, char *path, size_t bytes)
{
	uint64_t number = atomic_load_explicit(&run->writer.file_number, memory_order_relaxed) + 1;

	/* Its name holds the time of its opening, which is the writer's to know. */
	if (run->writer.ring)
		snprintf(path, bytes, "%s (file %llu)", run->path, (unsigned long long)number);
	else
		snprintf(path, bytes, "%s", run->path);
}

json_t *ft_capture_list_files(struct ft_capture_run *run)
{
	uint64_t stored, stored_bytes;
	struct ft_retention *retention = &run->indexer.retention;
	json_t *files = json_array();
	char path[FT_PATH_BYTES + 32];

	if (run->stream != NULL) {
		json_decref(files);
		sum_stored(run, &stored, &stored_bytes);
		return list_stream(run, stored, stored_bytes);
	}
	pthread_mutex_lock(&retention->lock);
	sum_stored(run, &stored, &stored_bytes); /* no less than the files under the lock hold */
	stored -= retention->expired.packets;
	stored_bytes -= retention->expired.packet_bytes;
	for (unsigned i = 0; i < retention->count; i++) {
		const struct ft_file_record *record = &retention->records[i];

		stored -= record->packets;
		stored_bytes -= record->packet_bytes;
		if (i + MAX_LISTED >= retention->count)
			json_array_append_new(files, describe(record->path, record->packets,
							      record->packet_bytes));
	}
	pthread_mutex_unlock(&retention->lock);
	if (run->writing) {
		current_path(run, path, sizeof(path));
		json_array_append_new(files, describe(path, stored, stored_bytes));
	}
	return files;
}

static void tell_more(json_t *file, bool any, uint64_t first_ns, uint64_t last_ns,
		      uint64_t size_bytes, const char *sha256)
{
	json_object_set_new(file, "first_ns", number_or_null(any, first_ns));
	json_object_set_new(file, "last_ns", number_or_null(any, last_ns));
	json_object_set_new(file, "size_bytes", json_integer((json_int_t)size_bytes));
	json_object_set_new(file, "sha256",
			    sha256 != NULL && sha256[0] != '\0' ? json_string(sha256)
								: json_null());
}

static json_t *report_record(const struct ft_file_record *record, bool has_chunks)
{
	json_t *file = describe(record->path, record->packets, record->packet_bytes);

	tell_more(file, record->packets > 0, record->first_ns, record->last_ns, record->size_bytes,
		  record->sha256);
	json_object_set_new(file, "late", json_integer((json_int_t)record->late));
	json_object_set_new(file, "first_sequence",
			    number_or_null(has_chunks, record->first_sequence));
	json_object_set_new(file, "last_sequence",
			    number_or_null(has_chunks, record->last_sequence));
	json_object_set_new(file, "complete", json_boolean(record->complete));
	return file;
}

static json_t *report_stream(struct ft_capture_run *run)
{
	uint64_t stored, stored_bytes;
	json_t *files, *file;

	sum_stored(run, &stored, &stored_bytes);
	files = list_stream(run, stored, stored_bytes);
	file = json_array_get(files, 0);
	if (file != NULL)
		tell_more(file, run->writer.first_ns != 0, run->writer.first_ns,
			  run->writer.last_ns, ft_output_bytes(run->stream),
			  ft_output_sha256(run->stream));
	return files;
}

json_t *ft_capture_report_files(struct ft_capture_run *run)
{
	const struct ft_retention *retention = &run->indexer.retention;
	json_t *files;

	if (run->stream != NULL)
		return report_stream(run);
	files = json_array();
	for (unsigned i = 0; i < retention->count; i++)
		json_array_append_new(files,
				      report_record(&retention->records[i], !run->settings->pcap));
	return files;
}

json_t *ft_capture_report_expired(struct ft_capture_run *run)
{
	const struct ft_retention *retention = &run->indexer.retention;

	return json_pack("{s:I, s:I, s:I, s:I}", "files", (json_int_t)retention->expired.files,
			 "packets", (json_int_t)retention->expired.packets, "bytes",
			 (json_int_t)retention->expired.packet_bytes, "size_bytes",
			 (json_int_t)retention->expired.size_bytes);
}

json_t *ft_capture_report_durability(struct ft_capture_run *run)
{
	uint64_t synced_ns = atomic_load_explicit(&run->writer.synced_ns, memory_order_relaxed);

	if (run->stream != NULL)
		return json_null();
	return json_pack("{s:i, s:o, s:b}", "sync_every_ms", (int)FT_WRITER_SYNC_MS,
			 "last_synced_ns", number_or_null(synced_ns != 0, synced_ns), "direct_io",
			 run->writer.direct);
}
