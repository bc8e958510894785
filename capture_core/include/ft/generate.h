/* SPDX-License-Identifier: Apache-2.0 */
/* A generator run from first to last: ports, threads, confirmation by the port, report. */
#ifndef FT_GENERATE_H
#define FT_GENERATE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/units.h"

#define FT_GENERATE_MAX_SIZES 64u

struct ft_generate_settings {
	const char *output;
	const char *input; /* where the frames should come back; NULL: nobody looks */
	unsigned size_count;
	uint32_t sizes[FT_GENERATE_MAX_SIZES]; /* with FCS, sent in turn */
	struct ft_rate rate;
	bool rate_given;      /* a replay without a rate keeps the file's timing */
	uint64_t count;	      /* 0: no limit */
	uint64_t duration_ns; /* 0: a day at most */
	const char *force;    /* this output may be in use; NULL: none may */
	const char *replay;   /* NULL: generate frames */
	const char *filter;   /* of the replay; NULL: every frame */
	const char *report;   /* NULL: none */
	const char *name;     /* NULL: PROGRAM-PID */
	bool quiet;
};

/*
 * Run until all is sent and has come back, or a signal or client stops it. Returns the exit code of
 * the command contract; everything the user must know has been said on stderr by then.
 */
int ft_generate_run(const struct ft_generate_settings *settings);

#endif
