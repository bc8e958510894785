/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequence accounting of one stream: which frames came, which came twice, which came late. A
 * sliding bitmap behind the highest number seen decides each frame exactly and once; nothing is
 * ever taken back.
 */
#ifndef FT_SEQUENCE_H
#define FT_SEQUENCE_H

#include <stdint.h>

/* 4.4 ms at 10GbE line rate of the smallest frame. */
#define FT_SEQUENCE_WINDOW 65536u

/* Zero-initialise; numbers begin at 0. */
struct ft_sequence {
	uint64_t next;	    /* the highest number seen, plus one; 64 bits by extension */
	uint64_t distinct;  /* frames that came at least once */
	uint64_t duplicate; /* further copies of those */
	uint64_t reordered; /* distinct ones that came behind a higher number (RFC 4737 3) */
	uint64_t too_late;  /* so far behind that first or copy cannot be told: not in `distinct` */
	uint64_t seen[FT_SEQUENCE_WINDOW / 64]; /* bit n % window: n has come */
};

/* Take in the 32-bit number of a received frame, at most 2^31 away from the highest one. */
void ft_sequence_observe(struct ft_sequence *sequence, uint32_t number);

#endif
