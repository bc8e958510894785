/* SPDX-License-Identifier: Apache-2.0 */
/* A generator run from first to last: ports, threads, confirmation by the port, report. */
#ifndef FT_GENERATE_H
#define FT_GENERATE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/pacing.h"
#include "ft/units.h"

struct ft_ranges;
struct ft_rewrite;

#define FT_GENERATE_MAX_SIZES 64u
#define FT_GENERATE_MIN_SPEED 1e-6
#define FT_GENERATE_MAX_SPEED 1e6
#define FT_GENERATE_MAX_BURST 65536u

/* Of a frame, with FCS. The longest holds the longest IPv4 packet behind an Ethernet header. */
#define FT_GENERATE_MIN_SIZE 64u
#define FT_GENERATE_MAX_SIZE (14u + 65535u + 4u)

/* 7:4:1 of 64, 594 and 1518 bytes, spread out (RFC 6985 describes such mixes). */
#define FT_GENERATE_IMIX_FRAMES 12u
extern const uint32_t ft_generate_imix[FT_GENERATE_IMIX_FRAMES];

struct ft_generate_settings {
	const char *output;
	const char *input; /* where the frames should come back; NULL: nobody looks */
	unsigned size_count;
	uint32_t sizes[FT_GENERATE_MAX_SIZES]; /* with FCS, sent in turn */
	struct ft_rate rate;
	bool rate_given;     /* a replay without a rate keeps the file's timing */
	const char *streams; /* a stream file; NULL: one stream, of `sizes` */
	bool seed_given;     /* else that of the stream file */
	uint64_t seed;
	uint64_t burst;	 /* of streams that say nothing of it; 0: 1 */
	bool late_given; /* else as the stream file says, else FT_LATE_CATCH_UP */
	enum ft_late late;
	uint64_t count;			 /* 0: no limit */
	uint64_t duration_ns;		 /* 0: the default, or a day at most */
	const char *force;		 /* this output may be in use; NULL: none may */
	const char *replay;		 /* NULL: generate frames */
	double speed;			 /* of a replay by the file's timing; 0: not given */
	uint64_t loops;			 /* passes over the file; 0: until the run ends otherwise */
	const char *filter;		 /* of the replay; NULL: every frame */
	const struct ft_ranges *packets; /* of the replay, by number in the file; NULL: all */
	uint64_t from_ns, to_ns;	 /* and by stamp: from_ns <= stamp < to_ns */
	struct ft_rewrite *rewrite;	 /* NULL: frames stay as they are */
	const char *tap;		 /* a file of every frame handed to the port; NULL: none */
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
