/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extraction: the frames of one or more captures that match, in the order of time, in one file.
 * Chunks that the index shows to hold no such frame are not read. Memory is bounded by the number
 * of captures that overlap in time. Runs in the idle class of the disk's scheduler and with the
 * lowest priority, so that it takes nothing from a capture.
 */
#ifndef FT_EXTRACT_H
#define FT_EXTRACT_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

struct ft_extract_settings {
	const char *const *inputs; /* captures, and folders of them */
	unsigned input_count;
	const char *output; /* NULL: none */
	const char *filter; /* NULL: every frame */
	const char *flow;   /* as ft_flow_parse takes it; NULL: every flow */
	uint64_t from_ns;   /* frames of this time or later, */
	uint64_t to_ns;	    /* and earlier than that; UINT64_MAX: no end */
	const char *report; /* NULL: none */
	bool repair;	    /* mend each file first */
	bool reindex;	    /* make each file's index anew */
	bool verify;	    /* walk each file and report what it holds */
};

/* Returns the exit code of the command contract; what the user must know was said on stderr. */
int ft_extract_run(const struct ft_extract_settings *settings);

/* ISO 8601, UTC unless it names a zone, or seconds since 1970; either with a fraction. */
int ft_parse_time_ns(const char *text, uint64_t *ns, struct ft_error *error);

#endif
