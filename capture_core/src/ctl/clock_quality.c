/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/clock_quality.h"

#include <stdbool.h>
#include <sys/timex.h>

#include "ft/clock.h"

#define NS_PER_US      1000
#define PPM_FRACTION   65536.0 /* adjtimex counts frequency in 2^-16 ppm */
#define SAMPLE_EACH_NS FT_NS_PER_SECOND

/* Whether it is synchronised: what cannot be asked is not. */
static bool read_clock(struct timex *clock)
{
	int state;

	*clock = (struct timex){0}; /* modes 0: only asks, which needs no privilege */
	state = adjtimex(clock);
	return state >= 0 && state != TIME_ERROR && !(clock->status & STA_UNSYNC);
}

static int64_t offset_ns(const struct timex *clock)
{
	return clock->status & STA_NANO ? clock->offset : clock->offset * NS_PER_US;
}

static json_t *describe(const struct timex *clock, bool synchronised)
{
	return json_pack("{s:b, s:I, s:I, s:f, s:i}", "synchronised", synchronised, "offset_ns",
			 (json_int_t)offset_ns(clock), "max_error_ns",
			 (json_int_t)clock->maxerror * NS_PER_US, "frequency_ppm",
			 (double)clock->freq / PPM_FRACTION, "tai_offset_s", clock->tai);
}

json_t *ft_clock_quality_now(void)
{
	struct timex clock;
	bool synchronised = read_clock(&clock);

	return describe(&clock, synchronised);
}

static void count(struct ft_clock_quality *quality, const struct timex *clock, bool synchronised)
{
	int64_t offset = offset_ns(clock), error = (int64_t)clock->maxerror * NS_PER_US;

	if (quality->samples == 0) {
		quality->offset_min_ns = quality->offset_max_ns = offset;
		quality->start = describe(clock, synchronised);
	}
	if (offset < quality->offset_min_ns)
		quality->offset_min_ns = offset;
	if (offset > quality->offset_max_ns)
		quality->offset_max_ns = offset;
	if (error > quality->error_max_ns)
		quality->error_max_ns = error;
	quality->samples++;
	quality->unsynchronised += !synchronised;
}

void ft_clock_quality_sample(struct ft_clock_quality *quality)
{
	uint64_t now_ns = ft_clock_monotonic_ns();
	struct timex clock;
	bool synchronised;

	if (quality->sampled_ns != 0 && now_ns - quality->sampled_ns < SAMPLE_EACH_NS)
		return;
	quality->sampled_ns = now_ns;
	synchronised = read_clock(&clock);
	count(quality, &clock, synchronised);
}

json_t *ft_clock_quality_report(struct ft_clock_quality *quality)
{
	struct timex clock;
	bool synchronised = read_clock(&clock);

	count(quality, &clock, synchronised);
	return json_pack("{s:O, s:o, s:I, s:I, s:I, s:I, s:I}", "start", quality->start, "end",
			 describe(&clock, synchronised), "samples", (json_int_t)quality->samples,
			 "unsynchronised_samples", (json_int_t)quality->unsynchronised,
			 "offset_min_ns", (json_int_t)quality->offset_min_ns, "offset_max_ns",
			 (json_int_t)quality->offset_max_ns, "error_max_ns",
			 (json_int_t)quality->error_max_ns);
}

void ft_clock_quality_free(struct ft_clock_quality *quality)
{
	json_decref(quality->start);
	quality->start = NULL;
}
