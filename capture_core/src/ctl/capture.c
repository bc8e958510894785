/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread of ft-capture: opens everything in order, waits, closes everything in order. */
#include "ft/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/capture_run.h"
#include "ft/clock.h"
#include "ft/pcapng.h"
#include "ft/report.h"

#define PROGRAM	 "ft-capture"
#define SERVE_MS 5
#define WAIT_US	 100000

static bool interrupted(void *manager)
{
	return ft_manager_interrupted(manager) != 0;
}

/* Everything that can be judged without opening a port. */
static int check_settings(struct ft_capture_run *run, struct ft_error *error)
{
	const struct ft_capture_settings *settings = run->settings;
	struct ft_port_options options = settings->port_options;
	int rc;

	options.cancelled = interrupted;
	options.cancel_context = run->manager;
	if (settings->filter != NULL) { /* judged again with each port's link type */
		struct ft_filter *filter;

		rc = ft_filter_compile(settings->filter, 1, &filter, error);
		if (rc != 0)
			return rc;
		ft_filter_free(filter);
	}
	rc = settings->report != NULL ? ft_report_check(settings->report, error) : 0;
	for (unsigned i = 0; rc == 0 && i < settings->port_count; i++) {
		rc = ft_port_create(settings->ports[i], &options, &run->ports[i].port, error);
		run->port_count += rc == 0;
	}
	return rc;
}

static int open_port(struct ft_capture_run *run, struct ft_capture_port *port,
		     struct ft_error *error)
{
	const struct ft_port_interface *interface;
	int rc = ft_port_open(port->port, error);

	if (rc != 0)
		return rc;
	interface = ft_port_interface(port->port, 0);
	port->first_interface = run->interface_count;
	run->interface_count += ft_port_interface_count(port->port);
	if (interface->link_type != ft_port_interface(run->ports[0].port, 0)->link_type)
		return ft_fail(error, -EINVAL,
			       "port '%s' has link type %u and '%s' has %u: a file holds one; "
			       "capture them into two files",
			       ft_port_name(port->port), interface->link_type,
			       ft_port_name(run->ports[0].port),
			       ft_port_interface(run->ports[0].port, 0)->link_type);
	if (run->settings->filter != NULL)
		rc = ft_filter_compile(run->settings->filter, interface->link_type, &port->filter,
				       error);
	if (rc == 0)
		rc = ft_pool_create(&port->ledger, port->first_interface, &port->pool, error);
	return rc;
}

static int write_headers(struct ft_capture_run *run, struct ft_error *error)
{
	uint8_t block[FT_PCAPNG_HEADER_BYTES];
	size_t bytes = ft_pcapng_write_section(block, sizeof(block), PROGRAM " " FT_VERSION);

	if (ft_output_write(run->output, block, bytes, error) != bytes)
		return -EIO;
	for (unsigned i = 0; i < run->port_count; i++) {
		const struct ft_port *port = run->ports[i].port;

		for (unsigned j = 0; j < ft_port_interface_count(port); j++) {
			bytes = ft_pcapng_write_interface(
				block, sizeof(block), ft_port_interface(port, j),
				run->settings->port_options.snap_bytes, run->settings->filter);
			if (bytes == 0)
				return ft_fail(error, -EINVAL,
					       "-f: a filter of %zu characters is too long to "
					       "record in the file; shorten it",
					       strlen(run->settings->filter));
			if (ft_output_write(run->output, block, bytes, error) != bytes)
				return -EIO;
		}
	}
	return 0;
}

/* A FIFO needs a reader: wait for one, or for a signal. */
static int open_output(struct ft_capture_run *run, struct ft_error *error)
{
	const struct ft_capture_settings *settings = run->settings;
	int rc;

	while (1) {
		rc = ft_output_open(settings->output, settings->report != NULL, &run->output,
				    error);
		if (rc != -ENXIO)
			return rc;
		if (ft_manager_interrupted(run->manager))
			return -ECANCELED;
		usleep(WAIT_US);
	}
}

static int open_all(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < run->port_count; i++)
		rc = open_port(run, &run->ports[i], error);
	if (rc == 0)
		rc = open_output(run, error);
	if (rc == 0)
		rc = write_headers(run, error);
	if (rc != 0)
		return rc;
	run->writer.output = run->output;
	run->writer.pool_count = run->port_count;
	for (unsigned i = 0; i < run->port_count; i++)
		run->writer.pools[i] = run->ports[i].pool;
	return ft_writer_start(&run->writer, error);
}

static int start_port(struct ft_capture_run *run, struct ft_capture_port *port,
		      struct ft_error *error)
{
	int rc;

	port->hot = (struct ft_hot){
		.port = port->port,
		.filter = port->filter,
		.stop = &run->stop,
		.pool = port->pool,
		.ledger = &port->ledger,
		.snap_bytes = run->settings->port_options.snap_bytes,
		.started_ns = ft_clock_utc_ns(),
		.wake_fd = run->writer.wake_fd,
	};
	rc = ft_port_start(port->port, error);
	if (rc == 0)
		rc = ft_hot_start(&port->hot, error);
	port->running = rc == 0;
	return rc;
}

static void set_limits(struct ft_capture_run *run)
{
	const struct ft_capture_settings *settings = run->settings;
	uint64_t written = ft_output_bytes(run->output);

	run->stop.counts_frames = settings->stop_frames != 0;
	run->stop.frames_left = (int64_t)settings->stop_frames;
	run->stop.counts_bytes = settings->stop_bytes != 0;
	run->stop.bytes_left =
		settings->stop_bytes > written ? (int64_t)(settings->stop_bytes - written) : 1;
}

