/* SPDX-License-Identifier: Apache-2.0 */
/* A capture run from first to last: ports, threads, output, ledger, report. */
#ifndef FT_CAPTURE_H
#define FT_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/port.h"

#define FT_CAPTURE_MAX_PORTS 16u

struct ft_capture_settings {
	unsigned port_count;
	const char *ports[FT_CAPTURE_MAX_PORTS];
	struct ft_port_options port_options;
	const char *filter; /* NULL: every frame */
	const char *output;
	const char *report;   /* NULL: none */
	const char *name;     /* NULL: PROGRAM-PID */
	uint64_t stop_frames; /* 0: no limit, for all three */
	uint64_t stop_bytes;
	uint64_t stop_duration_ns;
	bool strict; /* losing frames is an error */
	bool quiet;
};

/*
 * Run until a stop condition, a signal, a client or the end of the input. Returns the exit code of
 * the command contract; everything the user must know has been said on stderr by then.
 */
int ft_capture_run(const struct ft_capture_settings *settings);

#endif
