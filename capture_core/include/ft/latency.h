/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long frames were under way, in nanoseconds, and how much that varied from one frame to the
 * next. Nothing is taken off a figure: the offset of the two stamps is part of it.
 */
#ifndef FT_LATENCY_H
#define FT_LATENCY_H

#include <stdint.h>

#include <jansson.h>

#include "ft/histogram.h"

/* Zero-initialise. One thread records; others may read at any time. */
struct ft_latency {
	ft_count negative;	/* received before they were sent, says one clock or the other */
	ft_count variations;	/* pairs of frames one after the other */
	ft_count variation_sum; /* of the absolute differences within those pairs */
	struct ft_histogram histogram;
};

/* No frame came before. */
#define FT_LATENCY_NONE INT64_MIN

/*
 * The time between the low 48 bits of a UTC time and a whole one, which are less than 39 hours
 * apart; negative where the second comes first.
 */
static inline int64_t ft_latency_between(uint64_t sent_low48_ns, uint64_t received_ns)
{
	return (int64_t)((received_ns - sent_low48_ns) << 16) >> 16;
}

/* A frame was under way for `latency_ns`; the one before it in its stream for `previous_ns`. */
static inline void ft_latency_record(struct ft_latency *latency, int64_t latency_ns,
				     int64_t previous_ns)
{
	if (latency_ns < 0) {
		ft_count_add(&latency->negative, 1);
		return;
	}
	ft_histogram_record(&latency->histogram, (uint64_t)latency_ns);
	if (previous_ns == FT_LATENCY_NONE)
		return;
	ft_count_add(&latency->variations, 1);
	ft_count_add(&latency->variation_sum,
		     (uint64_t)(latency_ns > previous_ns ? latency_ns - previous_ns
							 : previous_ns - latency_ns));
}

/*
 * {samples, min, p50, p99, p999, max, mean, jitter_ns, pdv_ns, negative, beyond, source}, or null
 * without samples. `jitter_ns` is the mean absolute difference between a frame and the one before
 * it in its stream (RFC 3550's D, RFC 3393's IPDV), `pdv_ns` the 99.9th percentile less the minimum
 * (RFC 8219 7.3.1).
 */
json_t *ft_latency_describe(const struct ft_latency *latency, const char *source);

#endif
