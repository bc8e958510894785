/* SPDX-License-Identifier: Apache-2.0 */
/* What depends on a frame's size: lengths, checksums and the end of the payload. */
#ifndef FT_GEN_STREAM_SHAPE_H
#define FT_GEN_STREAM_SHAPE_H

#include <arpa/inet.h>
#include <string.h>

#include "gen/checksum.h"
#include "gen/stream.h"

static inline void ft_stream_put_be16(uint8_t *at, uint16_t value)
{
	uint16_t be = htons(value);

	memcpy(at, &be, sizeof(be));
}

/* From the sum of its words to the checksum in the frame. */
static inline void ft_stream_put_transport_sum(const struct ft_stream *stream, uint8_t *frame,
					       uint64_t sum)
{
	uint16_t check = (uint16_t)~ft_checksum_fold(sum);

	ft_stream_put_be16(frame + stream->transport_check_at,
			   check == 0 && stream->zero_is_none ? 0xffff : check);
}

/*
 * Give a frame that has the stream's headers and payload this shape. Checksums that hold fields
 * which vary are not complete by that.
 */
void ft_stream_put_shape(const struct ft_stream *stream, const struct ft_stream_shape *shape,
			 uint8_t *frame);

/*
 * Fill in a shape whose `bytes` are set, but for its costs. `frame` has the stream's headers, and
 * room for the shape. `id` is the stream's.
 */
void ft_stream_make_shape(const struct ft_stream *stream, const struct ft_signature_run *run,
			  uint16_t id, uint8_t *frame, struct ft_stream_shape *shape);

#endif
