/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by the receiver's thread: up to FT_BATCH_FRAMES frames at a time, 67 ns a frame at 10GbE line
 * rate of the smallest one. It takes no lock and allocates nothing; the kernel's counts are asked
 * for when the port is idle and once in COUNTS_EVERY batches.
 */
#include "gen/receiver.h"

#include <errno.h>
#include <string.h>

#include "ft/clock.h"

#define RECEIVE_TIMEOUT_MS 10
#define COUNTS_EVERY	   1024u

static void account(struct ft_receiver *receiver, const struct ft_frame *frame)
{
	struct ft_signature signature;

	if (receiver->run == NULL) {
		ft_count_add(&receiver->frames, 1);
		return;
	}
	switch (ft_signature_read(frame->data, frame->captured_bytes, receiver->run, &signature)) {
	case FT_SIGNATURE_VALID:
		ft_count_add(&receiver->frames, 1);
		ft_sequence_observe(&receiver->sequence, signature.sequence);
		break;
	case FT_SIGNATURE_CORRUPT:
		ft_count_add(&receiver->corrupt, 1);
		break;
	case FT_SIGNATURE_FOREIGN:
		ft_count_add(&receiver->foreign, 1);
		break;
	}
}

static void publish(struct ft_receiver *receiver)
{
	const struct ft_sequence *sequence = &receiver->sequence;

	if (receiver->run == NULL) {
		ft_count_set(&receiver->distinct, ft_count_read(&receiver->frames));
		return;
	}
	ft_count_set(&receiver->distinct, sequence->distinct);
	ft_count_set(&receiver->duplicate, sequence->duplicate);
	ft_count_set(&receiver->reordered, sequence->reordered);
	ft_count_set(&receiver->too_late, sequence->too_late);
	ft_count_set(&receiver->missing, sequence->next - sequence->distinct);
}

static void take_batch(struct ft_receiver *receiver, const struct ft_frame *frames, int count)
{
	uint64_t before = ft_count_read(&receiver->frames);

	for (int i = 0; i < count; i++)
		account(receiver, &frames[i]);
	publish(receiver);
	if (ft_count_read(&receiver->frames) != before)
		ft_count_set(&receiver->last_ns, ft_clock_monotonic_ns());
}

static void read_counts(struct ft_receiver *receiver)
{
	struct ft_port_counts counts;

	ft_port_read_counts(receiver->port, 0, &counts);
	ft_count_set(&receiver->dropped, counts.dropped_kernel);
}

/* Returns -ENODATA when everything that came before the input was closed is taken in. */
static int receive_all(struct ft_receiver *receiver)
{
	struct ft_frame frames[FT_BATCH_FRAMES];
	unsigned batches = 0;
	bool closed = false;

	for (;;) {
		int count = ft_port_receive(receiver->port, 0, frames, RECEIVE_TIMEOUT_MS,
					    &receiver->error);

		if (count < 0)
			return count;
		if (count > 0) {
			take_batch(receiver, frames, count);
			ft_port_release(receiver->port, 0);
		}
		if (count == 0 || ++batches % COUNTS_EVERY == 0)
			read_counts(receiver);
		if (!closed && atomic_load_explicit(&receiver->close, memory_order_relaxed)) {
			int rc = ft_port_close_input(receiver->port, &receiver->error);

			if (rc != 0)
				return rc;
			closed = true;
		}
	}
}

static void *run(void *argument)
{
	struct ft_receiver *receiver = argument;

	receiver->result = receive_all(receiver);
	if (receiver->result == -ENODATA)
		receiver->result = 0;
	read_counts(receiver);
	/* Release: result and error are read by the main thread once it sees `ended`. */
	atomic_store_explicit(&receiver->ended, true, memory_order_release);
	return NULL;
}

int ft_receiver_start(struct ft_receiver *receiver, struct ft_error *error)
{
	int rc = pthread_create(&receiver->thread, NULL, run, receiver);

	if (rc != 0)
		return ft_fail(error, -rc, "cannot start the receiving thread: %s", strerror(rc));
	return 0;
}

void ft_receiver_stop(struct ft_receiver *receiver)
{
	atomic_store(&receiver->close, true);
	pthread_join(receiver->thread, NULL);
}
