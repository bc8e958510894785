/* SPDX-License-Identifier: Apache-2.0 */
/* The streams of a run: what the file says, what the command line says, and what the port allows.
 */
#include <errno.h>

#include "ft/clock.h"
#include "gen/generate_run.h"

/* Of a run that nothing else ends. */
#define DEFAULT_DURATION_NS (10 * FT_NS_PER_SECOND)

/* The command line stands above the file, a stream's own burst above both. */
static int overrule(struct ft_generate_run *run, struct ft_error *error)
{
	const struct ft_generate_settings *settings = run->settings;
	struct ft_stream_file *file = &run->stream_file;
	bool shares = false;

	if (settings->seed_given)
		file->seed = settings->seed;
	for (unsigned i = 0; i < file->count; i++) {
		struct ft_stream_plan *plan = &file->streams[i];

		shares |= !plan->rate_given;
		if (plan->burst == 0)
			plan->burst = settings->burst;
	}
	if (settings->rate_given || !file->rate_given)
		file->rate = settings->rate;
	if (settings->rate_given && !shares)
		return ft_fail(
			error, -EINVAL,
			"--rate: every stream of %s has a rate of its own; take it out there "
			"or here",
			settings->streams);
	return 0;
}

static int read_file(struct ft_generate_run *run, struct ft_error *error)
{
	const struct ft_generate_settings *settings = run->settings;

	if (settings->streams != NULL)
		return ft_stream_file_read(settings->streams, &run->stream_file, error);
	return ft_stream_file_default(settings->sizes, settings->size_count, &run->stream_file,
				      error);
}

int ft_generate_prepare_streams(struct ft_generate_run *run, struct ft_error *error)
{
	const struct ft_generate_settings *settings = run->settings;
	int rc = read_file(run, error);

	if (rc == 0)
		rc = overrule(run, error);
	if (rc != 0)
		return rc;
	ft_signature_draw_run(&run->signature);
	rc = ft_stream_set_create(&run->stream_file, &run->transmit, &run->signature, &run->streams,
				  error);
	run->transmit.longest_bytes = run->streams.longest_bytes;
	run->asked = settings->count;
	/* With a duration too, whichever comes first ends the run. */
	if (run->streams.asked != 0 && settings->duration_ns == 0 &&
	    (run->asked == 0 || run->streams.asked < run->asked))
		run->asked = run->streams.asked;
	if (run->asked == 0 && settings->duration_ns == 0)
		run->sender.duration_ns = DEFAULT_DURATION_NS;
	run->requested_pps = run->streams.requested_pps;
	run->sender.source = &run->streams.source;
	run->sender.limit = run->asked != 0 ? run->asked : UINT64_MAX;
	run->sender.paced = !run->streams.top_speed;
	if (!settings->late_given && run->stream_file.late_given)
		run->sender.late.policy = run->stream_file.late;
	return rc;
}
