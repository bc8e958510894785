/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread of ft-generate: opens everything in order, waits, closes everything in order. */
#include "ft/generate.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/privileges.h"
#include "ft/clock.h"
#include "ft/report.h"
#include "gen/generate_run.h"

#define PROGRAM "ft-generate"

#define RECEIVE_BUFFER_BYTES (64ull << 20)
#define RECEIVE_SNAP_BYTES   262144u
#define SERVE_MS	     5
/* RFC 2544 23: wait two seconds for residual frames. */
#define RESIDUAL_NS (2 * FT_NS_PER_SECOND)
/* As long as they keep coming, but no longer than this. */
#define LONGEST_RESIDUAL_NS (10 * FT_NS_PER_SECOND)
/* No run is without an end: one that is given no duration takes no longer than this. */
#define LONGEST_S  86400u
#define LONGEST_NS (LONGEST_S * FT_NS_PER_SECOND)

/* What a port says of itself names no option. */
static int fail_input(int rc, struct ft_error *error)
{
	struct ft_error said = *error;

	return ft_fail(error, rc, "-r: %s", said.text);
}

static int create_input(struct ft_generate_run *run, struct ft_error *error)
{
	/* Latency is between stamps of one clock, so both are the host's. */
	static const struct ft_port_options options = {
		.directions = FT_DIRECTION_IN,
		.snap_bytes = RECEIVE_SNAP_BYTES,
		.buffer_bytes = RECEIVE_BUFFER_BYTES,
		.promiscuous = true,
		.stamps = FT_STAMPS_HOST,
	};
	int rc;

	if (run->settings->input == NULL)
		return 0;
	rc = ft_port_create(run->settings->input, &options, &run->input, error);
	if (rc != 0)
		return fail_input(rc, error);
	if (ft_port_ifindex(run->input) == 0)
		rc = ft_fail(error, -EINVAL, "-r %s: not an interface", run->settings->input);
	return rc;
}

bool ft_generate_interrupted(void *context)
{
	const struct ft_generate_run *run = context;

	return ft_manager_interrupted(run->manager) != 0;
}

void ft_generate_fail(struct ft_generate_run *run, const struct ft_error *error)
{
	if (run->failed)
		return;
	run->failed = true;
	run->failure = *error;
	ft_manager_alarm(run->manager, "%s", error->text);
}

/* Tell now what would end unfinished after a day. A dry run takes no time. */
static int bound_time(struct ft_generate_run *run, struct ft_error *error)
{
	double seconds = run->requested_pps > 0 ? (double)run->asked / run->requested_pps : 0;

	if (run->settings->duration_ns != 0 || run->transmit.ifindex == 0)
		return 0;
	if (seconds > LONGEST_S)
		return ft_fail(error, -EINVAL,
			       "--rate: %" PRIu64 " frames take %.0f hours at it, and a run is "
			       "ended after 24; raise the rate, or give --duration %.0f too",
			       run->asked, seconds / 3600, ceil(seconds));
	if (run->sender.duration_ns == 0)
		run->sender.duration_ns = LONGEST_NS;
	return 0;
}

/* Everything that can be judged without opening a port. */
static int prepare(struct ft_generate_run *run, struct ft_error *error)
{
	const struct ft_generate_settings *settings = run->settings;
	int rc = settings->report != NULL ? ft_report_check(settings->report, error) : 0;

	run->sender.transmit = &run->transmit;
	run->transmit.given_up = ft_generate_interrupted;
	run->transmit.context = run;
	run->sender.duration_ns = settings->duration_ns;
	run->sender.late.policy = settings->late;
	run->tempo.speed = settings->speed != 0 ? settings->speed : 1;
	if (rc == 0)
		rc = ft_transmit_create(settings->output, &run->transmit, error);
	if (rc == 0)
		rc = ft_generate_check_output(run, error);
	if (rc == 0)
		rc = create_input(run, error);
	if (rc == 0)
		rc = settings->replay != NULL ? ft_generate_prepare_replay(run, error)
					      : ft_generate_prepare_streams(run, error);
	if (rc == 0 && run->transmit.ifindex == 0 && !run->sender.paced && run->asked == 0 &&
	    (settings->replay == NULL || settings->loops == 0))
		rc = ft_fail(error, -EINVAL,
			     "-o file: at --rate max it would never end; give a --rate or a "
			     "--count");
	return rc == 0 ? bound_time(run, error) : rc;
}

/* Frames that queues share come in no order: what was reordered by whom could not be told. */
static int check_queues(const struct ft_generate_run *run, struct ft_error *error)
{
	unsigned queues = ft_port_queue_count(run->input);
	const char *name = ft_port_name(run->input);

	if (queues == 1)
		return 0;
	return ft_fail(error, -EINVAL,
		       "-r %s: %u queues would lose the order of the frames, which is counted; "
		       "use -r afpacket:%s, which takes all frames by one",
		       run->settings->input, queues, name);
}

static int open_input(struct ft_generate_run *run, struct ft_error *error)
{
	bool is_signed = run->settings->replay == NULL && run->streams.is_signed;
	int rc;

	if (run->input == NULL)
		return 0;
	run->receiver.port = run->input;
	run->receiver.run = is_signed ? &run->signature : NULL;
	rc = ft_receiver_create(&run->receiver, is_signed ? run->streams.count : 0, error);
	if (rc == 0)
		rc = ft_guardian_start(false, &run->guardian, error);
	if (rc != 0)
		return rc;
	rc = ft_port_open(run->input, error);
	return rc == 0 ? check_queues(run, error) : fail_input(rc, error);
}

