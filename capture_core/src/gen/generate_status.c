/* SPDX-License-Identifier: Apache-2.0 */
/* What a generator run says of itself: status, summary and report. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ft/clock.h"
#include "ft/counters.h"
#include "ft/report.h"
#include "gen/generate_run.h"

#define REPORT_SCHEMA "fieldtap.generate-report/1"

/* A port without a link takes frames and sends none; it is given up after this long. */
#define OUTAGE_NS (2 * FT_NS_PER_SECOND)

uint64_t ft_generate_lost(const struct ft_generate_run *run)
{
	uint64_t accounted =
		ft_count_read(&run->receiver.distinct) + ft_count_read(&run->receiver.dropped);

	return run->tx_frames > accounted ? run->tx_frames - accounted : 0;
}

bool ft_generate_submitted_all(const struct ft_generate_run *run)
{
	return ft_count_read(&run->sender.submitted) >= run->sender.limit;
}

/* While frames are on their way: those that later ones have overtaken. */
static uint64_t lost_so_far(const struct ft_generate_run *run)
{
	uint64_t missing = ft_count_read(&run->receiver.missing);
	uint64_t dropped = ft_count_read(&run->receiver.dropped);

	if (run->input == NULL)
		return 0;
	if (run->stopped_ns != 0)
		return ft_generate_lost(run);
	return missing > dropped ? missing - dropped : 0;
}

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *number_or_null(double value)
{
	return value > 0 ? json_real(value) : json_null();
}

static json_t *describe_tx(const struct ft_generate_run *run, uint64_t frames)
{
	const struct ft_sender *sender = &run->sender;
	json_t *object = json_object();

	json_object_set_new(object, "port", json_string(run->transmit.device));
	json_object_set_new(object, "backend", json_string(FT_GENERATE_TX_BACKEND));
	json_object_set_new(object, "frames", integer(frames));
	json_object_set_new(object, "submitted", integer(ft_count_read(&sender->submitted)));
	json_object_set_new(object, "bytes", integer(ft_count_read(&sender->bytes)));
	json_object_set_new(object, "requested_pps", number_or_null(run->requested_pps));
	json_object_set_new(object, "late_max_ns", integer(ft_count_read(&sender->late_max_ns)));
	return object;
}

/* Frames of a replay carry no numbers: what only numbers can tell is null. */
static json_t *numbered(const struct ft_generate_run *run, const ft_count *count)
{
	return run->settings->replay == NULL ? integer(ft_count_read(count)) : json_null();
}

static json_t *describe_rx(const struct ft_generate_run *run, uint64_t lost)
{
	const struct ft_receiver *receiver = &run->receiver;
	json_t *object;

	if (run->input == NULL)
		return json_null();
	object = json_object();
	json_object_set_new(object, "port", json_string(ft_port_name(run->input)));
	json_object_set_new(object, "frames", integer(ft_count_read(&receiver->frames)));
	json_object_set_new(object, "lost", integer(lost));
	json_object_set_new(object, "receiver_dropped", integer(ft_count_read(&receiver->dropped)));
	json_object_set_new(object, "duplicate", numbered(run, &receiver->duplicate));
	json_object_set_new(object, "reordered", numbered(run, &receiver->reordered));
	json_object_set_new(object, "corrupt", numbered(run, &receiver->corrupt));
	json_object_set_new(object, "foreign", integer(ft_count_read(&receiver->foreign)));
	return object;
}

static json_t *status(void *engine)
{
	const struct ft_generate_run *run = engine;
	uint64_t frames = run->tx_frames, lost = lost_so_far(run);
	struct ft_counters counters;
	struct ft_error ignored; /* a port that has gone is noticed by tick */
	json_t *object = json_object();

	if (run->stopped_ns == 0 &&
	    ft_counters_read(run->transmit.ifindex, &counters, &ignored) == 0)
		frames = counters.tx_frames - run->tx_before;
	json_object_set_new(object, "tx", describe_tx(run, frames));
	json_object_set_new(object, "rx", describe_rx(run, lost));
	json_object_set_new(object, "lost", integer(lost));
	json_object_set_new(object, "report", ft_report_path(run->settings->report));
	return object;
}

