/* SPDX-License-Identifier: Apache-2.0 */
/* What rewriting does to the lengths of frames, and checksums computed anew. */
#include <netinet/in.h>

#include <linux/if_ether.h>
#include <string.h>

#include "gen/checksum.h"
#include "gen/rewrite_steps.h"

#define IPV6_BYTES 40u

/* Make the IP header tell a datagram of `bytes` bytes, header included. */
static bool set_length(struct ft_rewrite_view *view, uint32_t bytes)
{
	uint8_t value[2];
	uint32_t at;

	if (view->network_type == ETH_P_IP) {
		at = view->network + 2;
	} else if (view->network_type == ETH_P_IPV6 && bytes >= IPV6_BYTES) {
		at = view->network + 4;
		bytes -= IPV6_BYTES;
	} else {
		return false;
	}
	if (bytes > UINT16_MAX || ft_rewrite_get16(view->data + at) == bytes)
		return false;
	ft_rewrite_set16(value, bytes);
	ft_rewrite_put(view, at, value, sizeof(value), FT_COVER_NETWORK);
	return true;
}

bool ft_rewrite_header_length(struct ft_rewrite_view *view)
{
	return view->network != 0 && set_length(view, view->bytes - view->network);
}

static void pad(struct ft_rewrite_frame *frame)
{
	uint32_t whole =
		frame->length_bytes < frame->room_bytes ? frame->length_bytes : frame->room_bytes;

	memset(frame->data + frame->captured_bytes, 0, whole - frame->captured_bytes);
	frame->captured_bytes = whole;
}

/* Cut a datagram to the MTU; what is no datagram is measured behind its Ethernet header. */
static bool cut_to_mtu(const struct ft_rewrite *rules, struct ft_rewrite_view *view,
		       struct ft_rewrite_frame *frame)
{
	uint32_t header = view->network != 0 ? view->network : view->link + ETH_HLEN;
	uint32_t most = header + (uint32_t)rules->mtu_bytes;

	if (frame->length_bytes <= most)
		return false;
	frame->length_bytes = most;
	if (frame->captured_bytes > most)
		frame->captured_bytes = most;
	view->bytes = frame->captured_bytes;
	if (view->network != 0)
		set_length(view, (uint32_t)rules->mtu_bytes);
	return true;
}

bool ft_rewrite_length(const struct ft_rewrite *rules, struct ft_rewrite_view *view,
		       struct ft_rewrite_frame *frame, bool *changed)
{
	if (frame->captured_bytes < frame->length_bytes) {
		switch (rules->length) {
		case FT_LENGTH_DELETE:
			return false;
		case FT_LENGTH_PAD:
			pad(frame);
			view->bytes = frame->captured_bytes;
			*changed = true;
			break;
		case FT_LENGTH_CUT:
			frame->length_bytes = frame->captured_bytes;
			*changed |= ft_rewrite_header_length(view);
			break;
		default:
			break;
		}
	}
	if (rules->cut_to_mtu)
		*changed |= cut_to_mtu(rules, view, frame);
	return true;
}

/* Whether the frame ends where its datagram does, by the header of that. */
static bool is_exact(const struct ft_rewrite_view *view)
{
	const uint8_t *ip = view->data + view->network;
	uint32_t bytes = view->network_type == ETH_P_IP ? ft_rewrite_get16(ip + 2)
							: ft_rewrite_get16(ip + 4) + IPV6_BYTES;

	return view->bytes - view->network == bytes;
}

static void put_checksum(uint8_t *at, uint64_t sum)
{
	uint16_t value = (uint16_t)~ft_checksum_fold(sum);

	memcpy(at, &value, sizeof(value));
}

/* Of the pseudo-header: addresses, length and protocol (RFC 9293 3.1, RFC 8200 8.1). */
static uint64_t pseudo_sum(const struct ft_rewrite_view *view, uint32_t bytes)
{
	const uint8_t *ip = view->data + view->network;
	bool is_ipv4 = view->network_type == ETH_P_IP;
	uint8_t tail[8] = {0};

	if (view->protocol == IPPROTO_ICMP)
		return 0;
	ft_rewrite_set32(tail, bytes);
	tail[7] = view->protocol;
	return ft_checksum_add(ft_checksum_add(0, tail, sizeof(tail)), ip + (is_ipv4 ? 12 : 8),
			       is_ipv4 ? 8 : 32);
}

static void fix_transport(struct ft_rewrite_view *view)
{
	uint32_t at = ft_rewrite_checksum_at(view), bytes;

	if (at == 0 || view->is_fragment)
		return;
	if (view->protocol == IPPROTO_UDP && ft_rewrite_get16(view->data + at) == 0)
		return;
	bytes = view->bytes - view->transport;
	ft_rewrite_set16(view->data + at, 0);
	put_checksum(view->data + at,
		     ft_checksum_add(pseudo_sum(view, bytes), view->data + view->transport, bytes));
	if (view->protocol == IPPROTO_UDP && ft_rewrite_get16(view->data + at) == 0)
		ft_rewrite_set16(view->data + at, 0xffff);
}

void ft_rewrite_checksums(struct ft_rewrite_view *view)
{
	uint8_t *ip = view->data + view->network;

	if (view->network == 0 || view->network_type == ETH_P_ARP || !is_exact(view))
		return;
	fix_transport(view);
	if (view->network_type != ETH_P_IP)
		return;
	ft_rewrite_set16(ip + 10, 0);
	put_checksum(ip + 10, ft_checksum_add(0, ip, (ip[0] & 15u) * 4u));
}
