/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread of ft-capture: opens everything in order, waits, closes everything in order. */
#include "ft/capture.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "ctl/capture_run.h"
#include "ft/clock.h"
#include "ft/report.h"

#define PROGRAM FT_CAPTURE_PROGRAM

/* Everything that can be judged without opening a port. */
static int check_settings(struct ft_capture_run *run, struct ft_error *error)
{
	const struct ft_capture_settings *settings = run->settings;
	struct ft_filter *filter;
	int rc = 0;

	if (settings->filter != NULL) { /* judged again with each port's link type */
		rc = ft_filter_compile(settings->filter, 1, &filter, error);
		if (rc != 0)
			return rc;
		ft_filter_free(filter);
	}
	if (settings->report != NULL)
		rc = ft_report_check(settings->report, error);
	return rc == 0 ? ft_capture_create_ports(run, error) : rc;
}

static void set_limits(struct ft_capture_run *run)
{
	const struct ft_capture_settings *settings = run->settings;
	uint64_t written = run->writer.header_bytes;

	run->stop.counts_frames = settings->stop_frames != 0;
	run->stop.frames_left = (int64_t)settings->stop_frames;
	run->stop.counts_bytes = settings->stop_bytes != 0;
	run->stop.bytes_left =
		settings->stop_bytes > written ? (int64_t)(settings->stop_bytes - written) : 1;
	run->stop.files = settings->stop_files;
	run->rotation.frames_per_file = settings->ring.file_frames;
	run->rotation.bytes_per_file = settings->ring.file_bytes;
}

static int draw_keys(struct ft_capture_run *run, struct ft_error *error)
{
	if (getrandom(&run->flow_key, sizeof(run->flow_key), 0) != sizeof(run->flow_key) ||
	    getrandom(run->session_id, sizeof(run->session_id), 0) != sizeof(run->session_id))
		return ft_fail(error, -EIO, "the kernel gives no random bytes");
	return 0;
}

static void close_all(struct ft_capture_run *run)
{
	ft_capture_close_output(run);
	ft_capture_close_ports(run);
	ft_guardian_free(run->guardian); /* restores the ports that are closed now */
	ft_session_free(run->session);
	ft_watch_close(&run->watch);
	ft_manager_free(run->manager);
}

/* A receipt is to be signed, or a port may need something switched on again. */
static bool needs_guardian(const struct ft_capture_run *run)
{
	if (ft_session_wanted(run->settings->output))
		return true;
	for (unsigned i = 0; i < run->port_count; i++)
		if (ft_port_ifindex(run->ports[i].shared.port) != 0)
			return true;
	return false;
}

static int open_all(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = draw_keys(run, error);

	if (rc == 0 && needs_guardian(run))
		rc = ft_guardian_start(ft_session_wanted(run->settings->output), &run->guardian,
				       error);
	if (rc == 0)
		rc = ft_capture_open_ports(run, error);
	if (rc == 0)
		rc = ft_capture_open_output(run, error);
	if (rc == 0 && ft_manager_interrupted(run->manager))
		rc = -ECANCELED;
	return rc;
}

static int begin_session(struct ft_capture_run *run, struct ft_error *error)
{
	struct ft_port *ports[FT_CAPTURE_MAX_PORTS];
	const struct ft_session_facts facts = {
		.program = PROGRAM,
		.name = ft_manager_name(run->manager),
		.id = run->session_id,
		.ports = ports,
		.port_count = run->port_count,
	};

	if (run->session == NULL)
		return 0;
	for (unsigned i = 0; i < run->port_count; i++)
		ports[i] = run->ports[i].shared.port;
	return ft_session_begin(run->session, &facts, error);
}

/* Where files come and go while the run has no privileges. */
static int drop_privileges(struct ft_capture_run *run, struct ft_error *error)
{
	const char *directories[3];
	char output[FT_PATH_BYTES], report[FT_PATH_BYTES];
	unsigned count = 0;

	directories[count++] = ft_manager_directory(run->manager);
	if (run->stream == NULL) {
		snprintf(output, sizeof(output), "%s", run->path);
		directories[count++] = dirname(output);
	}
	if (run->settings->report != NULL && strcmp(run->settings->report, "-") != 0) {
		snprintf(report, sizeof(report), "%s", run->settings->report);
		directories[count++] = dirname(report);
	}
	return ft_privileges_drop(directories, count, &run->privileges, error);
}

/* Open the windows, give up privileges, start what takes frames, and say that all is ready. */
static int start_all(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = begin_session(run, error);

	for (unsigned i = 0; i < run->port_count; i++)
		ft_watch_add(&run->watch, run->ports[i].shared.port);
	if (rc == 0)
		rc = ft_capture_start_ports(run, error);
	if (rc == 0)
		rc = drop_privileges(run, error);
	if (rc == 0)
		rc = ft_capture_start_output(run, error);
	if (rc == 0)
		rc = ft_capture_start_threads(run, error);
	if (rc != 0)
		return rc;
	run->started_ns = ft_manager_publish(run->manager, error);
	return run->started_ns != 0 ? 0 : -EIO;
}

/* All that happens between opened ports and the report. */
static int capture(struct ft_capture_run *run, struct ft_error *error)
{
	int rc;

	set_limits(run);
	rc = start_all(run, error);
	if (rc == 0)
		run->stop_reason = ft_capture_wait(run);
	ft_capture_drain(run);
	run->stopped_ns = ft_clock_utc_ns();
	if (rc == 0)
		ft_capture_finish_output(run);
	return rc;
}

static int write_reports(struct ft_capture_run *run, struct ft_error *error)
{
	json_t *report;
	int rc = 0;

	if (run->settings->report == NULL && run->session == NULL)
		return 0;
	report = ft_capture_report(run);
	if (report == NULL)
		return ft_fail(error, -ENOMEM, "--report: out of memory");
	if (run->session != NULL)
		rc = ft_session_end(run->session, report, run->guardian, error);
	if (rc == -EPROTO) { /* written, and not signed */
		fprintf(stderr, PROGRAM ": %s\n", error->text);
		rc = 0;
	}
	if (run->settings->report != NULL && rc == 0)
		rc = ft_report_write(run->settings->report, report, error);
	json_decref(report);
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
	if (rc == 0)
		rc = capture(run, error);
	if (rc != 0)
		return rc;
	if (!run->settings->quiet)
		ft_capture_summarize(run);
	return write_reports(run, error);
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
	run->writer.wake_fd = run->indexer.wake_fd = -1;
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