/* Non-NULL when the port has been without a link for too long. */
static const char *check_link(struct ft_generate_run *run)
{
	uint64_t now_ns = ft_clock_monotonic_ns();

	if (ft_transmit_has_link(&run->transmit) == 1) {
		run->link_lost_ns = 0;
		return NULL;
	}
	if (run->link_lost_ns == 0)
		run->link_lost_ns = now_ns;
	if (now_ns - run->link_lost_ns < OUTAGE_NS)
		return NULL;
	snprintf(run->failure.text, sizeof(run->failure.text), "-o: port '%s' lost its link",
		 run->transmit.device);
	ft_manager_alarm(run->manager, "%s", run->failure.text);
	run->failed = true;
	return "port lost";
}

static const char *tick(void *engine)
{
	struct ft_generate_run *run = engine;

	if (atomic_load_explicit(&run->sender.ended, memory_order_acquire)) {
		if (run->sender.result != 0)
			return "port lost";
		return ft_generate_submitted_all(run) ? "count" : "duration";
	}
	if (run->input != NULL && atomic_load_explicit(&run->receiver.ended, memory_order_acquire))
		return "port lost";
	return check_link(run);
}

const char *ft_generate_wait(struct ft_generate_run *run)
{
	static const struct ft_manager_calls calls = {.status = status, .tick = tick};

	return ft_manager_run(run->manager, &calls, run);
}

/* Why the result does not show what it was meant to; an empty text when it does. */
static void judge(const struct ft_generate_run *run, char *text, size_t bytes)
{
	uint64_t submitted = ft_count_read(&run->sender.submitted);
	uint64_t asked = run->asked != 0 ? run->asked : submitted;
	uint64_t dropped = ft_count_read(&run->receiver.dropped);
	uint64_t too_late = ft_count_read(&run->receiver.too_late);

	text[0] = '\0';
	if (run->failed)
		snprintf(text, bytes, "%s", run->failure.text);
	else if (atomic_load(&run->sender.stop))
		snprintf(text, bytes, "stopped (%s) after %" PRIu64 " frames", run->stop_reason,
			 submitted);
	else if (run->sender.behind)
		snprintf(text, bytes, "the port could not keep the rate asked for");
	else if (run->sender.limit != UINT64_MAX && !ft_generate_submitted_all(run))
		snprintf(text, bytes, "the time was up after %" PRIu64 " of %" PRIu64 " frames",
			 submitted, asked);
	else if (run->tx_frames < asked || run->tx_frames < submitted)
		snprintf(text, bytes, "port %s confirmed %" PRIu64 " of %" PRIu64 " frames",
			 run->transmit.device, run->tx_frames,
			 asked > submitted ? asked : submitted);
	else if (dropped != 0)
		snprintf(text, bytes,
			 "this machine was too slow to receive: the kernel dropped %" PRIu64
			 " frames at port %s",
			 dropped, run->settings->input);
	else if (too_late != 0)
		snprintf(text, bytes, "%" PRIu64 " frames came too late to be told from copies",
			 too_late);
	else if (run->input != NULL && run->tx_frames > submitted)
		snprintf(text, bytes, "%" PRIu64 " frames of another program left port %s too",
			 run->tx_frames - submitted, run->transmit.device);
}

static double per_second(const struct ft_generate_run *run, double amount)
{
	double seconds = (double)run->sender.elapsed_ns / (double)FT_NS_PER_SECOND;

	return seconds > 0 ? amount / seconds : 0;
}

/* Layer 2 with FCS, of the frames submitted. */
static double sent_bps(const struct ft_generate_run *run)
{
	uint64_t bytes = ft_count_read(&run->sender.bytes) +
			 ft_count_read(&run->sender.submitted) * FT_FCS_BYTES;

	return per_second(run, 8.0 * (double)bytes);
}