static int start_receiving(struct ft_generate_run *run, struct ft_error *error)
{
	int rc;

	if (run->input == NULL)
		return 0;
	rc = ft_receiver_start(&run->receiver, error);
	run->receiving = rc == 0;
	return rc;
}

/* Where files come and go while the run has no privileges. */
static int drop_privileges(struct ft_generate_run *run, struct ft_error *error)
{
	const struct ft_generate_settings *settings = run->settings;
	const char *files[] = {settings->report, settings->tap,
			       run->transmit.ifindex == 0 ? run->transmit.device : NULL};
	const char *directories[4] = {ft_manager_directory(run->manager)};
	char paths[3][PATH_MAX];
	struct ft_privileges kept;
	unsigned count = 1;

	for (unsigned i = 0; i < 3; i++) {
		if (files[i] == NULL || strcmp(files[i], "-") == 0)
			continue;
		snprintf(paths[i], sizeof(paths[i]), "%s", files[i]);
		directories[count++] = dirname(paths[i]);
	}
	return ft_privileges_drop(directories, count, &kept, error);
}

/* Every port is open by the end of this, and the first thread not yet started before it. */
static int open_ports(struct ft_generate_run *run, struct ft_error *error)
{
	/* The input first: switching LRO off resets some adapters, and then the link is waited for.
	 */
	int rc = open_input(run, error);

	if (rc == 0)
		rc = ft_generate_open_output(run, error);
	if (rc == 0 && run->input != NULL)
		rc = ft_port_start(run->input, error);
	if (rc == 0 && ft_generate_interrupted(run))
		rc = -ECANCELED;
	if (rc == 0 && run->sender.paced)
		ft_realtime_permit(run->transmit.area, run->transmit.memory_bytes);
	if (rc == 0)
		rc = drop_privileges(run, error);
	if (rc == 0)
		rc = ft_generate_start_reading(run, error);
	return rc == 0 ? start_receiving(run, error) : rc;
}

/*
 * Until all have come back, or no more of them for RESIDUAL_NS. Copies are not waited for: they may
 * go round in a loop for ever.
 */
static void wait_for_residual(struct ft_generate_run *run)
{
	const struct ft_receiver *receiver = &run->receiver;
	uint64_t began_ns = ft_clock_monotonic_ns(), now_ns = began_ns;

	while (!atomic_load_explicit(&receiver->ended, memory_order_acquire)) {
		uint64_t last_ns = ft_count_read(&receiver->last_ns);

		if (ft_generate_lost(run) == 0)
			return;
		if (last_ns < began_ns)
			last_ns = began_ns;
		if (now_ns > last_ns && now_ns - last_ns > RESIDUAL_NS)
			return;
		run->trickling = now_ns - began_ns > LONGEST_RESIDUAL_NS;
		if (run->trickling)
			return;
		if (ft_generate_interrupted(run)) {
			ft_generate_cut_short(run, "signal");
			return;
		}
		ft_manager_serve(run->manager, SERVE_MS);
		now_ns = ft_clock_monotonic_ns();
	}
}

static void stop_receiving(struct ft_generate_run *run)
{
	if (!run->receiving)
		return;
	ft_receiver_stop(&run->receiver);
	run->receiving = false;
}

/* All that happens between opened ports and the report. */
static int generate(struct ft_generate_run *run, struct ft_error *error)
{
	int rc = ft_generate_begin_counts(run, error);

	if (rc != 0)
		return rc;
	run->started_ns = ft_manager_publish(run->manager, error);
	if (run->started_ns == 0)
		return -EIO;
	rc = ft_generate_send(run, error);
	if (rc != 0)
		return rc;
	if (run->receiving && !run->failed)
		wait_for_residual(run);
	stop_receiving(run);
	if (run->receiver.result != 0)
		ft_generate_fail(run, &run->receiver.error);
	if (ft_generate_end_counts(run, error) != 0)
		ft_generate_fail(run, error);
	if (ft_transmit_finish(&run->transmit, error) != 0)
		ft_generate_fail(run, error);
	return 0;
}

static int run_generator(struct ft_generate_run *run, struct ft_error *error)
{
	int rc = ft_manager_open(PROGRAM, run->settings->name, &run->manager, error);

	if (rc == 0)
		rc = prepare(run, error);
	if (rc == 0)
		rc = open_ports(run, error);
	if (rc == 0)
		rc = generate(run, error);
	if (rc != 0)
		return rc;
	if (!run->settings->quiet)
		ft_generate_summarize(run);
	return ft_generate_report(run, error);
}

static void close_all(struct ft_generate_run *run)
{
	stop_receiving(run);
	ft_port_free(run->input);
	ft_receiver_free(&run->receiver);
	ft_watch_close(&run->watch);
	ft_transmit_free(&run->transmit);
	ft_guardian_free(run->guardian);
	ft_stream_set_free(&run->streams);
	ft_stream_file_free(&run->stream_file);
	ft_replay_free(&run->replay);
	if (run->claim_fd >= 0)
		close(run->claim_fd);
	ft_manager_free(run->manager);
}

int ft_generate_run(const struct ft_generate_settings *settings)
{
	struct ft_generate_run *run = calloc(1, sizeof(*run));
	struct ft_error error;
	int rc, code;

	if (run == NULL) {
		fprintf(stderr, PROGRAM ": out of memory\n");
		return 1;
	}
	run->settings = settings;
	run->claim_fd = -1;
	rc = run_generator(run, &error);
	if (rc == -ECANCELED) {
		code = 130;
	} else if (rc != 0) {
		fprintf(stderr, PROGRAM ": %s\n", error.text);
		code = run->started_ns != 0 ? 1 : ft_exit_code(rc);
	} else {
		code = run->failed ? 1 : 0;
	}
	close_all(run);
	free(run);
	return code;
}
