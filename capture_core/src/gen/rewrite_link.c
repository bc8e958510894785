/* SPDX-License-Identifier: Apache-2.0 */
/* What rewriting does to MAC addresses and VLAN tags. */
#include <linux/if_ether.h>
#include <string.h>

#include "gen/rewrite_steps.h"

#define MAC_BYTES 12u
#define TAG_BYTES 4u

static bool is_group(const uint8_t *mac)
{
	return (mac[0] & 1) != 0;
}

static void set_mac(const struct ft_rewrite *rules, const struct ft_rewrite_macs *macs,
		    enum ft_rewrite_end end, uint8_t *mac)
{
	if (macs->count == 0 || ((rules->skip_mac_groups || rules->skip_groups) && is_group(mac)))
		return;
	memcpy(mac, macs->mac[macs->count == 1 ? 0 : end], ETH_ALEN);
}

/* Each substitution is tried in its turn, on what those before it made. */
static void substitute(const struct ft_rewrite *rules, uint8_t *mac)
{
	for (unsigned i = 0; i < rules->substitute_count; i++)
		if (memcmp(mac, rules->substitutes[i].from, ETH_ALEN) == 0)
			memcpy(mac, rules->substitutes[i].to, ETH_ALEN);
}

static void draw_mac(const struct ft_rewrite *rules, uint8_t *mac)
{
	bool keep_group = rules->mac_keep_bytes > 0;

	if (!rules->mac_seeded || is_group(mac))
		return;
	for (int i = rules->mac_keep_bytes; i < ETH_ALEN; i++)
		mac[i] = (uint8_t)((mac[i] ^ rules->mac_mask[i]) - (mac[i] & rules->mac_mask[i]));
	if (!keep_group)
		mac[0] &= 0xfe;
}

bool ft_rewrite_macs(const struct ft_rewrite *rules, enum ft_rewrite_end end,
		     struct ft_rewrite_view *view)
{
	uint8_t *destination = view->data + view->link, *source = destination + ETH_ALEN;
	uint8_t before[ETH_ALEN];

	memcpy(before, destination, ETH_ALEN);
	set_mac(rules, &rules->source_mac, end, source);
	set_mac(rules, &rules->destination_mac, end, destination);
	substitute(rules, source);
	substitute(rules, destination);
	draw_mac(rules, source);
	draw_mac(rules, destination);
	return memcmp(before, destination, ETH_ALEN) != 0;
}

static void shift(struct ft_rewrite_frame *frame, uint32_t from, uint32_t to)
{
	memmove(frame->data + to, frame->data + from, frame->captured_bytes - from);
	frame->captured_bytes += to - from;
	frame->length_bytes += to - from;
}

void ft_rewrite_tag(const struct ft_rewrite *rules, const struct ft_rewrite_view *view,
		    struct ft_rewrite_frame *frame)
{
	uint32_t at = view->link + MAC_BYTES;
	uint16_t type = ft_rewrite_get16(frame->data + at);

	if (rules->vlan == FT_VLAN_DELETE && (type == ETH_P_8021Q || type == ETH_P_8021AD) &&
	    frame->captured_bytes - at >= 2 * TAG_BYTES) {
		shift(frame, at + TAG_BYTES, at);
		return;
	}
	if (rules->vlan != FT_VLAN_ADD || frame->room_bytes - frame->captured_bytes < TAG_BYTES)
		return;
	shift(frame, at, at + TAG_BYTES);
	ft_rewrite_set16(frame->data + at, rules->vlan_type);
	ft_rewrite_set16(frame->data + at + 2, (uint32_t)(rules->vlan_priority << 13 |
							  rules->vlan_cfi << 12 | rules->vlan_id));
}
