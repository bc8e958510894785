/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by the sender's thread. At 10GbE line rate of the smallest frame it has 67 ns a frame; the
 * kernel's packet path takes far more, so what is here must stay at a few nanoseconds: number and
 * time into a filled slot, one clock reading and one system call a batch. It takes no lock,
 * allocates nothing and touches no file.
 *
 * Each frame is due at an absolute time. A late sender sends all that is due at once, so that
 * batches form by themselves and the average rate holds, unless another policy was asked for. All
 * frames of a batch carry the time when it was about to be handed to the port: none can have left
 * earlier, and how long handing over took is measured.
 */
#include "gen/sender.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "ft/clock.h"
#include "gen/tempo.h"

/* How far behind the end of its duration a paced run may finish; then the rest is given up. */
#define OVERRUN_NS (200 * FT_NS_PER_MS)
/* Between the start of the thread and the first frame, so that the first one is not late. */
#define LEAD_NS (FT_NS_PER_MS / 5)
/* How long a source whose reader is behind is left alone. */
#define STARVED_NS 50000
/*
 * The first call of a flood; and how long one may take, and the end go unnoticed. The kernel waits
 * some 16 ms after each call, whatever it made: measured with Linux 6.18.
 */
#define FLOOD_FRAMES 16384u
#define FLOOD_NS     (100 * FT_NS_PER_MS)

/* A start's schedule; times are monotonic. */
struct schedule {
	struct ft_tempo tempo;
	uint64_t began_ns;
	uint64_t end_ns;     /* nothing is due from here on */
	uint64_t overrun_ns; /* nothing is sent from here on */
	uint64_t began_utc_ns;
	uint64_t late_ns; /* of the latest batch */
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
		.began_ns = ft_clock_monotonic_ns() + LEAD_NS,
		.end_ns = UINT64_MAX,
		.overrun_ns = UINT64_MAX,
		.began_utc_ns = ft_clock_utc_ns() + LEAD_NS,
	};

	ft_tempo_begin(&schedule.tempo, sender->speed, schedule.began_ns);
	if (sender->duration_ns != 0) {
		schedule.end_ns = schedule.began_ns + sender->duration_ns;
		schedule.overrun_ns = schedule.end_ns + (sender->paced ? OVERRUN_NS : 0);
	}
	return schedule;
}

/* What of the schedule has passed, including all of the nanosecond. */
static ft_fine_time whole_ns(const struct schedule *schedule, uint64_t monotonic_ns)
{
	ft_fine_time next = ft_tempo_at(&schedule->tempo, monotonic_ns + 1);

	return next > 0 ? next - 1 : 0;
}

/* Up to when frames are due that are sent now. */
static ft_fine_time last_due(const struct schedule *schedule, uint64_t now_ns)
{
	return whole_ns(schedule, now_ns < schedule->end_ns ? now_ns : schedule->end_ns - 1);
}

/* Frames left of the limit; those left out have had their turn. */
static uint64_t count_left(const struct ft_sender *sender)
{
	uint64_t had = ft_count_read(&sender->submitted) + ft_count_read(&sender->late.skipped);

	return had < sender->limit ? sender->limit - had : 0;
}

/* What to do about frames that are too late. Returns whether the schedule has changed by it. */
static bool apply_policy(struct ft_sender *sender, struct schedule *schedule, uint64_t now_ns)
{
	struct ft_lateness *late = &sender->late;
	uint64_t skipped;

	switch (late->policy) {
	case FT_LATE_SKIP:
		skipped = sender->source->ops->skip(sender->source,
						    last_due(schedule, now_ns - FT_LATE_NS),
						    count_left(sender));
		ft_count_add(&late->skipped, skipped);
		return skipped != 0;
	case FT_LATE_SLIDE:
		ft_count_add(&late->frames, 1);
		ft_count_add(&late->slid_ns, schedule->late_ns);
		schedule->tempo.since_ns += schedule->late_ns;
		return true;
	default:
		return false;
	}
}

static void note_lateness(struct ft_sender *sender, uint64_t late_ns)
{
	ft_histogram_record(&sender->late.batches, late_ns);
	if (late_ns > ft_count_read(&sender->late.max_ns))
		ft_count_set(&sender->late.max_ns, late_ns);
}

/* Take what a client asked for, if it did. */
static void take_change(struct ft_sender *sender, struct schedule *schedule)
{
	const struct ft_sender_change *change = &sender->change;

	/* Acquire: `change` was written before the flag was set. */
	if (!atomic_load_explicit(&sender->changed, memory_order_acquire))
		return;
	ft_tempo_change(&schedule->tempo, change->speed, change->paused, ft_clock_monotonic_ns());
	if (change->set_pace != NULL)
		change->set_pace(sender->source, change->has_pace ? &change->pace : NULL,
				 schedule->tempo.since);
	/* Release: only now may `change` be written again. */
	atomic_store_explicit(&sender->changed, false, memory_order_release);
}

