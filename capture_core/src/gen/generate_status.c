/* SPDX-License-Identifier: Apache-2.0 */
/* What a generator run says of itself: status, summary and report. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ft/clock.h"
#include "ft/report.h"
#include "gen/frame_file.h"
#include "gen/generate_run.h"

#define REPORT_SCHEMA "fieldtap.generate-report/1"

uint64_t ft_generate_receiver_dropped(const struct ft_generate_run *run)
{
	return ft_count_read(&run->receiver.dropped) + run->receive_port.dropped_adapter +
	       run->receive_port.dropped_backlog;
}

uint64_t ft_generate_lost(const struct ft_generate_run *run)
{
	uint64_t submitted = ft_count_read(&run->sender.submitted);
	uint64_t sent = run->tx_frames < submitted ? run->tx_frames : submitted;
	struct ft_received received;
	uint64_t accounted;

	ft_receiver_sum(&run->receiver, &received);
	accounted = received.distinct + ft_generate_receiver_dropped(run);
	if (run->receiver.stream_count != 0)
		accounted += ft_stream_set_unsigned(&run->streams);
	return sent > accounted ? sent - accounted : 0;
}

bool ft_generate_had_all(const struct ft_generate_run *run)
{
	const struct ft_sender *sender = &run->sender;

	return ft_count_read(&sender->submitted) + ft_count_read(&sender->late.skipped) >=
	       sender->limit;
}

/* While frames are on their way: those that later ones have overtaken. */
static uint64_t lost_so_far(const struct ft_generate_run *run)
{
	uint64_t dropped = ft_generate_receiver_dropped(run);
	struct ft_received received;

	if (run->input == NULL)
		return 0;
	if (run->stopped_ns != 0)
		return ft_generate_lost(run);
	ft_receiver_sum(&run->receiver, &received);
	return received.missing > dropped ? received.missing - dropped : 0;
}

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *number_or_null(double value)
{
	return value > 0 ? json_real(value) : json_null();
}

/* From the stamp of a batch's frames until the port has taken the last of them. */
static json_t *describe_handover(const struct ft_sender *sender)
{
	uint64_t batches = ft_count_read(&sender->batches);

	if (batches == 0)
		return json_null();
	return json_pack("{s:I, s:I}", "mean",
			 (json_int_t)(ft_count_read(&sender->handover_ns) / batches), "max",
			 (json_int_t)ft_count_read(&sender->handover_max_ns));
}

static json_t *describe_late(const struct ft_sender *sender)
{
	const struct ft_lateness *late = &sender->late;

	if (!sender->paced)
		return json_null();
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "policy",
			 ft_late_name(late->policy), "above_ns", (json_int_t)FT_LATE_NS, "frames",
			 (json_int_t)ft_count_read(&late->frames), "skipped",
			 (json_int_t)ft_count_read(&late->skipped), "slid_ns",
			 (json_int_t)ft_count_read(&late->slid_ns), "p50_ns",
			 (json_int_t)ft_histogram_quantile(&late->batches, 0.5), "p99_ns",
			 (json_int_t)ft_histogram_quantile(&late->batches, 0.99), "scheduling",
			 sender->realtime.fifo ? "fifo" : "other");
}

static json_t *describe_tx(const struct ft_generate_run *run, uint64_t frames)
{
	const struct ft_sender *sender = &run->sender;
	json_t *object = json_object();

	json_object_set_new(object, "port", json_string(run->transmit.device));
	json_object_set_new(object, "backend", json_string(run->transmit.ops->name));
	json_object_set_new(object, "frames", integer(frames));
	json_object_set_new(object, "submitted", integer(ft_count_read(&sender->submitted)));
	json_object_set_new(object, "bytes", integer(ft_count_read(&sender->bytes)));
	json_object_set_new(object, "requested_pps", number_or_null(run->requested_pps));
	json_object_set_new(object, "late_max_ns", integer(ft_count_read(&sender->late.max_ns)));
	json_object_set_new(object, "late", describe_late(sender));
	json_object_set_new(object, "handover_ns", describe_handover(sender));
	json_object_set_new(object, "underruns", integer(ft_count_read(&run->replay.underruns)));
	json_object_set_new(object, "speed", json_real(run->tempo.speed));
	json_object_set_new(object, "paused", json_boolean(run->tempo.paused));
	return object;
}

/* Frames without a signature carry no numbers: what only numbers can tell is null. */
static json_t *numbered(const struct ft_generate_run *run, uint64_t count)
{
	return run->receiver.stream_count != 0 ? integer(count) : json_null();
}

