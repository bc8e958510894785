/* SPDX-License-Identifier: Apache-2.0 */
/* ft_pace_wait() runs on the sender's thread; when a frame is due already it reads the clock once.
 */
#include "ft/pacing.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "ft/clock.h"

/* The last stretch is spun through: a sleeper wakes up to this late. */
#define SPIN_NS (60 * 1000ull)
/* How long a flag may go unnoticed. */
#define LONGEST_SLEEP_NS (2 * FT_NS_PER_MS)

/* Slower than one unit in a hundred days is as good as never, and would not fit. */
#define SLOWEST_PER_SECOND 1e-7

/*
 * The duration of one unit at so many a second; the slowest rates need more than 64 bits. Rounded
 * up, so that a duration holds its rate's number of frames and not one more.
 */
static ft_fine_time fine_from_rate(double units_per_second)
{
	long double ns = 1e9L / fmaxl(units_per_second, SLOWEST_PER_SECOND);

	return (ft_fine_time)ceill(ldexpl(ns, FT_FINE_SHIFT));
}

int ft_pace_set(struct ft_pace *pace, const struct ft_rate *rate, uint64_t speed_bps,
		struct ft_error *error)
{
	double bps = rate->value;

	*pace = (struct ft_pace){0};
	switch (rate->unit) {
	case FT_RATE_MAX:
		return 0;
	case FT_RATE_PPS:
		pace->per_frame = fine_from_rate(rate->value);
		return 0;
	case FT_RATE_BPS:
		pace->per_byte = fine_from_rate(bps / 8);
		return 0;
	case FT_RATE_PERCENT:
		if (speed_bps == 0)
			return ft_fail(error, -EINVAL,
				       "%g%%: the port does not tell its speed; give the rate in "
				       "pps or bps",
				       rate->value);
		bps = (double)speed_bps * rate->value / 100;
		break;
	case FT_RATE_BPS_L1:
		break;
	}
	pace->per_byte = fine_from_rate(bps / 8);
	pace->per_frame = FT_WIRE_OVERHEAD_BYTES * pace->per_byte;
	return 0;
}

static const char *const late_names[] = {
	[FT_LATE_CATCH_UP] = "catch-up",
	[FT_LATE_SKIP] = "skip",
	[FT_LATE_SLIDE] = "slide",
};

int ft_parse_late(const char *text, enum ft_late *late, struct ft_error *error)
{
	for (unsigned i = 0; i < sizeof(late_names) / sizeof(late_names[0]); i++) {
		if (strcmp(text, late_names[i]) == 0) {
			*late = (enum ft_late)i;
			return 0;
		}
	}
	return ft_fail(error, -EINVAL, "'%s' is none of catch-up, skip and slide", text);
}

const char *ft_late_name(enum ft_late late)
{
	return late_names[late];
}

double ft_pace_pps(ft_fine_time cost)
{
	return cost == 0 ? 0 : (double)(ldexpl(1e9L, FT_FINE_SHIFT) / (long double)cost);
}

static void sleep_until(uint64_t monotonic_ns)
{
	const struct timespec until = {
		.tv_sec = (time_t)(monotonic_ns / FT_NS_PER_SECOND),
		.tv_nsec = (long)(monotonic_ns % FT_NS_PER_SECOND),
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static bool is_set(const atomic_bool *flag)
{
	return atomic_load_explicit(flag, memory_order_relaxed);
}

uint64_t ft_pace_wait(uint64_t due_ns, const atomic_bool *stop, const atomic_bool *changed)
{
	uint64_t now_ns = ft_clock_monotonic_ns();

	while (now_ns < due_ns && !is_set(stop) && !is_set(changed)) {
		uint64_t left_ns = due_ns - now_ns;

		if (left_ns > LONGEST_SLEEP_NS + SPIN_NS)
			sleep_until(now_ns + LONGEST_SLEEP_NS);
		else if (left_ns > SPIN_NS)
			sleep_until(due_ns - SPIN_NS);
		else
			__builtin_ia32_pause();
		now_ns = ft_clock_monotonic_ns();
	}
	return now_ns;
}
