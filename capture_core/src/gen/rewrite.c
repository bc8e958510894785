/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The course of rewriting a frame. It runs where frames are read, on the main thread before a run
 * or on the reading thread, never where they are sent.
 */
#include "ft/rewrite.h"

#include <netinet/in.h>

#include <linux/if_ether.h>
#include <string.h>

#include "gen/rewrite_steps.h"

#define FCS_BYTES 4u

bool ft_rewrite_varies(const struct ft_rewrite *rules)
{
	return rules != NULL && rules->unique;
}

static enum ft_rewrite_end end_of(const struct ft_rewrite *rules,
				  const struct ft_rewrite_frame *frame)
{
	const struct ft_frame filtered = {
		.data = frame->data,
		.captured_bytes = frame->captured_bytes,
		.length_bytes = frame->length_bytes,
	};

	if (rules->client == NULL || ft_filter_match(rules->client, &filtered))
		return FT_END_CLIENT;
	return FT_END_SERVER;
}

/* A group's MAC follows from its address (RFC 1112 6.4, RFC 2464 7). */
static void follow_group(struct ft_rewrite_view *view)
{
	uint8_t *mac = view->data + view->link;
	const uint8_t *ip = view->data + view->network;

	if (view->network_type == ETH_P_IP && ip[16] >> 4 == 14) {
		const uint8_t group[ETH_ALEN] = {1, 0, 0x5e, ip[17] & 0x7f, ip[18], ip[19]};

		memcpy(mac, group, sizeof(group));
	} else if (view->network_type == ETH_P_IPV6 && ip[24] == 0xff) {
		const uint8_t group[ETH_ALEN] = {0x33, 0x33, ip[36], ip[37], ip[38], ip[39]};

		memcpy(mac, group, sizeof(group));
	}
}

static void cut_fcs(struct ft_rewrite_frame *frame)
{
	if (frame->length_bytes <= FCS_BYTES)
		return;
	frame->length_bytes -= FCS_BYTES;
	if (frame->captured_bytes > frame->length_bytes)
		frame->captured_bytes = frame->length_bytes;
}

bool ft_rewrite_frame(const struct ft_rewrite *rules, uint64_t loop, struct ft_rewrite_frame *frame)
{
	bool moved, changed = rules->fix_checksums;
	enum ft_rewrite_end end = end_of(rules, frame);
	struct ft_rewrite_view view;

	if (rules->cut_fcs)
		cut_fcs(frame);
	if (!ft_rewrite_view(frame->data, frame->captured_bytes, &view))
		return true;
	if (rules->vlan != FT_VLAN_KEEP) {
		ft_rewrite_tag(rules, &view, frame);
		if (!ft_rewrite_view(frame->data, frame->captured_bytes, &view))
			return true;
	}
	moved = ft_rewrite_macs(rules, end, &view);
	ft_rewrite_fields(rules, &view);
	if (!ft_rewrite_length(rules, &view, frame, &changed))
		return false;
	moved |= ft_rewrite_addresses(rules, end, loop, &view);
	if (moved && view.network != 0)
		follow_group(&view);
	if (rules->fix_header_length)
		changed |= ft_rewrite_header_length(&view);
	if (changed)
		ft_rewrite_checksums(&view);
	return true;
}
