/* SPDX-License-Identifier: Apache-2.0 */
/* Capture filters in libpcap's language (pcap-filter(7)), run on frames with their VLAN tags. */
#ifndef FT_FILTER_H
#define FT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/port.h"

struct ft_filter;

/* -EINVAL with libpcap's own words. `link_type` is a LINKTYPE_. */
int ft_filter_compile(const char *expression, uint16_t link_type, struct ft_filter **filter,
		      struct ft_error *error);

bool ft_filter_match(const struct ft_filter *filter, const struct ft_frame *frame);

/* Accepts NULL. */
void ft_filter_free(struct ft_filter *filter);

#endif
