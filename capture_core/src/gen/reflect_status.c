/* SPDX-License-Identifier: Apache-2.0 */
/* What a reflector says of itself: status, summary and report. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ft/report.h"
#include "gen/reflect_run.h"

#define REPORT_SCHEMA "fieldtap.reflect-report/1"

/* Why a frame was not sent back, cap aside. */
static const struct {
	enum ft_reflect_outcome outcome;
	const char *key, *words;
} refusals[] = {
	{FT_REFLECT_FOREIGN, "foreign", "of others"},
	{FT_REFLECT_GROUP, "group", "from or to a group"},
	{FT_REFLECT_LOOP, "reflected", "from a reflector"},
	{FT_REFLECT_FRAGMENT, "fragment", "fragments"},
	{FT_REFLECT_LENGTH, "bad_length", "of bad length"},
};
#define REFUSAL_COUNT (sizeof(refusals) / sizeof(refusals[0]))

int ft_reflect_look(struct ft_reflect_run *run, struct ft_error *error)
{
	ft_reflect_program_read(&run->program, run->counts);
	return ft_counters_read(run->device.ifindex, &run->now, error);
}

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static uint64_t frames_of(const struct ft_reflect_run *run, enum ft_reflect_outcome outcome)
{
	return run->counts[outcome].frames;
}

/* Every frame has one outcome. */
static uint64_t count_seen(const struct ft_reflect_run *run)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < FT_REFLECT_OUTCOMES; i++)
		seen += frames_of(run, i);
	return seen;
}

static json_t *describe_refused(const struct ft_reflect_run *run)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < REFUSAL_COUNT; i++)
		json_object_set_new(object, refusals[i].key,
				    integer(frames_of(run, refusals[i].outcome)));
	return object;
}

/* The fields that status and report have in common. */
static json_t *describe(const struct ft_reflect_run *run)
{
	const struct ft_reflect_count *sent = &run->counts[FT_REFLECT_SENT_BACK];
	const struct ft_rate *cap = &run->settings->cap;

	return json_pack("{s:s, s:s, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:{s:s, s:o, s:o}}", "port",
			 run->settings->port, "mode", run->program.mode, "cap_pps",
			 cap->unit == FT_RATE_MAX ? json_null() : json_real(cap->value),
			 "duration_s", (double)run->settings->duration_ns / 1e9, "seen",
			 integer(count_seen(run)), "reflected", integer(sent->frames), "bytes",
			 integer(sent->bytes), "capped", integer(frames_of(run, FT_REFLECT_CAPPED)),
			 "refused", describe_refused(run), "wire", "source", "tx_packets", "sent",
			 integer(run->now.tx_frames - run->before.tx_frames), "dropped",
			 integer(run->now.tx_dropped - run->before.tx_dropped));
}

json_t *ft_reflect_status(void *engine)
{
	struct ft_reflect_run *run = engine;
	struct ft_error ignored; /* a port that has gone is noticed by tick */
	json_t *object;

	if (run->stopped_ns == 0)
		ft_reflect_look(run, &ignored);
	object = describe(run);
	/* Test frames that came and were not sent back. */
	json_object_set_new(object, "lost", integer(frames_of(run, FT_REFLECT_CAPPED)));
	json_object_set_new(object, "report", ft_report_path(run->settings->report));
	return object;
}

void ft_reflect_summarize(const struct ft_reflect_run *run)
{
	fprintf(stderr,
		"ft-reflect: %s: %" PRIu64 " frames seen, %" PRIu64 " sent back, %" PRIu64
		" beyond the cap\n",
		run->settings->port, count_seen(run), frames_of(run, FT_REFLECT_SENT_BACK),
		frames_of(run, FT_REFLECT_CAPPED));
	fprintf(stderr, "ft-reflect: %s: left to the host:", run->settings->port);
	for (unsigned i = 0; i < REFUSAL_COUNT; i++)
		fprintf(stderr, "%s %" PRIu64 " %s", i > 0 ? "," : "",
			frames_of(run, refusals[i].outcome), refusals[i].words);
	fprintf(stderr, "\n");
}

int ft_reflect_report(const struct ft_reflect_run *run, struct ft_error *error)
{
	json_t *report, *body;
	int rc;

	if (run->settings->report == NULL)
		return 0;
	body = describe(run);
	report = json_pack("{s:s, s:s, s:I, s:I, s:s}", "schema", REPORT_SCHEMA, "name",
			   ft_manager_name(run->manager), "started_ns", (json_int_t)run->started_ns,
			   "stopped_ns", (json_int_t)run->stopped_ns, "stop_reason",
			   run->stop_reason);
	if (report == NULL || body == NULL || json_object_update(report, body) != 0)
		rc = ft_fail(error, -ENOMEM, "--report: out of memory");
	else
		rc = 0;
	json_decref(body);
	if (rc == 0) {
		json_object_set_new(report, "privileges", ft_privileges_describe(&run->kept));
		json_object_set(report, "alarms", (json_t *)ft_manager_alarms(run->manager));
		json_object_set(report, "marks", (json_t *)ft_manager_marks(run->manager));
		rc = ft_report_write(run->settings->report, report, error);
	}
	json_decref(report);
	return rc;
}