/* Wait until a source that is read while it is sent knows what comes next. */
static void wait_for_reader(struct ft_sender *sender, const struct schedule *schedule)
{
	const struct timespec pause = {.tv_nsec = STARVED_NS};
	uint64_t now_ns = schedule->began_ns;

	while (sender->source->starved && now_ns < schedule->end_ns &&
	       !atomic_load_explicit(&sender->stop, memory_order_relaxed)) {
		nanosleep(&pause, NULL);
		if (!sender->transmit->keeps_no_time)
			now_ns = ft_clock_monotonic_ns();
		sender->source->ops->fill(sender->source, ft_tempo_at(&schedule->tempo, now_ns), 0,
					  NULL, 0);
	}
}

/*
 * Wait until the next frame is due, whatever the rate becomes meanwhile. Returns when it was due,
 * and sets the time; FT_TEMPO_NEVER: there is none to send any more.
 */
static uint64_t wait_due(struct ft_sender *sender, struct schedule *schedule, uint64_t *now_ns)
{
	uint64_t next_ns;

	*now_ns = 0;
	do {
		take_change(sender, schedule);
		if (sender->source->starved)
			wait_for_reader(sender, schedule);
		next_ns = due_ns(sender, schedule);
		if (sender->source->due == FT_SOURCE_END || sender->source->starved ||
		    *now_ns >= schedule->end_ns ||
		    (next_ns >= schedule->end_ns && !schedule->tempo.paused))
			return FT_TEMPO_NEVER;
		if (sender->transmit->keeps_no_time) /* for it, it is always just then */
			*now_ns = next_ns;
		else
			*now_ns = ft_pace_wait(next_ns < schedule->end_ns ? next_ns
									  : schedule->end_ns,
					       &sender->stop, &sender->changed);
		if (atomic_load_explicit(&sender->stop, memory_order_relaxed))
			return FT_TEMPO_NEVER;
	} while (*now_ns < next_ns);
	return next_ns;
}

/* Wait until the next frame is due. Returns the time, 0 when there is none to send any more. */
static uint64_t wait_turn(struct ft_sender *sender, struct schedule *schedule)
{
	uint64_t now_ns, next_ns;

	do {
		next_ns = wait_due(sender, schedule, &now_ns);
		if (next_ns == FT_TEMPO_NEVER)
			return 0;
		if (now_ns >= schedule->overrun_ns) {
			sender->behind = sender->paced;
			return 0;
		}
		schedule->late_ns = sender->paced ? now_ns - next_ns : 0;
		if (sender->paced && !sender->transmit->keeps_no_time)
			note_lateness(sender, schedule->late_ns);
	} while (schedule->late_ns > FT_LATE_NS && apply_policy(sender, schedule, now_ns));
	return now_ns;
}

