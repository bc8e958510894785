/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of durations in the log-linear layout of HdrHistogram, exact to three significant digits
 * up to 100 seconds, and written as its tools read it, so that histograms of several runs can be
 * added up.
 *
 * Values below 2048 have a slot each; above, each doubling has 1024 slots, each twice as wide as
 * those before.
 */
#ifndef FT_HISTOGRAM_H
#define FT_HISTOGRAM_H

#include <stdint.h>

#include "ft/ledger.h"

#define FT_HISTOGRAM_DIGITS  3u
#define FT_HISTOGRAM_HIGHEST 100000000000ull

#define FT_HISTOGRAM_HALF_BITS 10u
#define FT_HISTOGRAM_HALF      (1u << FT_HISTOGRAM_HALF_BITS)
/* As many doublings of 2048 as hold FT_HISTOGRAM_HIGHEST, and the lower half of the first. */
#define FT_HISTOGRAM_DOUBLINGS 27u
#define FT_HISTOGRAM_SLOTS     ((FT_HISTOGRAM_DOUBLINGS + 1) * FT_HISTOGRAM_HALF)

/* Zero-initialise. One thread records; others may read at any time. */
struct ft_histogram {
	ft_count samples; /* in the slots */
	ft_count beyond;  /* values above FT_HISTOGRAM_HIGHEST, in no slot */
	ft_count min; /* the extremes of those in the slots, exact; meaningless without samples */
	ft_count max;
	ft_count slots[FT_HISTOGRAM_SLOTS];
};

/* The slot of a value up to FT_HISTOGRAM_HIGHEST. */
static inline unsigned ft_histogram_slot(uint64_t value)
{
	unsigned bits = 64u - (unsigned)__builtin_clzll(value | (2 * FT_HISTOGRAM_HALF - 1));
	unsigned doubling = bits - (FT_HISTOGRAM_HALF_BITS + 1);

	return (doubling << FT_HISTOGRAM_HALF_BITS) + (unsigned)(value >> doubling);
}

/* The lowest and the highest value that belong to a slot. */
uint64_t ft_histogram_lowest(unsigned slot);
uint64_t ft_histogram_highest(unsigned slot);

static inline void ft_histogram_record(struct ft_histogram *histogram, uint64_t value)
{
	if (value > FT_HISTOGRAM_HIGHEST) {
		ft_count_add(&histogram->beyond, 1);
		return;
	}
	if (ft_count_read(&histogram->samples) == 0 || value < ft_count_read(&histogram->min))
		ft_count_set(&histogram->min, value);
	if (value > ft_count_read(&histogram->max))
		ft_count_set(&histogram->max, value);
	ft_count_add(&histogram->samples, 1);
	ft_count_add(&histogram->slots[ft_histogram_slot(value)], 1);
}

/*
 * The smallest value that at least this share (0 to 1) of all samples does not exceed: the highest
 * one of its slot, at most the maximum. 0 without samples.
 */
uint64_t ft_histogram_quantile(const struct ft_histogram *histogram, double share);

/* From the middles of the slots. 0 without samples. */
double ft_histogram_mean(const struct ft_histogram *histogram);

/*
 * HdrHistogram's compressed format, version 2, in base64: a string to be freed by the caller, NULL
 * when out of memory. For a histogram that nobody records into any more.
 */
char *ft_histogram_encode(const struct ft_histogram *histogram);

#endif
