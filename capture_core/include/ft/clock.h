/* SPDX-License-Identifier: Apache-2.0 */
/* Reading clocks, in nanoseconds. */
#ifndef FT_CLOCK_H
#define FT_CLOCK_H

#include <stdint.h>
#include <time.h>

#define FT_NS_PER_SECOND 1000000000ull
#define FT_NS_PER_MS	 1000000ull

static inline uint64_t ft_clock_read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * FT_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* UTC since 1970, the time scale of every timestamp in files and reports. */
static inline uint64_t ft_clock_utc_ns(void)
{
	return ft_clock_read_ns(CLOCK_REALTIME);
}

/* For deadlines and durations; never jumps. */
static inline uint64_t ft_clock_monotonic_ns(void)
{
	return ft_clock_read_ns(CLOCK_MONOTONIC);
}

/* What UTC is ahead of the monotonic clock: of some readings that which took the least time. */
static inline int64_t ft_clock_utc_offset_ns(void)
{
	uint64_t least_ns = UINT64_MAX;
	int64_t offset_ns = 0;

	for (unsigned i = 0; i < 3; i++) {
		uint64_t before_ns = ft_clock_monotonic_ns(), utc_ns = ft_clock_utc_ns();
		uint64_t took_ns = ft_clock_monotonic_ns() - before_ns;

		if (took_ns >= least_ns)
			continue;
		least_ns = took_ns;
		offset_ns = (int64_t)(utc_ns - before_ns - took_ns / 2);
	}
	return offset_ns;
}

#endif
