/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of ft_rewrite_frame, each in a file of its own. */
#ifndef FT_GEN_REWRITE_STEPS_H
#define FT_GEN_REWRITE_STEPS_H

#include "gen/rewrite_rules.h"
#include "gen/rewrite_view.h"

/* Ends of a conversation: whose frame it is. */
enum ft_rewrite_end { FT_END_CLIENT = 0, FT_END_SERVER = 1 };

/* MAC addresses. Returns whether the destination is another now. */
bool ft_rewrite_macs(const struct ft_rewrite *rules, enum ft_rewrite_end end,
		     struct ft_rewrite_view *view);

/* Add or delete a tag; the view is to be made anew. */
void ft_rewrite_tag(const struct ft_rewrite *rules, const struct ft_rewrite_view *view,
		    struct ft_rewrite_frame *frame);

/* Type of service, time to live, ports, sequence numbers. */
void ft_rewrite_fields(const struct ft_rewrite *rules, struct ft_rewrite_view *view);

/* Addresses of IPv4, IPv6 and ARP. Returns whether the destination is another now. */
bool ft_rewrite_addresses(const struct ft_rewrite *rules, enum ft_rewrite_end end, uint64_t loop,
			  struct ft_rewrite_view *view);

/*
 * Pad, cut or leave out (false) a frame that was not captured whole; cut one that is longer than
 * the MTU. Sets `changed` where its payload is another now.
 */
bool ft_rewrite_length(const struct ft_rewrite *rules, struct ft_rewrite_view *view,
		       struct ft_rewrite_frame *frame, bool *changed);

/* Make the IP header tell the length that is there. Returns whether it did not. */
bool ft_rewrite_header_length(struct ft_rewrite_view *view);

/*
 * Compute the checksums of a datagram anew. One that was cut short, or has padding behind it,
 * keeps them, and so do those over fragments.
 */
void ft_rewrite_checksums(struct ft_rewrite_view *view);

#endif
