/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequence accounting of one stream: which frames came, which came twice, which came late. A
 * sliding bitmap behind the highest number seen decides each frame exactly and once; nothing is
 * ever taken back.
 */
#ifndef FT_SEQUENCE_H
#define FT_SEQUENCE_H

#include <stdint.h>

#include "ft/ledger.h"

/* 4.4 ms at 10GbE line rate of the smallest frame. */
#define FT_SEQUENCE_WINDOW 65536u

/*
 * How far a number may lie behind the highest; what seems further behind is ahead: frames of the
 * longest outage whose end can be told, 273 s at 10GbE line rate of the smallest frame.
 */
#define FT_SEQUENCE_BEHIND (1u << 28)

enum ft_sequence_verdict {
	FT_SEQUENCE_FIRST, /* it has come for the first time */
	FT_SEQUENCE_DUPLICATE,
	FT_SEQUENCE_TOO_LATE,
};

/* Zero-initialise; numbers begin at 0. One thread observes; others may read the counts. */
struct ft_sequence {
	ft_count next;	    /* the highest number seen, plus one; 64 bits by extension */
	ft_count distinct;  /* frames that came at least once */
	ft_count duplicate; /* further copies of those */
	ft_count reordered; /* distinct ones that came behind a higher number (RFC 4737 3) */
	ft_count too_late;  /* so far behind that first or copy cannot be told: not in `distinct` */
	uint64_t seen[FT_SEQUENCE_WINDOW / 64]; /* bit n % window: n has come */
};

/* Take in the 32-bit number of a received frame. */
enum ft_sequence_verdict ft_sequence_observe(struct ft_sequence *sequence, uint32_t number);

#endif