/* What signed frames carry as the time at which they are sent (UTC). */
static uint64_t sent_utc_ns(const struct ft_sender *sender, const struct schedule *schedule,
			    uint64_t now_ns)
{
	if (!sender->transmit->keeps_no_time)
		return ft_clock_utc_ns();
	sender->transmit->due_ns = schedule->began_utc_ns + now_ns - schedule->began_ns;
	return sender->transmit->due_ns;
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

static void note_handover(struct ft_sender *sender, uint64_t handover_ns)
{
	ft_count_add(&sender->batches, 1);
	ft_count_add(&sender->handover_ns, handover_ns);
	if (handover_ns > ft_count_read(&sender->handover_max_ns))
		ft_count_set(&sender->handover_max_ns, handover_ns);
}

/* The frames that are due, those that are late counted. */
static unsigned fill_batch(struct ft_sender *sender, const struct schedule *schedule,
			   uint64_t now_ns, unsigned room)
{
	struct ft_source *source = sender->source;
	struct iovec *frames = sender->transmit->frames;
	uint64_t sent_ns = sent_utc_ns(sender, schedule, now_ns);
	ft_fine_time last = last_due(schedule, now_ns);
	unsigned late = 0;

	/* What was waited for is due, however its time was rounded. */
	if (last < source->due)
		last = source->due;
	if (schedule->late_ns > FT_LATE_NS) {
		late = source->ops->fill(source, last_due(schedule, now_ns - FT_LATE_NS), sent_ns,
					 frames, room);
		ft_count_add(&sender->late.frames, late);
	}
	if (late == room || source->due > last)
		return late;
	return late + source->ops->fill(source, last, sent_ns, frames + late, room - late);
}

static int send_all(struct ft_sender *sender, struct schedule *schedule)
{
	uint64_t left, now_ns;
	int rc = 0;

	while (rc == 0 && count_left(sender) > 0 && (now_ns = wait_turn(sender, schedule)) != 0) {
		left = count_left(sender);
		if (left == 0)
			break;
		rc = send_batch(sender, fill_batch(sender, schedule, now_ns,
						   left < FT_TRANSMIT_BATCH ? (unsigned)left
									    : FT_TRANSMIT_BATCH));
		if (!sender->transmit->keeps_no_time)
			note_handover(sender, ft_clock_monotonic_ns() - now_ns);
	}
	return rc;
}

/* One call of `*frames` or what is left; then `*frames` is what the next may take to be in time. */
static int flood_some(struct ft_sender *sender, const struct schedule *schedule,
		      struct ft_repeated *repeated, uint32_t *frames)
{
	uint64_t left = count_left(sender), began_ns = ft_clock_monotonic_ns(), now_ns, next;
	uint64_t goal_ns = FLOOD_NS;
	int made = ft_transmit_flood(sender->transmit, repeated,
				     left < *frames ? (uint32_t)left : *frames, &sender->error);

	if (made < 0)
		return made;
	ft_count_add(&sender->submitted, (uint64_t)made);
	ft_count_add(&sender->bytes, (uint64_t)made * repeated->bytes);
	now_ns = ft_clock_monotonic_ns();
	if (schedule->end_ns - now_ns < goal_ns) /* past the end it does not matter */
		goal_ns = schedule->end_ns - now_ns;
	next = (uint64_t)made * goal_ns / (now_ns - began_ns + 1);
	*frames = (uint32_t)(next < 1 ? 1 : next < 2ull * *frames ? next : 2ull * *frames);
	return 0;
}

/* The port makes the frames, at top speed. */
static int flood(struct ft_sender *sender, struct schedule *schedule)
{
	struct ft_repeated repeated;
	uint32_t frames = FLOOD_FRAMES;
	int rc = 0;

	if (!sender->source->ops->repeats(sender->source, &repeated))
		return ft_fail(&sender->error, -EINVAL, "-o: live sends one frame over and over");
	while (rc == 0 && count_left(sender) > 0 &&
	       !atomic_load_explicit(&sender->stop, memory_order_relaxed) &&
	       ft_clock_monotonic_ns() < schedule->end_ns) {
		take_change(sender, schedule);
		if (schedule->tempo.paused)
			ft_pace_wait(schedule->end_ns, &sender->stop, &sender->changed);
		else
			rc = flood_some(sender, schedule, &repeated, &frames);
	}
	return rc;
}

/* Where the schedule has come to. */
static uint64_t end_time(const struct ft_sender *sender, const struct schedule *schedule)
{
	if (sender->transmit->keeps_no_time && sender->transmit->due_ns != 0)
		return schedule->began_ns + sender->transmit->due_ns - schedule->began_utc_ns;
	return ft_clock_monotonic_ns();
}

/* When one frame more would have been due; FT_TEMPO_NEVER: not known. */
static uint64_t next_due_ns(const struct ft_sender *sender, const struct schedule *schedule)
{
	const struct ft_source *source = sender->source;

	if (source->due == FT_SOURCE_END && source->ends != 0)
		return ft_tempo_ns(&schedule->tempo, source->ends);
	return due_ns(sender, schedule);
}

/* N frames at a rate take N intervals, although the last is not waited for. */
static void note_end(struct ft_sender *sender, const struct schedule *schedule)
{
	uint64_t now_ns = end_time(sender, schedule), next_ns = next_due_ns(sender, schedule);
	bool early = next_ns > now_ns && next_ns != FT_TEMPO_NEVER && !atomic_load(&sender->stop);

	if (now_ns < schedule->began_ns) /* stopped before it began */
		now_ns = schedule->began_ns;
	if (sender->paced && next_ns == FT_TEMPO_NEVER)
		sender->overrun_ns += schedule->late_ns;
	else if (sender->paced && next_ns < now_ns)
		sender->overrun_ns += now_ns - next_ns;
	sender->elapsed_ns += (early ? next_ns : now_ns) - schedule->began_ns;
	sender->ended_ns = ft_clock_utc_ns();
}

static void *run(void *argument)
{
	struct ft_sender *sender = argument;
	struct schedule schedule;

	/* Else the kernel wakes a thread of normal priority up to 50 us late (timer_slack_ns). */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	schedule = begin_schedule(sender);
	sender->source->ops->restart(sender->source);
	sender->result =
		(ft_transmit_floods(sender->transmit) ? flood : send_all)(sender, &schedule);
	ft_transmit_drain(sender->transmit);
	note_end(sender, &schedule);
	/* Release: everything above is read by the main thread once it sees `ended`. */
	atomic_store_explicit(&sender->ended, true, memory_order_release);
	return NULL;
}

int ft_sender_start(struct ft_sender *sender, struct ft_error *error)
{
	int rc;

	atomic_store(&sender->ended, false);
	if (sender->paced)
		rc = ft_realtime_start(&sender->thread, run, sender, &sender->realtime);
	else
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
