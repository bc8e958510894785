/* SPDX-License-Identifier: Apache-2.0 */
/* A capture run from first to last: ports, threads, output, ledger, report. */
#ifndef FT_CAPTURE_H
#define FT_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/port.h"

#define FT_CAPTURE_MAX_PORTS 16u
#define FT_CAPTURE_MAX_CPUS  64u

/* When the next file of a ring begins, and how long files are kept; 0: no such limit. */
struct ft_ring_settings {
	bool on;
	uint64_t file_frames;
	uint64_t file_bytes;
	uint64_t file_duration_ns;
	uint64_t interval_ns; /* aligned to the clock */
	uint64_t keep_files;
	uint64_t keep_bytes;
	uint64_t keep_age_ns;
	uint64_t free_bytes;
};

struct ft_capture_settings {
	unsigned port_count;
	const char *ports[FT_CAPTURE_MAX_PORTS];
	struct ft_port_options port_options;
	const char *filter; /* NULL: every frame */
	const char *output;
	bool pcap; /* instead of pcapng */
	struct ft_ring_settings ring;
	const char *report;   /* NULL: none */
	const char *name;     /* NULL: PROGRAM-PID */
	uint64_t stop_frames; /* 0: no limit, for all four */
	uint64_t stop_bytes;
	uint64_t stop_files;
	uint64_t stop_duration_ns;
	unsigned cpu_count;
	unsigned cpus[FT_CAPTURE_MAX_CPUS]; /* for the hot threads in turn */
	bool busy;			    /* hot threads spin instead of sleeping */
	bool prefault;			    /* touch all buffers at the start */
	bool strict;			    /* losing frames is an error */
	bool quiet;
};

/*
 * Run until a stop condition, a signal, a client or the end of the input. Returns the exit code of
 * the command contract; everything the user must know has been said on stderr by then.
 */
int ft_capture_run(const struct ft_capture_settings *settings);

#endif
