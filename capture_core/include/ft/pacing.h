/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When frames are due: an absolute schedule in fixed point, so that it neither drifts nor
 * overflows, however long a run is. A late sender catches up.
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
