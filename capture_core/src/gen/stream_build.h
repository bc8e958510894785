/* SPDX-License-Identifier: Apache-2.0 */
/* From a stream's plan to its headers and operations. */
#ifndef FT_GEN_STREAM_BUILD_H
#define FT_GEN_STREAM_BUILD_H

#include "gen/stream.h"

/* The headers of the frames, with the fields that stay; those that vary are 0. */
struct ft_stream_headers {
	uint8_t bytes[FT_STREAM_MAX_HEADER_BYTES];
	unsigned count;
};

/*
 * Lay out the plan's headers, and set the stream's places and operations. -EINVAL where too many
 * fields vary.
 */
int ft_stream_build_headers(const struct ft_stream_file *file, const struct ft_stream_plan *plan,
			    struct ft_stream *stream, struct ft_stream_headers *headers,
			    struct ft_error *error);

#endif
