/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a run shows what it was meant to show. A run that does not proves nothing of the link. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ft/clock.h"
#include "gen/generate_run.h"

/*
 * How much longer than asked the sending may take: a thousandth of the run, so that the rate is met
 * to that, and what a general-purpose kernel keeps a thread waiting now and then.
 */
#define OVERRUN_SHARE 1000u
#define OVERRUN_NS    (10 * FT_NS_PER_MS)

/* Sentences in a row, apart by semicolons; what finds no room is left out. */
struct reasons {
	char *text;
	size_t bytes;
};

static void add(struct reasons *reasons, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct reasons *reasons, const char *format, ...)
{
	size_t used = strlen(reasons->text);
	va_list arguments;

	if (used > 0 && used + 2 < reasons->bytes) {
		memcpy(reasons->text + used, "; ", 3);
		used += 2;
	}
	va_start(arguments, format);
	vsnprintf(reasons->text + used, reasons->bytes - used, format, arguments);
	va_end(arguments);
}

/* What was asked for was not offered to the link. */
static void judge_offer(const struct ft_generate_run *run, struct reasons *reasons)
{
	uint64_t submitted = ft_count_read(&run->sender.submitted);
	/* Where only the port knows what it dropped, it may drop at top speed. */
	uint64_t taken = run->transmit.takes_all ? 0 : submitted;
	uint64_t asked = run->asked > taken ? run->asked : taken;
	/* A schedule that slid is one that was not kept. */
	uint64_t overrun_ns = run->sender.overrun_ns + ft_count_read(&run->sender.late.slid_ns);

	if (submitted == 0)
		add(reasons, "no frame was sent");
	else if (run->sender.behind || (run->overdue && run->sender.paced))
		add(reasons, "the port could not keep the rate asked for");
	else if (overrun_ns > run->sender.elapsed_ns / OVERRUN_SHARE + OVERRUN_NS)
		add(reasons,
		    "the rate fell short of what was asked: sending took %.3f ms longer than the "
		    "%.3f ms that it should have",
		    (double)overrun_ns / 1e6,
		    ((double)run->sender.elapsed_ns - (double)overrun_ns) / 1e6);
	if (run->sender.paced && ft_count_read(&run->replay.underruns) != 0)
		add(reasons, "%" PRIu64 " times a frame was due before it had been read",
		    ft_count_read(&run->replay.underruns));
	if (ft_count_read(&run->sender.late.skipped) != 0)
		add(reasons, "%" PRIu64 " frames were late and were left out",
		    ft_count_read(&run->sender.late.skipped));
	else if (run->sender.limit != UINT64_MAX && !ft_generate_had_all(run))
		add(reasons, "the time was up after %" PRIu64 " of %" PRIu64 " frames", submitted,
		    asked);
	else if (run->tx_frames < asked)
		add(reasons, "port %s confirmed %" PRIu64 " of %" PRIu64 " frames",
		    run->transmit.device, run->tx_frames, asked);
	else if (run->input != NULL && run->tx_frames > submitted)
		add(reasons, "%" PRIu64 " frames of another program left port %s too",
		    run->tx_frames - submitted, run->transmit.device);
}

static void judge_links(const struct ft_generate_run *run, struct reasons *reasons)
{
	for (unsigned i = 0; i < run->watch.link_count; i++) {
		const struct ft_watched_link *link = &run->watch.links[i];

		if (link->changes_had > 0 || link->down_ns != 0)
			add(reasons, "the link of port %s went down while frames were under way",
			    link->name);
	}
}

/* Loss of our own must not be taken for the link's. */
static void judge_reception(const struct ft_generate_run *run, struct reasons *reasons)
{
	uint64_t dropped = ft_generate_receiver_dropped(run);
	struct ft_received received;

	ft_receiver_sum(&run->receiver, &received);
	if (dropped != 0)
		add(reasons,
		    "this machine was too slow to receive: it dropped %" PRIu64
		    " frames at port %s",
		    dropped, ft_port_name(run->input));
	if (run->trickling)
		add(reasons, "frames still came back when they were waited for no longer");
	if (received.too_late != 0)
		add(reasons, "%" PRIu64 " frames came too late to be told from copies",
		    received.too_late);
}

void ft_generate_judge(const struct ft_generate_run *run, char *text, size_t bytes)
{
	struct reasons reasons = {text, bytes};

	text[0] = '\0';
	if (run->failed)
		add(&reasons, "%s", run->failure.text);
	else if (run->cut_short)
		add(&reasons, "stopped (%s) after %" PRIu64 " frames", run->stop_reason,
		    ft_count_read(&run->sender.submitted));
	else
		judge_offer(run, &reasons);
	if (!run->failed)
		judge_links(run, &reasons);
	if (run->input != NULL)
		judge_reception(run, &reasons);
}