void ft_generate_summarize(const struct ft_generate_run *run)
{
	const struct ft_receiver *receiver = &run->receiver;
	char why[FT_ERROR_TEXT_BYTES];

	judge(run, why, sizeof(why));
	fprintf(stderr, "ft-generate: %s: %" PRIu64 " frames sent, %.0f a second, %.3f Mbit/s\n",
		run->transmit.device, run->tx_frames, per_second(run, (double)run->tx_frames),
		sent_bps(run) / 1e6);
	if (run->sender.paced)
		fprintf(stderr, "ft-generate: %s: at most %.1f us late\n", run->transmit.device,
			(double)ft_count_read(&run->sender.late_max_ns) / 1e3);
	if (run->input != NULL)
		fprintf(stderr,
			"ft-generate: %s: %" PRIu64 " frames received, %" PRIu64 " lost, %" PRIu64
			" dropped here\n",
			ft_port_name(run->input), ft_count_read(&receiver->frames),
			ft_generate_lost(run), ft_count_read(&receiver->dropped));
	if (run->input != NULL && run->settings->replay == NULL)
		fprintf(stderr,
			"ft-generate: %s: %" PRIu64 " duplicate, %" PRIu64 " reordered, %" PRIu64
			" corrupt, %" PRIu64 " of others\n",
			ft_port_name(run->input), ft_count_read(&receiver->duplicate),
			ft_count_read(&receiver->reordered), ft_count_read(&receiver->corrupt),
			ft_count_read(&receiver->foreign));
	if (why[0] != '\0')
		fprintf(stderr, "ft-generate: NOT VALID: %s\n", why);
}

static json_t *report_tx(const struct ft_generate_run *run)
{
	json_t *object = describe_tx(run, run->tx_frames);

	json_object_set_new(object, "mode", json_string(FT_GENERATE_TX_MODE));
	json_object_set_new(object, "source", json_string(FT_GENERATE_TX_SOURCE));
	json_object_set_new(object, "pps", json_real(per_second(run, (double)run->tx_frames)));
	json_object_set_new(object, "bps", json_real(sent_bps(run)));
	return object;
}

/* One stream a run; none where frames carry no stream's number or nobody received them. */
static json_t *report_streams(const struct ft_generate_run *run)
{
	json_t *streams = json_array(), *object;

	if (run->input == NULL || run->settings->replay != NULL)
		return streams;
	object = json_object();
	json_object_set_new(object, "id", integer(0));
	json_object_set_new(object, "tx", integer(run->tx_frames));
	json_object_set_new(object, "rx", integer(ft_count_read(&run->receiver.frames)));
	json_object_set_new(object, "lost", integer(ft_generate_lost(run)));
	json_object_set_new(object, "duplicate", integer(ft_count_read(&run->receiver.duplicate)));
	json_object_set_new(object, "reordered", integer(ft_count_read(&run->receiver.reordered)));
	json_object_set_new(object, "corrupt", integer(ft_count_read(&run->receiver.corrupt)));
	json_array_append_new(streams, object);
	return streams;
}

int ft_generate_report(const struct ft_generate_run *run, struct ft_error *error)
{
	char why[FT_ERROR_TEXT_BYTES];
	json_t *report;
	int rc;

	if (run->settings->report == NULL)
		return 0;
	judge(run, why, sizeof(why));
	report = json_pack(
		"{s:s, s:s, s:I, s:I, s:s, s:b, s:o, s:o, s:o, s:o, s:n, s:O, s:O}", "schema",
		REPORT_SCHEMA, "name", ft_manager_name(run->manager), "started_ns",
		(json_int_t)run->started_ns, "stopped_ns", (json_int_t)run->stopped_ns,
		"stop_reason", run->stop_reason, "valid", why[0] == '\0', "invalid_reason",
		why[0] != '\0' ? json_string(why) : json_null(), "tx", report_tx(run), "rx",
		describe_rx(run, ft_generate_lost(run)), "streams", report_streams(run),
		"latency_ns", "alarms", ft_manager_alarms(run->manager), "marks",
		ft_manager_marks(run->manager));
	rc = report != NULL ? ft_report_write(run->settings->report, report, error)
			    : ft_fail(error, -ENOMEM, "--report: out of memory");
	json_decref(report);
	return rc;
}
