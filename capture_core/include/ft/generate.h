/* SPDX-License-Identifier: Apache-2.0 */
/* A generator run from first to last: ports, threads, confirmation by the port, report. */
#ifndef FT_GENERATE_H
#define FT_GENERATE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/units.h"

struct ft_ranges;
struct ft_rewrite;

#define FT_GENERATE_MAX_SIZES 64u
#define FT_GENERATE_MIN_SPEED 1e-6
#define FT_GENERATE_MAX_SPEED 1e6

struct ft_generate_settings {
	const char *output;
	const char *input; /* where the frames should come back; NULL: nobody looks */
	unsigned size_count;
	uint32_t sizes[FT_GENERATE_MAX_SIZES]; /* with FCS, sent in turn */
	struct ft_rate rate;
	bool rate_given;		 /* a replay without a rate keeps the file's timing */
	uint64_t count;			 /* 0: no limit */
	uint64_t duration_ns;		 /* 0: no limit */
	const char *replay;		 /* NULL: generate frames */
	double speed;			 /* of a replay by the file's timing; 0: not given */
	uint64_t loops;			 /* passes over the file; 0: until the run ends otherwise */
	const char *filter;		 /* of the replay; NULL: every frame */
	const struct ft_ranges *packets; /* of the replay, by number in the file; NULL: all */
	uint64_t from_ns, to_ns;	 /* and by stamp: from_ns <= stamp < to_ns */
	struct ft_rewrite *rewrite;	 /* NULL: frames stay as they are */
	const char *report;		 /* NULL: none */
	const char *name;		 /* NULL: PROGRAM-PID */
	bool quiet;
};

/*
 * Run until all is sent and has come back, or a signal or client stops it. Returns the exit code of
 * the command contract; everything the user must know has been said on stderr by then.
 */
int ft_generate_run(const struct ft_generate_settings *settings);

#endif
