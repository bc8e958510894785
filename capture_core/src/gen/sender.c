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
#include <time.h>

#include "ft/clock.h"
#include "gen/tempo.h"

/* How far behind the end of its duration a paced run may finish; then the rest is given up. */
#define OVERRUN_NS (200 * FT_NS_PER_MS)
/* Between the start of the thread and the first frame of a paced run, so that it is not late. */
#define LEAD_NS (FT_NS_PER_MS / 5)
/* How long a source that had nothing is left alone. */
#define STARVED_NS 50000

/* A start's schedule; times are monotonic. */
struct schedule {
	struct ft_tempo tempo;
	uint64_t started_ns;
	uint64_t end_ns;     /* nothing is due from here on */
	uint64_t overrun_ns; /* nothing is sent from here on */
};

/* When the next frame is due; FT_TEMPO_NEVER: not as things are. */
static uint64_t due_ns(const struct ft_sender *sender, const struct schedule *schedule)
{
	if (sender->source->due == FT_SOURCE_END)
		return FT_TEMPO_NEVER;
	return ft_tempo_ns(&schedule->tempo, sender->source->due);
}

static struct schedule begin_schedule(const struct ft_sender *sender)
{
	struct schedule schedule = {
		.started_ns = ft_clock_monotonic_ns() + (sender->paced ? LEAD_NS : 0),
		.end_ns = UINT64_MAX,
		.overrun_ns = UINT64_MAX,
	};

	ft_tempo_begin(&schedule.tempo, sender->speed, schedule.started_ns);
	if (sender->duration_ns != 0) {
		schedule.end_ns = schedule.started_ns + sender->duration_ns;
		schedule.overrun_ns = schedule.end_ns + (sender->paced ? OVERRUN_NS : 0);
	}
	return schedule;
}

/* Take what a client asked for. */
static void take_change(struct ft_sender *sender, struct schedule *schedule)
{
	const struct ft_sender_change *change = &sender->change;
	uint64_t now_ns = ft_clock_monotonic_ns();

	/* Acquire: `change` was written before the flag was set. */
	if (!atomic_load_explicit(&sender->changed, memory_order_acquire))
		return;
	ft_tempo_change(&schedule->tempo, change->speed, change->paused, now_ns);
	if (change->set_pace != NULL)
		change->set_pace(sender->source, change->has_pace ? &change->pace : NULL,
				 schedule->tempo.since);
	/* Release: only now may `change` be written again. */
	atomic_store_explicit(&sender->changed, false, memory_order_release);
}

/*
 * Wait until the next frame is due, and tell how late that is noticed. Returns the time, 0 when
 * there is none to send any more.
 */
static uint64_t wait_turn(struct ft_sender *sender, struct schedule *schedule, uint64_t *late_ns)
{
	uint64_t now_ns = 0, next_ns = FT_TEMPO_NEVER;

	while (now_ns < next_ns) {
		if (atomic_load_explicit(&sender->changed, memory_order_relaxed))
			take_change(sender, schedule);
		next_ns = due_ns(sender, schedule);
		if (sender->source->due == FT_SOURCE_END || now_ns >= schedule->end_ns ||
		    (next_ns >= schedule->end_ns && !schedule->tempo.paused))
			return 0;
		now_ns = ft_pace_wait(next_ns < schedule->end_ns ? next_ns : schedule->end_ns,
				      &sender->stop, &sender->changed);
		if (atomic_load_explicit(&sender->stop, memory_order_relaxed))
			return 0;
	}
	if (now_ns >= schedule->overrun_ns) {
		sender->behind = sender->paced;
		return 0;
	}
	*late_ns = now_ns - next_ns;
	return now_ns;
}

/* Up to when frames are due that are sent now. */
static ft_fine_time last_due(const struct ft_sender *sender, const struct schedule *schedule,
			     uint64_t now_ns)
{
	uint64_t last_ns = now_ns < schedule->end_ns ? now_ns : schedule->end_ns - 1;
	ft_fine_time last = ft_tempo_at(&schedule->tempo, last_ns + 1) - 1;

	/* What was waited for is due, however its time was rounded. */
	return last >= sender->source->due ? last : sender->source->due;
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

static void pause_starved(void)
{
	const struct timespec pause = {.tv_nsec = STARVED_NS};

	nanosleep(&pause, NULL);
}

static int send_all(struct ft_sender *sender, struct schedule *schedule)
{
	const struct ft_source *source = sender->source;
	uint64_t submitted = ft_count_read(&sender->submitted), now_ns, late_ns;
	int rc = 0;

	while (rc == 0 && submitted < sender->limit &&
	       (now_ns = wait_turn(sender, schedule, &late_ns)) != 0) {
		uint64_t left = sender->limit - submitted;
		unsigned batch = source->ops->fill(
			sender->source, last_due(sender, schedule, now_ns), ft_clock_utc_ns(),
			sender->transmit->frames,
			left < FT_TRANSMIT_BATCH ? (unsigned)left : FT_TRANSMIT_BATCH);

		if (batch == 0) {
			pause_starved();
			continue;
		}
		if (sender->paced && late_ns > ft_count_read(&sender->late_max_ns))
			ft_count_set(&sender->late_max_ns, late_ns);
		rc = send_batch(sender, batch);
		submitted = ft_count_read(&sender->submitted);
	}
	return rc;
}

/* When the schedule is over: N frames at a rate take N intervals, although nobody waits for the
 * last one. */
static uint64_t over_ns(const struct ft_sender *sender, const struct schedule *schedule)
{
	const struct ft_source *source = sender->source;
	ft_fine_time last = source->due != FT_SOURCE_END ? source->due : source->ends;
	uint64_t now_ns = ft_clock_monotonic_ns(), last_ns = ft_tempo_ns(&schedule->tempo, last);

	if (now_ns < schedule->started_ns) /* stopped before it began */
		return schedule->started_ns;
	if (last_ns <= now_ns || last_ns == FT_TEMPO_NEVER || atomic_load(&sender->stop))
		return now_ns;
	return last_ns;
}

static void *run(void *argument)
{
	struct ft_sender *sender = argument;
	struct schedule schedule = begin_schedule(sender);

	sender->source->ops->restart(sender->source);
	sender->result = send_all(sender, &schedule);
	sender->elapsed_ns += over_ns(sender, &schedule) - schedule.started_ns;
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

int ft_sender_ask(struct ft_sender *sender, const struct ft_sender_change *change)
{
	if (atomic_load_explicit(&sender->changed, memory_order_acquire))
		return -EBUSY;
	sender->change = *change;
	/* Release: the sender reads `change` once it sees the flag. */
	atomic_store_explicit(&sender->changed, true, memory_order_release);
	return 0;
}

void ft_sender_join(struct ft_sender *sender)
{
	pthread_join(sender->thread, NULL);
}
