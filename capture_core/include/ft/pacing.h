/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When frames are due: an absolute schedule in fixed point, so that it neither drifts nor
 * overflows, however long a run is.
 */
#ifndef FT_PACING_H
#define FT_PACING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/units.h"

/* A time or duration in 2^-32 ns. */
typedef unsigned __int128 ft_fine_time;

#define FT_FINE_SHIFT 32

/* What a frame costs of the schedule: linear in its length, for every unit of rate. */
struct ft_pace {
	ft_fine_time per_frame;
	ft_fine_time per_byte;
};

/* What becomes of frames that are late. */
enum ft_late {
	FT_LATE_CATCH_UP, /* all that is due is sent at once: the average rate holds */
	FT_LATE_SKIP,	  /* those late by more than FT_LATE_NS are left out: times hold */
	FT_LATE_SLIDE,	  /* the rest of the schedule moves: gaps hold */
};

/* A frame sent so long after its time is late. */
#define FT_LATE_NS 100000u

/* "catch-up", "skip" or "slide". -EINVAL. */
int ft_parse_late(const char *text, enum ft_late *late, struct ft_error *error);

const char *ft_late_name(enum ft_late late);

/* `speed_bps` 0: unknown, so that a percentage is refused (-EINVAL). Top speed costs nothing. */
int ft_pace_set(struct ft_pace *pace, const struct ft_rate *rate, uint64_t speed_bps,
		struct ft_error *error);

/* `bytes` without FCS. */
static inline ft_fine_time ft_pace_cost(const struct ft_pace *pace, uint32_t bytes)
{
	return pace->per_frame + pace->per_byte * (bytes + FT_FCS_BYTES);
}

static inline uint64_t ft_fine_ns(ft_fine_time time)
{
	return (uint64_t)(time >> FT_FINE_SHIFT);
}

/* Frames a second of frames that cost `cost` each; 0 for top speed. */
double ft_pace_pps(ft_fine_time cost);

/*
 * Wait for `due_ns` (monotonic): sleep until shortly before, then spin. Returns the time, which is
 * earlier than due_ns only where one of the two flags was set.
 */
uint64_t ft_pace_wait(uint64_t due_ns, const atomic_bool *stop, const atomic_bool *changed);

#endif
