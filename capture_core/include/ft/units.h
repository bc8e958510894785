/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as users write them. kB, k, M and G are powers of 1000; KiB, MiB and GiB of 1024.
 * Every parser takes the whole text or fails with -EINVAL and a sentence that quotes it.
 */
#ifndef FT_UNITS_H
#define FT_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

/* The preamble, start delimiter and gap that a frame occupies on the wire (IEEE
 * 802.3 3.1.1, 4.4.2). */
#define FT_WIRE_OVERHEAD_BYTES 20u
/* The frame check sequence, which sizes on the command line include and buffers do not. */
#define FT_FCS_BYTES 4u

/* A decimal number from `min` to `max`. */
int ft_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value,
		    struct ft_error *error);

/* "4096", "64KiB", "2MB": bytes. */
int ft_parse_size_bytes(const char *text, uint64_t *bytes, struct ft_error *error);

/* "2", "0.5", "1.5s": seconds, as nanoseconds; must be above zero. */
int ft_parse_duration_ns(const char *text, uint64_t *ns, struct ft_error *error);

enum ft_rate_unit {
	FT_RATE_MAX,	 /* as fast as the port takes frames */
	FT_RATE_PPS,	 /* frames a second */
	FT_RATE_BPS,	 /* layer 2 bits a second, with FCS */
	FT_RATE_BPS_L1,	 /* layer 1: 20 bytes more a frame */
	FT_RATE_PERCENT, /* of layer 1 at link speed */
};

struct ft_rate {
	enum ft_rate_unit unit;
	double value;
};

/* "max", "10kpps", "1.5Gbps", "500MbpsL1", "40%"; a bare number is refused. */
int ft_parse_rate(const char *text, struct ft_rate *rate, struct ft_error *error);

#endif