/* Answer clients meanwhile; a second signal gives up a stream that nobody reads. */
static void keep_serving(struct ft_capture_run *run)
{
	ft_manager_serve(run->manager, SERVE_MS);
	if (!ft_manager_interrupted(run->manager))
		return;
	run->abandoned = true;
	ft_output_abandon(run->output);
}

/* Close every window at once, then answer clients until the last frame is drained. */
static void drain(struct ft_capture_run *run)
{
	struct ft_error error;

	for (unsigned i = 0; i < run->port_count; i++)
		if (run->ports[i].running && ft_port_close_input(run->ports[i].port, &error) != 0)
			ft_manager_alarm(run->manager, "%s", error.text);
	for (unsigned i = 0; i < run->port_count; i++) {
		struct ft_capture_port *port = &run->ports[i];

		if (!port->running)
			continue;
		while (!atomic_load_explicit(&port->hot.ended, memory_order_acquire))
			keep_serving(run);
		ft_hot_join(&port->hot);
		ft_port_read_wire(port->port, &port->wire);
		ft_count_set(&port->ledger.dropped_adapter, port->wire.dropped_adapter);
	}
}

/* The last word of each interface, equal to the report, where there still is room for it. */
static void write_last_statistics(struct ft_capture_run *run)
{
	uint8_t block[FT_PCAPNG_STATISTICS_BYTES];
	struct ft_error error;

	if (run->output_told && !ft_output_is_file(run->output))
		return; /* a stream ends in the middle of a block */
	for (unsigned i = 0; i < run->interface_count; i++) {
		struct ft_pcapng_statistics statistics;
		size_t bytes, wrote;

		ft_capture_statistics(run, i, &statistics);
		while (!ft_output_is_ready(run->output) && !run->abandoned)
			keep_serving(run);
		bytes = ft_pcapng_write_statistics(block, sizeof(block), &statistics);
		wrote = ft_output_write(run->output, block, bytes, &error);
		if (wrote == bytes)
			continue;
		ft_output_cut(run->output, block, wrote, 0);
		if (!run->output_told)
			ft_manager_alarm(run->manager, "%s", error.text);
		run->output_told = run->failed = true;
		return;
	}
}

static void finish_output(struct ft_capture_run *run)
{
	struct ft_error error;

	ft_writer_finish(&run->writer);
	while (!atomic_load_explicit(&run->writer.ended, memory_order_acquire))
		keep_serving(run);
	ft_writer_join(&run->writer);
	ft_capture_tell_failures(run);
	if (run->started_ns == 0) {
		ft_output_discard(run->output);
		return;
	}
	write_last_statistics(run);
	if (ft_output_finish(run->output, &error) != 0) {
		ft_manager_alarm(run->manager, "%s", error.text);
		run->failed = true;
	}
}

static void close_all(struct ft_capture_run *run)
{
	for (unsigned i = 0; i < run->port_count; i++) {
		struct ft_capture_port *port = &run->ports[i];

		ft_port_free(port->port);
		ft_filter_free(port->filter);
		ft_pool_free(port->pool);
	}
	ft_output_free(run->output);
	ft_manager_free(run->manager);
}

/* All that happens between opened ports and the report. */
static int capture(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = 0;

	set_limits(run);
	for (unsigned i = 0; rc == 0 && i < run->port_count; i++)
		rc = start_port(run, &run->ports[i], error);
	if (rc == 0) {
		run->started_ns = ft_manager_publish(run->manager, error);
		rc = run->started_ns != 0 ? 0 : -EIO;
	}
	if (rc == 0)
		run->stop_reason = ft_capture_wait(run);
	drain(run);
	run->stopped_ns = ft_clock_utc_ns();
	finish_output(run);
	return rc;
}

static int exit_code(const struct ft_capture_run *run)
{
	if (run->failed)
		return 1;
	return run->settings->strict && ft_capture_lost(run) > 0 ? 3 : 0;
}

static int run_capture(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = ft_manager_open(PROGRAM, run->settings->name, &run->manager, error);

	if (rc == 0)
		rc = check_settings(run, error);
	if (rc == 0)
		rc = open_all(run, error);
	if (rc != 0) {
		if (run->output != NULL)
			ft_output_discard(run->output);
		return rc;
	}
	if (ft_manager_interrupted(run->manager)) {
		ft_writer_finish(&run->writer);
		ft_writer_join(&run->writer);
		ft_output_discard(run->output);
		return -ECANCELED;
	}
	rc = capture(run, error);
	if (rc != 0)
		return rc;
	if (!run->settings->quiet)
		ft_capture_summarize(run);
	return ft_capture_report(run, error);
}

int ft_capture_run(const struct ft_capture_settings *settings)
{
	struct ft_capture_run *run = aligned_alloc(64, sizeof(*run));
	struct ft_error error;
	int rc, code;

	if (run == NULL) {
		fprintf(stderr, PROGRAM ": out of memory\n");
		return 1;
	}
	memset(run, 0, sizeof(*run));
	run->settings = settings;
	rc = run_capture(run, &error);
	if (rc == -ECANCELED) {
		code = 130;
	} else if (rc != 0) {
		fprintf(stderr, PROGRAM ": %s\n", error.text);
		code = run->started_ns != 0 ? 1 : ft_exit_code(rc);
	} else {
		code = exit_code(run);
	}
	close_all(run);
	free(run);
	return code;
}
