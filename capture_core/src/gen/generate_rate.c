/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the rate of a run that sends. */
#include <errno.h>
#include <string.h>

#include "gen/generate_run.h"

/* Of a rate to the one that the run was started with: what a schedule of days can hold. */
#define LEAST_CHANGE 1e-9

static void set_replay_pace(struct ft_source *source, const struct ft_pace *pace, ft_fine_time now)
{
	ft_replay_set_pace((struct ft_replay *)source, pace, now);
}

static int refuse(struct ft_error *error)
{
	return ft_fail(error, -EINVAL,
		       "rate needs one of \"rate\" (as --rate), \"speed\" (a number from %g to %g) "
		       "and \"paused\" (true or false)",
		       FT_GENERATE_MIN_SPEED, FT_GENERATE_MAX_SPEED);
}

/* The same rate in a unit that compares: of layer 1 where it is a percentage. */
static struct ft_rate in_bits(const struct ft_generate_run *run, struct ft_rate rate)
{
	if (rate.unit == FT_RATE_PERCENT && run->transmit.speed_bps != 0)
		return (struct ft_rate){FT_RATE_BPS_L1,
					rate.value / 100 * (double)run->transmit.speed_bps};
	return rate;
}

/* Of the one stream of the command line. */
static int set_total_rate(struct ft_generate_run *run, const struct ft_rate *rate,
			  struct ft_sender_change *change, struct ft_error *error)
{
	struct ft_rate before = in_bits(run, run->settings->rate), after = in_bits(run, *rate);

	if (run->settings->streams != NULL)
		return ft_fail(error, -EINVAL,
			       "rate: streams have rates of their own; give \"speed\", which "
			       "changes them all");
	if (before.unit == FT_RATE_MAX || before.unit != after.unit)
		return ft_fail(error, -EINVAL,
			       "rate: this run cannot go over to another unit of rate, nor to or "
			       "from top speed; give it in the unit it was started with, or "
			       "\"speed\"");
	change->speed = after.value / before.value;
	if (!(change->speed >= LEAST_CHANGE && change->speed <= 1 / LEAST_CHANGE))
		return ft_fail(error, -EINVAL,
			       "rate: too far from the rate that the run was started with");
	return 0;
}

static int set_rate(struct ft_generate_run *run, const char *text, struct ft_sender_change *change,
		    struct ft_error *error)
{
	struct ft_rate rate;
	int rc = ft_parse_rate(text, &rate, error);

	if (rc != 0)
		return rc;
	if (run->settings->replay == NULL)
		return set_total_rate(run, &rate, change, error);
	rc = ft_pace_set(&change->pace, &rate, run->transmit.speed_bps, error);
	change->has_pace = true;
	change->speed = 1;
	return rc;
}

/* Of a replay: of the file's timing; of streams: of the rates that they were started with. */
static int set_speed(const struct ft_generate_run *run, double speed,
		     struct ft_sender_change *change, struct ft_error *error)
{
	if (!(speed >= FT_GENERATE_MIN_SPEED && speed <= FT_GENERATE_MAX_SPEED))
		return refuse(error);
	if (run->settings->replay == NULL && !run->sender.paced)
		return ft_fail(error, -EINVAL,
			       "rate: a run at top speed has no speed to change; start it with "
			       "--rate");
	change->speed = speed;
	change->has_pace = false;
	return 0;
}

static int read_params(struct ft_generate_run *run, const json_t *params,
		       struct ft_sender_change *change, struct ft_error *error)
{
	const json_t *rate = json_object_get(params, "rate");
	const json_t *speed = json_object_get(params, "speed");
	const json_t *paused = json_object_get(params, "paused");

	if ((rate != NULL) + (speed != NULL) + (paused != NULL) != 1)
		return refuse(error);
	change->set_pace = run->settings->replay != NULL && paused == NULL ? set_replay_pace : NULL;
	if (json_is_string(rate)) {
		change->paused = false;
		return set_rate(run, json_string_value(rate), change, error);
	}
	if (json_is_number(speed)) {
		change->paused = false;
		return set_speed(run, json_number_value(speed), change, error);
	}
	if (!json_is_boolean(paused))
		return refuse(error);
	change->paused = json_is_true(paused);
	return 0;
}

json_t *ft_generate_rate(void *engine, const json_t *params, struct ft_error *error)
{
	struct ft_generate_run *run = engine;
	struct ft_sender_change change = run->tempo;

	if (run->transmit.keeps_no_time) {
		ft_fail(error, -EINVAL, "rate: a dry run takes no time");
		return NULL;
	}
	if (read_params(run, params, &change, error) != 0)
		return NULL;
	if (atomic_load(&run->sender.ended) || ft_sender_ask(&run->sender, &change) != 0) {
		ft_fail(error, -EBUSY, "rate: the run takes no change now; try again");
		return NULL;
	}
	run->tempo = change;
	return json_pack("{s:f, s:b}", "speed", change.speed, "paused", change.paused);
}
