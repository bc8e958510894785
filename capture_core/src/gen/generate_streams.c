/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of streams and latency, for statuses and reports. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gen/generate_run.h"

#define SUMMARY_STREAMS 16u

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

const char *ft_generate_latency_unknown(const struct ft_generate_run *run)
{
	if (run->receiver.stream_count == 0)
		return NULL;
	if (!run->watch.clock_watched)
		return "nobody could tell whether the system clock was set";
	if (run->watch.clock_sets > 0)
		return "the system clock was set during the run";
	return NULL;
}

/* Where both stamps of a frame come from. Nothing is taken off for what lies between clock and
 * wire.
 */
static void describe_source(const struct ft_generate_run *run, char *text, size_t bytes)
{
	const struct ft_port_interface *interface = ft_port_interface(run->input, 0);

	snprintf(text, bytes, "%ssent: system clock, %s; received: %s (%s); no offset taken off",
		 ft_count_read(&run->receiver.reflected) > 0 ? "there and back; " : "",
		 ft_transmit_floods(&run->transmit)
			 ? "as the kernel made the frame"
			 : "before the frame's batch was handed to the port (see tx.handover_ns)",
		 interface->timestamps, interface->clock);
}

static json_t *describe_latency(const struct ft_generate_run *run, const struct ft_latency *latency,
				bool for_report)
{
	char source[512], *encoded;
	json_t *object;

	if (ft_generate_latency_unknown(run) != NULL)
		return json_null();
	describe_source(run, source, sizeof(source));
	object = ft_latency_describe(latency, source);
	if (!for_report || json_is_null(object))
		return object;
	encoded = ft_histogram_encode(&latency->histogram);
	json_object_set_new(object, "histogram",
			    encoded != NULL ? json_string(encoded) : json_null());
	free(encoded);
	return object;
}

json_t *ft_generate_latency(const struct ft_generate_run *run, bool for_report)
{
	if (run->receiver.stream_count == 0)
		return json_null();
	return describe_latency(run, run->receiver.latency, for_report);
}

/* Frames handed over, of all streams; more than the port confirmed where it dropped some. */
static uint64_t count_made(const struct ft_generate_run *run)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < run->streams.count; i++)
		frames += ft_count_read(&run->streams.streams[i].number);
	return frames;
}

/* Which of several streams the frames were of that were dropped at either port, nobody knows. */
static bool knows_lost(const struct ft_generate_run *run)
{
	if (run->stopped_ns == 0) /* some are under way */
		return false;
	return run->receiver.stream_count == 1 ||
	       (ft_generate_receiver_dropped(run) == 0 && run->tx_frames == count_made(run));
}

/* Frames of the stream that left the port less each that came back once. */
static uint64_t stream_lost(const struct ft_generate_run *run, uint64_t sent, uint64_t distinct)
{
	if (run->receiver.stream_count == 1)
		return ft_generate_lost(run);
	return sent > distinct ? sent - distinct : 0;
}

static uint64_t stream_sent(const struct ft_generate_run *run, uint32_t id)
{
	if (run->streams.count == 1 && run->stopped_ns != 0)
		return run->tx_frames;
	return ft_count_read(&run->streams.streams[id].number);
}

/* Whether frames of the stream can be known again where they are received. */
static bool is_told_apart(const struct ft_generate_run *run, uint32_t id)
{
	return id < run->receiver.stream_count && run->streams.streams[id].signature;
}

static json_t *describe_sent(const struct ft_generate_run *run, uint32_t id)
{
	return json_pack("{s:I, s:s, s:I, s:n, s:n, s:n, s:n, s:n, s:n}", "id", (json_int_t)id,
			 "name", run->streams.streams[id].name, "tx",
			 (json_int_t)stream_sent(run, id), "rx", "lost", "duplicate", "reordered",
			 "corrupt", "latency_ns");
}

static json_t *describe_stream(const struct ft_generate_run *run, uint32_t id, bool lost_known,
			       bool for_report)
{
	const struct ft_received_stream *stream = &run->receiver.streams[id];
	const struct ft_sequence *sequence = &stream->sequence;
	uint64_t sent = stream_sent(run, id), distinct = ft_count_read(&sequence->distinct);
	uint64_t corrupt = ft_count_read(&stream->corrupt);
	json_t *object;

	object = json_object();
	if (run->receiver.stream_count == 1)
		corrupt += ft_count_read(&run->receiver.broken);
	json_object_set_new(object, "id", integer(id));
	json_object_set_new(object, "name", json_string(run->streams.streams[id].name));
	json_object_set_new(object, "tx", integer(sent));
	json_object_set_new(object, "rx", integer(ft_count_read(&stream->frames)));
	json_object_set_new(object, "lost",
			    lost_known ? integer(stream_lost(run, sent, distinct)) : json_null());
	json_object_set_new(object, "duplicate", integer(ft_count_read(&sequence->duplicate)));
	json_object_set_new(object, "reordered", integer(ft_count_read(&sequence->reordered)));
	json_object_set_new(object, "corrupt", integer(corrupt));
	/* The histogram of the only stream is the run's. */
	json_object_set_new(object, "latency_ns",
			    describe_latency(run, &stream->latency,
					     for_report && run->receiver.stream_count > 1));
	return object;
}

json_t *ft_generate_streams(const struct ft_generate_run *run, bool for_report)
{
	bool lost_known = knows_lost(run);
	json_t *streams = json_array();

	for (uint32_t id = 0; id < run->streams.count; id++)
		json_array_append_new(streams,
				      is_told_apart(run, id)
					      ? describe_stream(run, id, lost_known, for_report)
					      : describe_sent(run, id));
	return streams;
}

void ft_generate_summarize_streams(const struct ft_generate_run *run)
{
	uint32_t count = run->receiver.stream_count;

	for (uint32_t id = 0; count > 1 && id < count && id < SUMMARY_STREAMS; id++) {
		const struct ft_received_stream *stream = &run->receiver.streams[id];
		const struct ft_sequence *sequence = &stream->sequence;

		if (!is_told_apart(run, id))
			continue;
		fprintf(stderr,
			"ft-generate: stream %s: %" PRIu64 " of %" PRIu64 " frames received, "
			"%" PRIu64 " duplicate, %" PRIu64 " reordered, %" PRIu64
			" corrupt, median latency %.1f us\n",
			run->streams.streams[id].name, ft_count_read(&sequence->distinct),
			stream_sent(run, id), ft_count_read(&sequence->duplicate),
			ft_count_read(&sequence->reordered), ft_count_read(&stream->corrupt),
			(double)ft_histogram_quantile(&stream->latency.histogram, 0.5) / 1e3);
	}
	if (count > SUMMARY_STREAMS)
		fprintf(stderr, "ft-generate: %u more streams are in the report\n",
			count - SUMMARY_STREAMS);
}
