/* SPDX-License-Identifier: Apache-2.0 */
/* The sending of a generator run, from the start of its thread until the port has confirmed all. */
#include <errno.h>

#include "ft/clock.h"
#include "ft/counters.h"
#include "gen/generate_run.h"

#define SERVE_MS 5
/* How long an adapter's counter may lag behind the frames: some drivers ask it once a second. */
#define CONFIRM_NS (2 * FT_NS_PER_SECOND)
/* Frames that the port took but did not send are made up for so often. */
#define TOP_UP_ROUNDS 3u
/* A port without a link takes frames and sends none; it is given up after this long. */
#define OUTAGE_NS (2 * FT_NS_PER_SECOND)
/* How long after its time a sender is left alone, that ends by itself within milliseconds. */
#define OVERDUE_NS FT_NS_PER_SECOND

void ft_generate_cut_short(struct ft_generate_run *run, const char *reason)
{
	run->cut_short = true;
	run->stop_reason = reason;
}

static int start_sending(struct ft_generate_run *run, struct ft_error *error)
{
	uint64_t duration_ns = run->sender.duration_ns;
	int rc;

	run->end_ns = duration_ns != 0 && !run->transmit.keeps_no_time
			      ? ft_clock_monotonic_ns() + duration_ns
			      : 0;
	run->sender.speed = run->tempo.speed;
	rc = ft_sender_start(&run->sender, error);
	run->sending = rc == 0;
	return rc;
}

static const char *lose_port(struct ft_generate_run *run, const char *how)
{
	struct ft_error error;

	ft_fail(&error, -ENETDOWN, "-o: port '%s' %s", run->transmit.device, how);
	ft_generate_fail(run, &error);
	return "port lost";
}

/* Non-NULL when the sending port is gone, or has been without a link for too long. */
static const char *check_output(struct ft_generate_run *run)
{
	ft_watch_look(&run->watch, run->manager);
	if (ft_transmit_has_link(&run->transmit) < 0)
		return lose_port(run, "is gone");
	for (unsigned i = 0; i < run->watch.link_count; i++) {
		const struct ft_watched_link *link = &run->watch.links[i];

		if (link->ifindex == run->transmit.ifindex && link->down_ns != 0 &&
		    ft_clock_monotonic_ns() - link->down_ns >= OUTAGE_NS)
			return lose_port(run, "lost its link");
	}
	return NULL;
}

/* A port that is too busy for the frames it was given must not keep the run from its end. */
static bool is_overdue(struct ft_generate_run *run)
{
	run->overdue = run->end_ns != 0 && ft_clock_monotonic_ns() > run->end_ns + OVERDUE_NS;
	return run->overdue;
}

static const char *tick(void *engine)
{
	struct ft_generate_run *run = engine;

	if (atomic_load_explicit(&run->sender.ended, memory_order_acquire)) {
		if (run->sender.result != 0)
			return "port lost";
		return ft_generate_had_all(run) || run->sender.source->due == FT_SOURCE_END
			       ? "count"
			       : "duration";
	}
	if (run->input != NULL && atomic_load_explicit(&run->receiver.ended, memory_order_acquire))
		return "port lost";
	return is_overdue(run) ? "duration" : check_output(run);
}

/* Answer clients until the sender has ended or something stops the run; returns why. */
static const char *wait_for_end(struct ft_generate_run *run)
{
	static const struct ft_manager_calls calls = {
		.status = ft_generate_status, .tick = tick, .rate = ft_generate_rate};

	return ft_manager_run(run->manager, &calls, run);
}

/* Wait for the sender's end; it is told to end when the run is stopped. */
static void stop_sending(struct ft_generate_run *run)
{
	if (!run->sending)
		return;
	while (!atomic_load_explicit(&run->sender.ended, memory_order_acquire)) {
		if (ft_generate_interrupted(run))
			ft_generate_cut_short(run, "signal");
		if (run->cut_short || is_overdue(run))
			atomic_store(&run->sender.stop, true);
		ft_manager_serve(run->manager, SERVE_MS);
	}
	ft_sender_join(&run->sender);
	run->sending = false;
}

/* Ask the port how many frames left it; wait a moment where its counter is still behind. */
static int confirm(struct ft_generate_run *run, struct ft_error *error)
{
	uint64_t submitted = ft_count_read(&run->sender.submitted);
	uint64_t began_ns = ft_clock_monotonic_ns();

	do {
		int rc;

		ft_counters_settle();
		rc = ft_transmit_read_count(&run->transmit, &run->tx_frames, error);
		if (rc != 0)
			return rc;
		if (run->tx_frames >= submitted)
			return 0;
		ft_manager_serve(run->manager, SERVE_MS);
	} while (ft_clock_monotonic_ns() - began_ns < CONFIRM_NS);
	return 0;
}

/* Streams that have a count each have no frame left that could stand for another. */
static bool may_top_up(const struct ft_generate_run *run)
{
	const struct ft_sender *sender = &run->sender;

	return !run->failed && run->settings->replay == NULL && run->tx_frames < run->asked &&
	       !atomic_load(&sender->stop) && !sender->behind &&
	       ft_count_read(&sender->late.skipped) == 0 && ft_generate_had_all(run) &&
	       sender->source->due != FT_SOURCE_END;
}

/*
 * A --count is a count of frames that left the port: send further ones, with numbers of their own,
 * in place of those that the kernel took and then dropped. A replay is never added to.
 */
static int top_up(struct ft_generate_run *run, struct ft_error *error)
{
	uint64_t before;
	int rc = confirm(run, error);

	for (unsigned round = 0; rc == 0 && round < TOP_UP_ROUNDS && may_top_up(run); round++) {
		before = run->tx_frames;
		run->sender.limit += run->asked - run->tx_frames;
		rc = start_sending(run, error);
		stop_sending(run);
		if (rc == 0)
			rc = confirm(run, error);
		if (run->tx_frames == before)
			break;
	}
	return rc;
}

int ft_generate_send(struct ft_generate_run *run, struct ft_error *error)
{
	int rc = start_sending(run, error);

	if (rc != 0)
		return rc;
	run->stop_reason = wait_for_end(run);
	if (!atomic_load(&run->sender.ended) && !run->overdue)
		ft_generate_cut_short(run, run->stop_reason);
	stop_sending(run);
	run->stopped_ns = run->sender.ended_ns;
	if (run->sender.result != 0)
		ft_generate_fail(run, &run->sender.error);
	if (ft_generate_judge_reading(run, error) != 0)
		ft_generate_fail(run, error);
	if (top_up(run, error) != 0)
		ft_generate_fail(run, error);
	run->stopped_ns = run->sender.ended_ns;
	return 0;
}
