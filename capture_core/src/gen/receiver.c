/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run by the receiver's thread: up to FT_BATCH_FRAMES frames at a time, 67 ns a frame at 10GbE line
 * rate of the smallest one. It takes no lock and allocates nothing; the kernel's counts are asked
 * for when the port is idle and once in COUNTS_EVERY batches.
 */
#include "gen/receiver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ft/clock.h"

#define RECEIVE_TIMEOUT_MS 10
#define COUNTS_EVERY	   1024u

/* Returns whether it is no copy of one that came before. */
static bool take_frame(struct ft_receiver *receiver, const struct ft_signature *signature,
		       uint64_t stamp_ns)
{
	struct ft_received_stream *stream = &receiver->streams[signature->stream];
	int64_t latency_ns, previous_ns;

	ft_count_add(&stream->frames, 1);
	if (signature->reflected)
		ft_count_add(&receiver->reflected, 1);
	if (ft_sequence_observe(&stream->sequence, signature->sequence) != FT_SEQUENCE_FIRST)
		return false;
	latency_ns = ft_latency_between(signature->sent_ns, stamp_ns);
	previous_ns = ft_count_read(&stream->sequence.distinct) > 1 ? stream->previous_ns
								    : FT_LATENCY_NONE;
	ft_latency_record(&stream->latency, latency_ns, previous_ns);
	if (receiver->stream_count > 1)
		ft_latency_record(receiver->latency, latency_ns, previous_ns);
	stream->previous_ns = latency_ns;
	return true;
}

/* Returns whether the frame is one of this run, and no copy of one that came before. */
static bool account(struct ft_receiver *receiver, const struct ft_frame *frame)
{
	enum ft_signature_verdict verdict;
	struct ft_signature signature;

	if (receiver->run == NULL) {
		ft_count_add(&receiver->unsigned_frames, 1);
		return true;
	}
	verdict = ft_signature_read(frame->data, frame->captured_bytes, receiver->run, &signature);
	if (verdict == FT_SIGNATURE_FOREIGN ||
	    (verdict != FT_SIGNATURE_BROKEN && signature.stream >= receiver->stream_count)) {
		ft_count_add(&receiver->foreign, 1);
		return false;
	}
	if (verdict == FT_SIGNATURE_BROKEN)
		ft_count_add(&receiver->broken, 1);
	else if (verdict == FT_SIGNATURE_CORRUPT)
		ft_count_add(&receiver->streams[signature.stream].corrupt, 1);
	else
		return take_frame(receiver, &signature, frame->stamp_ns);
	return true;
}

static void take_batch(struct ft_receiver *receiver, const struct ft_frame *frames, int count)
{
	bool any_new = false;

	for (int i = 0; i < count; i++)
		any_new |= account(receiver, &frames[i]);
	if (any_new)
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

int ft_receiver_create(struct ft_receiver *receiver, uint32_t stream_count, struct ft_error *error)
{
	size_t bytes = stream_count * sizeof(*receiver->streams);
	void *memory;

	if (stream_count == 0)
		return 0;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return ft_fail(error, -ENOMEM, "-r: no memory to count %u streams in",
			       stream_count);
	madvise(memory, bytes, MADV_NOHUGEPAGE); /* else touching a little makes all of it */
	receiver->streams = memory;
	receiver->stream_count = stream_count;
	receiver->latency = stream_count == 1 ? &receiver->streams[0].latency
					      : calloc(1, sizeof(*receiver->latency));
	if (receiver->latency == NULL)
		return ft_fail(error, -ENOMEM, "-r: out of memory");
	return 0;
}

int ft_receiver_start(struct ft_receiver *receiver, struct ft_error *error)
{
	int rc = pthread_create(&receiver->thread, NULL, run, receiver);

	if (rc != 0)
		return ft_fail(error, -rc, "cannot start the receiving thread: %s", strerror(rc));
	pthread_setname_np(receiver->thread, "ft-receiver");
	return 0;
}

void ft_receiver_stop(struct ft_receiver *receiver)
{
	atomic_store(&receiver->close, true);
	pthread_join(receiver->thread, NULL);
}

void ft_receiver_sum(const struct ft_receiver *receiver, struct ft_received *sum)
{
	*sum = (struct ft_received){.corrupt = ft_count_read(&receiver->broken)};
	sum->frames = sum->distinct = ft_count_read(&receiver->unsigned_frames);
	for (uint32_t i = 0; i < receiver->stream_count; i++) {
		const struct ft_received_stream *stream = &receiver->streams[i];
		const struct ft_sequence *sequence = &stream->sequence;
		uint64_t distinct = ft_count_read(&sequence->distinct);
		uint64_t next = ft_count_read(&sequence->next);

		sum->frames += ft_count_read(&stream->frames);
		sum->distinct += distinct;
		sum->duplicate += ft_count_read(&sequence->duplicate);
		sum->reordered += ft_count_read(&sequence->reordered);
		sum->too_late += ft_count_read(&sequence->too_late);
		sum->missing += next > distinct ? next - distinct : 0;
		sum->corrupt += ft_count_read(&stream->corrupt);
	}
}

void ft_receiver_free(struct ft_receiver *receiver)
{
	if (receiver->stream_count > 1)
		free(receiver->latency);
	if (receiver->streams != NULL)
		munmap(receiver->streams, receiver->stream_count * sizeof(*receiver->streams));
	receiver->streams = NULL;
	receiver->stream_count = 0;
}
