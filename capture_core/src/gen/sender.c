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
	ft_fine_time due;    /* of the next frame, after started_ns */
};

static uint64_t due_ns(const struct schedule *schedule)
{
	return schedule->started_ns + ft_fine_ns(schedule->due);
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
	uint64_t now_ns, next_ns = due_ns(schedule);

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

/* Whether one more frame belongs to the batch that is sent now. */
static bool is_due(const struct ft_sender *sender, const struct schedule *schedule, uint64_t number,
		   unsigned batch, uint64_t now_ns)
{
	uint64_t next_ns = due_ns(schedule);

	return batch < FT_TRANSMIT_BATCH && number < sender->limit && next_ns <= now_ns &&
	       next_ns < schedule->end_ns;
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

static int send_stream(struct ft_sender *sender, struct schedule *schedule)
{
	const struct ft_stream *stream = sender->stream;
	uint64_t number = ft_count_read(&sender->submitted), now_ns;
	unsigned next = (unsigned)(number % stream->slot_count);
	int rc = 0;

	while (rc == 0 && number < sender->limit && (now_ns = wait_turn(sender, schedule)) != 0) {
		uint64_t sent_ns = ft_clock_utc_ns();
		unsigned batch = 0;

		do {
			const struct ft_stream_slot *slot = &stream->slots[next];

			ft_signature_stamp(slot->room, (uint32_t)number++, sent_ns);
			sender->transmit->frames[batch++] =
				(struct iovec){slot->frame, slot->bytes};
			schedule->due += slot->cost;
			next = next + 1 == stream->slot_count ? 0 : next + 1;
		} while (is_due(sender, schedule, number, batch, now_ns));
		rc = send_batch(sender, batch);
	}
	return rc;
}

static int send_replay(struct ft_sender *sender, struct schedule *schedule)
{
	const struct ft_replay *replay = sender->replay;
	uint64_t number = ft_count_read(&sender->submitted), now_ns;
	int rc = 0;

	while (rc == 0 && number < sender->limit && (now_ns = wait_turn(sender, schedule)) != 0) {
		unsigned batch = 0;

		do {
			const struct ft_replay_frame *frame = &replay->frames[number++];

			sender->transmit->frames[batch++] =
				(struct iovec){replay->data + frame->at, frame->bytes};
			if (!sender->file_timing)
				schedule->due += ft_pace_cost(&sender->pace, frame->bytes);
			else if (number < replay->frame_count)
				schedule->due = (ft_fine_time)replay->frames[number].due_ns
						<< FT_FINE_SHIFT;
		} while (is_due(sender, schedule, number, batch, now_ns));
		rc = send_batch(sender, batch);
	}
	return rc;
}

static void *run(void *argument)
{
	struct ft_sender *sender = argument;
	struct schedule schedule = begin_schedule(sender);
	uint64_t now_ns;

	sender->result = (sender->stream != NULL ? send_stream : send_replay)(sender, &schedule);
	now_ns = ft_clock_monotonic_ns();
	/* N frames at a rate take N intervals, although the last is not waited for. */
	if (due_ns(&schedule) > now_ns && !atomic_load(&sender->stop))
		now_ns = due_ns(&schedule);
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
