/* SPDX-License-Identifier: Apache-2.0 */
/* How well the system clock was kept while a run lasted (adjtimex(2)). */
#ifndef FT_CTL_CLOCK_QUALITY_H
#define FT_CTL_CLOCK_QUALITY_H

#include <stdint.h>

#include <jansson.h>

/* Owned by the main thread. Zero is a good beginning. */
struct ft_clock_quality {
	uint64_t sampled_ns; /* monotonic; 0: never */
	uint64_t samples;
	uint64_t unsynchronised; /* of them */
	int64_t offset_min_ns, offset_max_ns;
	int64_t error_max_ns;
	json_t *start; /* the first sample, described */
};

/* The clock as it is: {synchronised, offset_ns, max_error_ns, frequency_ppm, tai_offset_s}. */
json_t *ft_clock_quality_now(void);

/* One system call, once a second however often it is called. */
void ft_clock_quality_sample(struct ft_clock_quality *quality);

/*
 * Over the run: {start, end, samples, unsynchronised_samples, offset_min_ns, offset_max_ns,
 * error_max_ns}; takes a last sample.
 */
json_t *ft_clock_quality_report(struct ft_clock_quality *quality);

void ft_clock_quality_free(struct ft_clock_quality *quality);

#endif
