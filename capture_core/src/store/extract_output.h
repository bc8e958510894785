/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an extraction writes: one section, in which each interface of the inputs is described once.
 * All interface blocks have one snap length, the largest of those that were read, since libpcap
 * takes nothing else.
 */
#ifndef FT_STORE_EXTRACT_OUTPUT_H
#define FT_STORE_EXTRACT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/reader.h"
#include "store/span.h"

struct ft_extract_output;

int ft_extract_output_open(const char *path, struct ft_extract_output **output,
			   struct ft_error *error);

/* The number that an interface block of our own gets; `nth` block of these very bytes in its file.
 */
int ft_extract_output_add_block(struct ft_extract_output *output,
				const struct ft_span_interface *interface, unsigned nth,
				uint32_t *number, struct ft_error *error);

/* The same for an interface of somebody else's capture. */
int ft_extract_output_add_interface(struct ft_extract_output *output, const char *path,
				    uint16_t link_type, uint32_t *number, struct ft_error *error);

/* An enhanced packet block of our own, whole, under its new interface. */
int ft_extract_output_put_block(struct ft_extract_output *output, const uint8_t *block,
				uint32_t interface, struct ft_error *error);
int ft_extract_output_put_record(struct ft_extract_output *output, const struct ft_record *record,
				 uint32_t interface, struct ft_error *error);

/* False for a stream, whose reader may keep us waiting. */
bool ft_extract_output_is_file(const struct ft_extract_output *output);

int ft_extract_output_finish(struct ft_extract_output *output, struct ft_error *error);
/* Accepts NULL. What was not finished leaves no file behind. */
void ft_extract_output_free(struct ft_extract_output *output);

#endif
