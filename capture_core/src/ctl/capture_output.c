/* SPDX-License-Identifier: Apache-2.0 */
/* Where the frames of a capture run go: files, a ring of them, a stream, or nowhere. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/capture_run.h"
#include "ft/clock.h"
#include "store/recover.h"

#define SESSION_STEM	  "capture"
#define SERVE_MS	  5
#define WAIT_US		  100000
#define PCAP_HEADER_BYTES 24u
#define PCAP_NANOSECONDS  0xa1b23c4du
#define MAX_INTERFACES	  (FT_CAPTURE_MAX_PORTS * FT_PORT_MAX_INTERFACES)
#define LAST_BYTES_NEEDED (MAX_INTERFACES * FT_PCAPNG_STATISTICS_BYTES + FT_CHUNK_ALIGNMENT)
#define ALIGNED(bytes)	  (((bytes) + FT_CHUNK_ALIGNMENT - 1) & ~(size_t)(FT_CHUNK_ALIGNMENT - 1))

_Static_assert(ALIGNED(LAST_BYTES_NEEDED) <= FT_FILE_RESERVE_BYTES, "a file keeps room for them");

static size_t alignment_of(const struct ft_capture_run *run)
{
	return run->stream != NULL ? 4 : FT_CHUNK_ALIGNMENT;
}

/* Section, interfaces and the statistics block that makes them a chunk. */
static int make_pcapng_header(struct ft_capture_run *run, struct ft_error *error)
{
	const struct ft_chunk_mark mark = {.source = FT_CHUNK_NO_SOURCE};
	const struct ft_pcapng_statistics nothing = {.now_ns = ft_clock_utc_ns()};
	size_t room = ALIGNED((run->interface_count + 2) * (size_t)FT_PCAPNG_HEADER_BYTES), used,
	       bytes;
	uint8_t *out = run->header = aligned_alloc(FT_CHUNK_ALIGNMENT, room);

	if (out == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	used = ft_pcapng_write_section(out, room, FT_CAPTURE_PROGRAM " " FT_VERSION);
	for (unsigned i = 0; i < run->port_count; i++) {
		const struct ft_port *port = run->ports[i].shared.port;

		for (unsigned j = 0; j < ft_port_interface_count(port); j++) {
			bytes = ft_pcapng_write_interface(
				out + used, FT_PCAPNG_HEADER_BYTES, ft_port_interface(port, j),
				run->settings->port_options.snap_bytes, run->settings->filter);
			if (bytes == 0)
				return ft_fail(error, -EINVAL,
					       "-f: a filter of %zu characters is too long to "
					       "record in the file; shorten it",
					       strlen(run->settings->filter));
			used += bytes;
		}
	}
	used += ft_pcapng_write_chunk_end(out + used, room - used, &nothing, used,
					  alignment_of(run), &mark);
	run->writer.header = out;
	run->writer.header_bytes = used;
	return 0;
}

static int make_pcap_header(struct ft_capture_run *run, struct ft_error *error)
{
	const uint32_t words[6] = {
		PCAP_NANOSECONDS,
		2 | 4 << 16, /* version 2.4, two 16-bit fields */
		0,
		0,
		run->settings->port_options.snap_bytes,
		ft_port_interface(run->ports[0].shared.port, 0)->link_type,
	};

	run->header = malloc(sizeof(words));
	if (run->header == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	memcpy(run->header, words, sizeof(words));
	run->writer.header = run->header;
	run->writer.header_bytes = sizeof(words);
	return 0;
}

/* A FIFO needs a reader: wait for one, or for a signal. */
static int open_stream(struct ft_capture_run *run, struct ft_error *error)
{
	const struct ft_capture_settings *settings = run->settings;
	int rc;

	while (1) {
		rc = ft_output_open(settings->output, settings->report != NULL, &run->stream,
				    error);
		if (rc != -ENXIO)
			return rc;
		if (ft_manager_interrupted(run->manager))
			return -ECANCELED;
		usleep(WAIT_US);
	}
}

static bool is_stream(const char *output)
{
	struct stat status;

	return strcmp(output, "-") == 0 || strcmp(output, "null:") == 0 ||
	       (stat(output, &status) == 0 && !S_ISREG(status.st_mode));
}

static void set_up_writer(struct ft_capture_run *run)
{
	const struct ft_capture_settings *settings = run->settings;
	struct ft_writer *writer = &run->writer;
	struct ft_indexer *indexer = &run->indexer;

	writer->stream = run->stream;
	writer->path = run->path;
	writer->ring = run->ring;
	writer->expected_bytes = run->settings->ring.file_bytes;
	writer->pcapng = !settings->pcap;
	writer->hashed = settings->report != NULL || run->session != NULL;
	memcpy(writer->session, run->session_id, sizeof(writer->session));
	writer->flow_key = run->flow_key;
	writer->rotation = &run->rotation;
	writer->indexer = indexer;
	indexer->writer = writer;
	indexer->flow_key = run->flow_key;
	indexer->pcapng = writer->pcapng;
	indexer->retention.max_files = settings->ring.keep_files;
	indexer->retention.max_bytes = settings->ring.keep_bytes;
	indexer->retention.max_age_ns = settings->ring.keep_age_ns;
	indexer->retention.free_bytes = settings->ring.free_bytes;
	indexer->max_waiting = UINT_MAX;
	for (unsigned i = 0; i < run->port_count; i++) {
		for (unsigned j = 0; j < run->ports[i].shared.queue_count; j++) {
			struct ft_pool *pool = run->ports[i].pools[j];

			writer->pools[writer->pool_count++] = pool;
			if (!ft_port_waits(run->ports[i].shared.port) &&
			    pool->chunk_count / 2 < indexer->max_waiting)
				indexer->max_waiting = pool->chunk_count / 2;
		}
	}
}

static int choose_session(struct ft_capture_run *run, struct ft_error *error)
{
	const char *output = run->settings->output,
		   *extension = run->settings->pcap ? "pcap" : "pcapng";
	int rc = ft_session_open(output, &run->session, error);

	if (rc != 0)
		return rc;
	if (ft_session_is_nested(run->session)) {
		fprintf(stderr, FT_CAPTURE_PROGRAM ": %s holds a session already; this one is %s\n",
			output, ft_session_directory(run->session));
		snprintf(run->path, sizeof(run->path), "%s/" SESSION_STEM ".%s", output, extension);
		ft_recover(run->path, true);
	}
	snprintf(run->path, sizeof(run->path), "%s/" SESSION_STEM ".%s",
		 ft_session_directory(run->session), extension);
	return 0;
}

/* Where files will be; what is left there is mended. */
static int choose_path(struct ft_capture_run *run, struct ft_error *error)
{
	const char *output = run->settings->output;
	int rc = 0;

	if (output[0] == '\0')
		return ft_fail(error, -EINVAL, "-w: name a file, or null:");
	if (strlen(output) >= PATH_MAX)
		return ft_fail(error, -ENAMETOOLONG, "-w: the path is too long");
	run->ring = run->settings->ring.on;
	snprintf(run->path, sizeof(run->path), "%s", output);
	if (ft_session_wanted(output)) {
		run->ring = true;
		rc = choose_session(run, error);
	} else if (is_stream(output)) {
		return 0;
	}
	if (rc == 0)
		ft_recover(run->path, run->ring);
	return rc;
}

int ft_capture_open_output(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = choose_path(run, error);

	if (rc == 0 && run->session == NULL && is_stream(run->settings->output))
		rc = open_stream(run, error);
	if (rc == 0)
		rc = run->settings->pcap ? make_pcap_header(run, error)
					 : make_pcapng_header(run, error);
	if (rc != 0)
		return rc;
	set_up_writer(run);
	rc = ft_indexer_open(&run->indexer, error);
	return rc == 0 ? ft_writer_open(&run->writer, error) : rc;
}

int ft_capture_start_output(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = ft_indexer_start(&run->indexer, error);

	if (rc != 0)
		return rc;
	rc = ft_writer_start(&run->writer, error);
	run->writing = rc == 0;
	if (rc != 0) {
		ft_indexer_finish(&run->indexer);
		ft_indexer_join(&run->indexer);
	}
	return rc;
}

void ft_capture_keep_serving(struct ft_capture_run *run)
{
	ft_manager_serve(run->manager, SERVE_MS);
	if (!ft_manager_interrupted(run->manager))
		return;
	run->abandoned = true;
	if (run->stream != NULL)
		ft_output_abandon(run->stream);
}

/* The last word of each interface, equal to the report. */
static size_t make_last_chunk(struct ft_capture_run *run, uint8_t *out, size_t room)
{
	const struct ft_chunk_mark mark = {.source = FT_CHUNK_NO_SOURCE};
	unsigned left = run->interface_count;
	size_t used = 0;

	for (unsigned i = 0; i < run->port_count; i++) {
		const struct ft_capture_port *port = &run->ports[i];

		for (unsigned j = 0; j < ft_port_interface_count(port->shared.port); j++) {
			struct ft_pcapng_statistics statistics;

			ft_capture_statistics(run, port, j, &statistics);
			left--;
			used += left > 0 ? ft_pcapng_write_statistics(out + used, room - used,
								      &statistics)
					 : ft_pcapng_write_chunk_end(out + used, room - used,
								     &statistics, used,
								     alignment_of(run), &mark);
		}
	}
	return used;
}

static int end_stream(struct ft_capture_run *run, uint8_t *blocks, size_t bytes,
		      struct ft_error *error)
{
	struct ft_chunk_mark mark = {.sequence = run->writer.next_sequence};

	if (bytes > 0 && !run->output_told) { /* else it ends in the middle of a block */
		memcpy(mark.session, run->session_id, sizeof(mark.session));
		ft_pcapng_seal_chunk(blocks, bytes, &mark);
		while (!ft_output_is_ready(run->stream) && !run->abandoned)
			ft_capture_keep_serving(run);
		if (ft_output_write(run->stream, blocks, bytes, error) != bytes)
			return -EIO;
	}
	return ft_output_finish(run->stream, error);
}

static void write_last_words(struct ft_capture_run *run)
{
	void *blocks = NULL;
	size_t bytes = 0;
	struct ft_error error;
	int rc;

	if (!run->settings->pcap &&
	    posix_memalign(&blocks, FT_CHUNK_ALIGNMENT, ALIGNED(LAST_BYTES_NEEDED)) == 0)
		bytes = make_last_chunk(run, blocks, ALIGNED(LAST_BYTES_NEEDED));
	rc = run->stream != NULL ? end_stream(run, blocks, bytes, &error)
				 : ft_writer_end_file(&run->writer, blocks, bytes, &error);
	if (rc != 0) {
		if (!run->output_told)
			ft_manager_alarm(run->manager, "%s", error.text);
		run->output_told = run->failed = true;
	}
	free(blocks);
}

void ft_capture_finish_output(struct ft_capture_run *run)
{
	ft_writer_finish(&run->writer);
	while (!atomic_load_explicit(&run->writer.ended, memory_order_acquire))
		ft_capture_keep_serving(run);
	ft_writer_join(&run->writer);
	ft_capture_tell_failures(run);
	if (run->started_ns == 0)
		ft_writer_discard(&run->writer);
	else
		write_last_words(run);
	ft_indexer_finish(&run->indexer);
	while (!atomic_load_explicit(&run->indexer.ended, memory_order_acquire))
		ft_capture_keep_serving(run);
	ft_indexer_join(&run->indexer);
	run->writing = false;
	ft_capture_tell_failures(run);
}

void ft_capture_close_output(struct ft_capture_run *run)
{
	if (run->writing) { /* something after it failed: nothing was captured */
		run->started_ns = 0;
		ft_capture_finish_output(run);
	} else if (run->started_ns == 0) {
		ft_writer_discard(&run->writer);
	}
	ft_writer_close(&run->writer);
	ft_indexer_close(&run->indexer);
	ft_output_free(run->stream);
	free(run->header);
}

/* When the file that is being filled ends: after its time, or at the next boundary of the clock. */
static uint64_t next_rotation_ns(const struct ft_ring_settings *ring)
{
	if (ring->interval_ns != 0)
		return (ft_clock_utc_ns() / ring->interval_ns + 1) * ring->interval_ns;
	return ft_clock_monotonic_ns() + ring->file_duration_ns;
}

void ft_capture_rotate_when_due(struct ft_capture_run *run)
{
	const struct ft_ring_settings *ring = &run->settings->ring;
	uint64_t file = ft_rotation_file(&run->rotation), now_ns;

	if (ring->interval_ns == 0 && ring->file_duration_ns == 0)
		return;
	if (run->rotate_at_ns == 0 || (file != run->file_seen && ring->interval_ns == 0)) {
		run->file_seen = file;
		run->rotate_at_ns = next_rotation_ns(ring);
	}
	now_ns = ring->interval_ns != 0 ? ft_clock_utc_ns() : ft_clock_monotonic_ns();
	if (ring->interval_ns != 0 && run->rotate_at_ns > now_ns + ring->interval_ns)
		run->rotate_at_ns = next_rotation_ns(ring); /* the clock was set back */
	if (now_ns < run->rotate_at_ns)
		return;
	ft_rotation_end(&run->rotation, file);
	run->file_seen = file + 1;
	run->rotate_at_ns = next_rotation_ns(ring);
}
