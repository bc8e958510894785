/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by the sender's thread. At 10GbE line rate of the smallest frame it has 67 ns a frame; the
 * kernel's packet path takes far more, so what is here must stay at a few nanoseconds: number and
 * time into a filled slot, one clock reading and one system call a batch. It takes no lock,
 * allocates nothing and touches no file.
 *
 * Each frame is due at an absolute time. A late sender sends all that is due at once, so that
 * batches form by themselves and the average rate holds.
 */
#include "gen/sender.h"

#include <errno.h>
#include <string.h>

#include "ft/clock.h"

/* How far behind the end of its duration a paced run may finish; then the rest is given up. */
#define OVERRUN_NS (200 * FT_NS_PER_MS)

/* A start's schedule. */
struct schedule {
	uint64_t started_ns; /* monotonic */
	uint64_t end_ns;     /* nothing is due from here on */
	uint64_t overrun_ns; /* nothing is sent from here on */
};

/* When the next frame is due (monotonic). */
static uint64_t due_ns(const struct ft_sender *sender, const struct schedule *schedule)
{
	if (sender->source->due == FT_SOURCE_END)
		return UINT64_MAX;
	return schedule->started_ns + ft_fine_ns(sender->source->due);
}

static struct schedule begin_schedule(const struct ft_sender *sender)
{
	struct schedule schedule = {
		.started_ns = ft_clock_monotonic_ns(),
		.end_ns = UINT64_MAX,
		.overrun_ns = UINT64_MAX,
	};

	if (sender->duration_ns != 0) {
		schedule.end_ns = schedule.started_ns + sender->duration_ns;
		schedule.overrun_ns = schedule.end_ns + (sender->paced ? OVERRUN_NS : 0);
	}
	return schedule;
}

/* Wait until the next frame is due. Returns the time, 0 when there is none to send any more. */
static uint64_t wait_turn(struct ft_sender *sender, const struct schedule *schedule)
{
	uint64_t now_ns, next_ns = due_ns(sender, schedule);

	if (next_ns >= schedule->end_ns)
		return 0;
	now_ns = ft_pace_wait(next_ns, &sender->stop);
	if (atomic_load_explicit(&sender->stop, memory_order_relaxed))
		return 0;
	if (now_ns >= schedule->overrun_ns) {
		sender->behind = sender->paced;
		return 0;
	}
	if (sender->paced && now_ns - next_ns > ft_count_read(&sender->late_max_ns))
		ft_count_set(&sender->late_max_ns, now_ns - next_ns);
	return now_ns;
}

/* Up to when frames are due that are sent now. */
static ft_fine_time last_due(const struct schedule *schedule, uint64_t now_ns)
{
	uint64_t last_ns = now_ns < schedule->end_ns ? now_ns : schedule->end_ns - 1;

	return ((ft_fine_time)(last_ns - schedule->started_ns + 1) << FT_FINE_SHIFT) - 1;
}

/* Returns 0, or negative when the port is lost. */
static int send_batch(struct ft_sender *sender, unsigned batch)
{
	struct ft_transmit *transmit = sender->transmit;
	int sent = ft_transmit_send(transmit, batch, &sender->stop, &sender->error);
	uint64_t bytes = 0;

	if (sent < 0)
		return sent;
	for (int i = 0; i < sent; i++)
		bytes += transmit->frames[i].iov_len;
	ft_count_add(&sender->submitted, (uint64_t)sent);
	ft_count_add(&sender->bytes, bytes);
	return 0;
}

static int send_all(struct ft_sender *sender, const struct schedule *schedule)
{
	const struct ft_source *source = sender->source;
	uint64_t submitted = ft_count_read(&sender->submitted), now_ns;
	int rc = 0;

	while (rc == 0 && submitted < sender->limit &&
	       (now_ns = wait_turn(sender, schedule)) != 0) {
		uint64_t left = sender->limit - submitted;
		unsigned batch = source->ops->fill(sender->source, last_due(schedule, now_ns),
						   ft_clock_utc_ns(), sender->transmit->frames,
						   left < FT_TRANSMIT_BATCH ? (unsigned)left
									    : FT_TRANSMIT_BATCH);

		rc = send_batch(sender, batch);
		submitted = ft_count_read(&sender->submitted);
	}
	return rc;
}

static void *run(void *argument)
{
	struct ft_sender *sender = argument;
	struct schedule schedule = begin_schedule(sender);
	uint64_t now_ns, next_ns;

	sender->source->ops->restart(sender->source);
	sender->result = send_all(sender, &schedule);
	now_ns = ft_clock_monotonic_ns();
	next_ns = due_ns(sender, &schedule);
	/* N frames at a rate take N intervals, although the last is not waited for. */
	if (next_ns > now_ns && next_ns != UINT64_MAX && !atomic_load(&sender->stop))
		now_ns = next_ns;
	sender->elapsed_ns += now_ns - schedule.started_ns;
	sender->ended_ns = ft_clock_utc_ns();
	/* Release: everything above is read by the main thread once it sees `ended`. */
	atomic_store_explicit(&sender->ended, true, memory_order_release);
	return NULL;
}

int ft_sender_start(struct ft_sender *sender, struct ft_error *error)
{
	int rc;

	atomic_store(&sender->ended, false);
	rc = pthread_create(&sender->thread, NULL, run, sender);
	if (rc != 0)
		return ft_fail(error, -rc, "cannot start the sending thread: %s", strerror(rc));
	return 0;
}

void ft_sender_join(struct ft_sender *sender)
{
	pthread_join(sender->thread, NULL);
}
