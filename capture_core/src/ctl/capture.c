/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread of ft-capture: opens everything in order, waits, closes everything in order. */
#include "ft/capture.h"

#include <errno.h>
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
	ft_manager_free(run->manager);
}

static int open_all(struct ft_capture_run *run, struct ft_error *error)
{
	int rc = draw_keys(run, error);

	if (rc == 0)
		rc = ft_capture_open_ports(run, error);
	if (rc == 0)
		rc = ft_capture_open_output(run, error);
	if (rc == 0 && ft_manager_interrupted(run->manager))
		rc = -ECANCELED;
	return rc;
}

/* All that happens between opened ports and the report. */
static int capture(struct ft_capture_run *run, struct ft_error *error)
{
	int rc;

	set_limits(run);
	rc = ft_capture_start_ports(run, error);
	if (rc == 0)
		rc = ft_capture_start_output(run, error);
	if (rc == 0)
		rc = ft_capture_start_threads(run, error);
	if (rc == 0) {
		run->started_ns = ft_manager_publish(run->manager, error);
		rc = run->started_ns != 0 ? 0 : -EIO;
	}
	if (rc == 0)
		run->stop_reason = ft_capture_wait(run);
	ft_capture_drain(run);
	run->stopped_ns = ft_clock_utc_ns();
	if (rc == 0)
		ft_capture_finish_output(run);
	return rc;
}

static int write_report(struct ft_capture_run *run, struct ft_error *error)
{
	json_t *report;
	int rc;

	if (run->settings->report == NULL)
		return 0;
	report = ft_capture_report(run);
	rc = report != NULL ? ft_report_write(run->settings->report, report, error)
			    : ft_fail(error, -ENOMEM, "--report: out of memory");
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
	return write_report(run, error);
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
