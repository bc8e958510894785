/* SPDX-License-Identifier: Apache-2.0 */
/* What a run does for a replay, beside sending it. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "ft/clock.h"
#include "gen/generate_run.h"

/* Of passes without end. */
#define DEFAULT_DURATION_NS (10 * FT_NS_PER_SECOND)

/* How many frames there are to send; 0 where only the end will tell. */
static uint64_t frames_asked(const struct ft_generate_run *run)
{
	const struct ft_generate_settings *settings = run->settings;
	uint64_t frames = run->replay.frame_count * run->replay.loops;

	if (settings->duration_ns != 0 || run->replay.ring != NULL || frames == 0)
		return settings->count;
	return settings->count != 0 && settings->count < frames ? settings->count : frames;
}

/* The mean of a file in memory; else only frames a second are known before they are read. */
static double replay_pps(const struct ft_generate_run *run)
{
	const struct ft_replay *replay = &run->replay;
	ft_fine_time cost = run->pace.per_frame;
	uint64_t frames = replay->frame_count;

	if (replay->file_timing || (frames == 0 && run->pace.per_byte != 0))
		return 0;
	if (frames != 0)
		cost += (replay->data_bytes + frames * FT_FCS_BYTES) * run->pace.per_byte / frames;
	return ft_pace_pps(cost);
}

int ft_generate_prepare_replay(struct ft_generate_run *run, struct ft_error *error)
{
	const struct ft_generate_settings *settings = run->settings;
	struct ft_error why;
	int rc = ft_pace_set(&run->pace, &settings->rate, run->transmit.speed_bps, &why);

	if (rc != 0)
		return ft_fail(error, rc, "--rate: %s", why.text);
	run->replay_settings = (struct ft_replay_settings){
		.path = settings->replay,
		.filter = settings->filter,
		.packets = settings->packets,
		.from_ns = settings->from_ns,
		.to_ns = settings->to_ns,
		.rewrite = settings->rewrite,
		.loops = settings->loops,
		.limits = {run->transmit.device, run->transmit.max_bytes,
			   run->transmit.max_tagged_bytes},
		.given_up = ft_generate_interrupted,
		.context = run,
	};
	rc = ft_replay_open(&run->replay_settings, &run->replay, error);
	if (rc != 0)
		return rc == -EAGAIN ? -ECANCELED : rc;
	run->transmit.longest_bytes = run->replay.longest_bytes;
	run->replay.pace = run->tempo.pace = run->pace;
	run->tempo.has_pace = settings->rate_given;
	run->replay.file_timing = !settings->rate_given;
	run->asked = frames_asked(run);
	if (settings->loops == 0 && settings->count == 0 && settings->duration_ns == 0)
		run->sender.duration_ns = DEFAULT_DURATION_NS;
	run->requested_pps = replay_pps(run);
	run->sender.source = &run->replay.source;
	run->sender.limit = run->asked != 0 ? run->asked : UINT64_MAX;
	run->sender.paced = run->replay.file_timing || settings->rate.unit != FT_RATE_MAX;
	return 0;
}

int ft_generate_start_reading(struct ft_generate_run *run, struct ft_error *error)
{
	const struct timespec pause = {.tv_nsec = FT_NS_PER_MS};
	int rc;

	if (run->settings->replay == NULL)
		return 0;
	rc = ft_replay_start(&run->replay, error);
	while (rc == 0 && !ft_replay_is_ready(&run->replay, run->tempo.speed)) {
		nanosleep(&pause, NULL);
		if (ft_generate_interrupted(run))
			rc = -ECANCELED;
	}
	return rc;
}

int ft_generate_judge_reading(const struct ft_generate_run *run, struct ft_error *error)
{
	struct ft_error reading;

	if (run->settings->replay == NULL || ft_replay_result(&run->replay, &reading) == 0)
		return 0;
	return ft_fail(error, -EBADMSG, "%s; the %" PRIu64 " frames before that were sent",
		       reading.text, ft_count_read(&run->sender.submitted));
}
