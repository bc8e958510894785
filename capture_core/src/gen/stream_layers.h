/* SPDX-License-Identifier: Apache-2.0 */
/* The headers and the payload of a stream, as its file gives them. */
#ifndef FT_GEN_STREAM_LAYERS_H
#define FT_GEN_STREAM_LAYERS_H

#include <jansson.h>

#include "gen/spot.h"
#include "gen/stream_file.h"

/*
 * Fill in the layers of `plan`: those of the table `stream`, and what must or may be added: IPv4
 * and UDP unless the file says otherwise. NULL: an empty table. -EINVAL or -ENOMEM.
 */
int ft_stream_read_layers(const json_t *stream, const struct ft_spot *spot,
			  struct ft_stream_plan *plan, struct ft_error *error);

int ft_payload_read(const json_t *json, const struct ft_spot *spot, struct ft_payload *payload,
		    struct ft_error *error);

#endif