static json_t *describe_dropped(const struct ft_generate_run *run)
{
	return json_pack("{s:I, s:I, s:I}", "adapter",
			 (json_int_t)run->receive_port.dropped_adapter, "backlog",
			 (json_int_t)run->receive_port.dropped_backlog, "socket",
			 (json_int_t)ft_count_read(&run->receiver.dropped));
}

static json_t *describe_rx(const struct ft_generate_run *run, uint64_t lost)
{
	uint64_t dropped = ft_generate_receiver_dropped(run);
	struct ft_received received;
	json_t *object;

	if (run->input == NULL)
		return json_null();
	ft_receiver_sum(&run->receiver, &received);
	object = json_object();
	json_object_set_new(object, "port", json_string(ft_port_name(run->input)));
	json_object_set_new(object, "backend", json_string(ft_port_backend(run->input)));
	json_object_set_new(object, "mode", json_string(ft_port_mode(run->input)));
	json_object_set_new(object, "frames", integer(received.frames));
	json_object_set_new(object, "lost", integer(lost));
	json_object_set_new(object, "receiver_dropped", integer(dropped));
	json_object_set_new(object, "dropped", describe_dropped(run));
	json_object_set_new(object, "duplicate", numbered(run, received.duplicate));
	json_object_set_new(object, "reordered", numbered(run, received.reordered));
	json_object_set_new(object, "corrupt", numbered(run, received.corrupt));
	json_object_set_new(object, "too_late", numbered(run, received.too_late));
	json_object_set_new(object, "foreign", integer(ft_count_read(&run->receiver.foreign)));
	json_object_set_new(object, "port_errors", integer(run->receive_port.errors));
	return object;
}

json_t *ft_generate_status(void *engine)
{
	const struct ft_generate_run *run = engine;
	uint64_t frames = run->tx_frames, lost = lost_so_far(run);
	struct ft_error ignored; /* a port that has gone is noticed by tick */
	json_t *object = json_object();

	if (run->stopped_ns == 0)
		ft_transmit_read_count(&run->transmit, &frames, &ignored);
	json_object_set_new(object, "tx", describe_tx(run, frames));
	json_object_set_new(object, "rx", describe_rx(run, lost));
	json_object_set_new(object, "lost", integer(lost));
	json_object_set_new(object, "streams", ft_generate_streams(run, false));
	json_object_set_new(object, "latency_ns", ft_generate_latency(run, false));
	json_object_set_new(object, "report", ft_report_path(run->settings->report));
	return object;
}

static double per_second(const struct ft_generate_run *run, double amount)
{
	double seconds = (double)run->sender.elapsed_ns / (double)FT_NS_PER_SECOND;

	return seconds > 0 ? amount / seconds : 0;
}

/* Layer 2 with FCS, of the frames submitted, or of those among them that the port did send. */
static double sent_bps(const struct ft_generate_run *run)
{
	uint64_t submitted = ft_count_read(&run->sender.submitted);
	uint64_t bytes = ft_count_read(&run->sender.bytes) + submitted * FT_FCS_BYTES;
	double share = 1;

	if (run->transmit.takes_all && run->tx_frames < submitted)
		share = (double)run->tx_frames / (double)submitted;
	return per_second(run, 8.0 * share * (double)bytes);
}

static void summarize_sent(const struct ft_generate_run *run)
{
	fprintf(stderr, "ft-generate: %s: %" PRIu64 " frames sent", run->transmit.device,
		run->tx_frames);
	if (run->sender.elapsed_ns != 0) /* in a dry run at top speed no time passes */
		fprintf(stderr, ", %.0f a second, %.3f Mbit/s",
			per_second(run, (double)run->tx_frames), sent_bps(run) / 1e6);
	if (run->sender.paced)
		fprintf(stderr, ", at most %.1f us late",
			(double)ft_count_read(&run->sender.late.max_ns) / 1e3);
	fprintf(stderr, "\n");
	if (ft_count_read(&run->replay.underruns) != 0)
		fprintf(stderr,
			"ft-generate: %s: %" PRIu64
			" times a frame was due before it had been read: underruns\n",
			run->transmit.device, ft_count_read(&run->replay.underruns));
}

/* Whether what is sent is to come back where it was sent, from a reflector or a loop. */
static bool goes_round(const struct ft_generate_run *run)
{
	return strcmp(run->transmit.device, ft_port_name(run->input)) == 0;
}

