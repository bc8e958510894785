/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks that stamp frames: an adapter's own (PTP hardware clock) and the system's. */
#ifndef FT_PORT_PHC_H
#define FT_PORT_PHC_H

#include <stddef.h>
#include <stdint.h>

/* What an adapter's clock shows, judged by the system's. */
enum ft_phc_scale {
	FT_PHC_UTC,
	FT_PHC_TAI,
	FT_PHC_FREE, /* neither: nobody set it */
};

/*
 * How far the clock /dev/ptpINDEX is ahead of UTC as the system knows it, by the most precise way
 * that its driver has. Negative errno.
 */
int ft_phc_compare(int index, int64_t *ahead_ns);

/* Within a second of UTC, or of UTC and the seconds that TAI is ahead. */
enum ft_phc_scale ft_phc_judge(int64_t ahead_ns, int tai_utc_s);

/* How many seconds TAI is ahead of UTC: what the kernel was told, else 37 (since 2017). */
int ft_clock_tai_utc_s(void);

/* "system clock, synchronised, within 12 us" as the kernel says of it. */
void ft_system_clock_describe(char *text, size_t bytes);

#endif