static void summarize_latency(const struct ft_generate_run *run)
{
	const char *port = ft_port_name(run->input);
	const char *unknown = ft_generate_latency_unknown(run);
	const struct ft_latency *latency = run->receiver.latency;

	if (unknown != NULL)
		fprintf(stderr, "ft-generate: %s: latency is not known: %s\n", port, unknown);
	else if (latency != NULL && ft_count_read(&latency->histogram.samples) > 0)
		fprintf(stderr,
			"ft-generate: %s: %s %.1f us at least, %.1f median, %.1f for 99%%, "
			"%.1f at most\n",
			port, goes_round(run) ? "round trip" : "latency",
			(double)ft_count_read(&latency->histogram.min) / 1e3,
			(double)ft_histogram_quantile(&latency->histogram, 0.5) / 1e3,
			(double)ft_histogram_quantile(&latency->histogram, 0.99) / 1e3,
			(double)ft_count_read(&latency->histogram.max) / 1e3);
}

static void summarize_received(const struct ft_generate_run *run)
{
	const char *port = ft_port_name(run->input);
	struct ft_received received;

	ft_receiver_sum(&run->receiver, &received);
	fprintf(stderr,
		"ft-generate: %s: %" PRIu64 " frames received, %" PRIu64 " lost, %" PRIu64
		" dropped here\n",
		port, received.frames, ft_generate_lost(run), ft_generate_receiver_dropped(run));
	if (received.frames == 0 && goes_round(run))
		fprintf(stderr,
			"ft-generate: %s: nothing came back: is ft-reflect at the far end?\n",
			port);
	if (run->receiver.stream_count == 0)
		return;
	fprintf(stderr,
		"ft-generate: %s: %" PRIu64 " duplicate, %" PRIu64 " reordered, %" PRIu64
		" corrupt, %" PRIu64 " %s\n",
		port, received.duplicate, received.reordered, received.corrupt,
		ft_count_read(&run->receiver.foreign),
		ft_stream_set_unsigned(&run->streams) != 0 ? "unsigned or of others" : "of others");
}

void ft_generate_summarize(const struct ft_generate_run *run)
{
	char why[FT_ERROR_TEXT_BYTES];

	ft_generate_judge(run, why, sizeof(why));
	summarize_sent(run);
	if (run->input != NULL) {
		summarize_received(run);
		summarize_latency(run);
		ft_generate_summarize_streams(run);
	}
	if (why[0] != '\0')
		fprintf(stderr, "ft-generate: NOT VALID: %s\n", why);
}

/* Back ends that would have been faster, and why the run did not get them. */
static json_t *report_refused(const struct ft_transmit *transmit)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < transmit->refused_count; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "backend",
						      transmit->refused[i].backend, "reason",
						      transmit->refused[i].reason.text));
	return list;
}

static json_t *report_tap(const struct ft_transmit *transmit)
{
	const struct ft_frame_file *tap = transmit->tap;

	if (tap == NULL)
		return json_null();
	return json_pack("{s:s, s:I, s:I}", "path", ft_frame_file_path(tap), "frames",
			 (json_int_t)ft_frame_file_frames(tap), "waited_ns",
			 (json_int_t)transmit->tap_waited_ns);
}

static json_t *report_tx(const struct ft_generate_run *run)
{
	json_t *object = describe_tx(run, run->tx_frames);

	json_object_set_new(object, "mode", json_string(run->transmit.mode));
	json_object_set_new(object, "source",
			    json_string(ft_transmit_count_source(&run->transmit)));
	json_object_set_new(object, "pps", json_real(per_second(run, (double)run->tx_frames)));
	json_object_set_new(object, "bps", json_real(sent_bps(run)));
	json_object_set_new(object, "refused", report_refused(&run->transmit));
	return object;
}

int ft_generate_report(const struct ft_generate_run *run, struct ft_error *error)
{
	char why[FT_ERROR_TEXT_BYTES];
	const char *unknown;
	json_t *report;
	int rc;

	if (run->settings->report == NULL)
		return 0;
	ft_generate_judge(run, why, sizeof(why));
	unknown = ft_generate_latency_unknown(run);
	report = json_pack(
		"{s:s, s:s, s:I, s:I, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:s?, s:o, s:O, s:O}",
		"schema", REPORT_SCHEMA, "name", ft_manager_name(run->manager), "started_ns",
		(json_int_t)run->started_ns, "stopped_ns", (json_int_t)run->stopped_ns,
		"stop_reason", run->stop_reason, "valid", why[0] == '\0', "invalid_reason",
		why[0] != '\0' ? json_string(why) : json_null(), "tx", report_tx(run), "rx",
		describe_rx(run, ft_generate_lost(run)), "streams", ft_generate_streams(run, true),
		"latency_ns", ft_generate_latency(run, true), "latency_unknown_reason", unknown,
		"tap", report_tap(&run->transmit), "alarms", ft_manager_alarms(run->manager),
		"marks", ft_manager_marks(run->manager));
	rc = report != NULL ? ft_report_write(run->settings->report, report, error)
			    : ft_fail(error, -ENOMEM, "--report: out of memory");
	json_decref(report);
	return rc;
}
