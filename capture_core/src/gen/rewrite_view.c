/* SPDX-License-Identifier: Apache-2.0 */
/* Untrusted bytes: every header is looked at only once it is known to lie in the frame. */
#include "gen/rewrite_view.h"

#include <netinet/in.h>

#include <linux/if_ether.h>
#include <string.h>

#include "gen/checksum.h"

#define MAC_BYTES	  12u
#define TAG_BYTES	  4u
#define LABEL_BYTES	  4u
#define CONTROL_BYTES	  4u /* RFC 4385: the control word of a pseudowire */
#define MIN_ETHERTYPE	  0x0600u
#define IPV4_BYTES	  20u
#define IPV6_BYTES	  40u
#define MAX_IPV6_HEADERS  8u
#define FRAGMENT_OFFSET	  0x1fffu
#define MORE_FRAGMENTS	  0x2000u
#define IPV6_FRAGMENT_OFF 0xfff8u
#define IPV6_MORE	  1u

/* Whether `bytes` bytes at `at` are in the frame. */
static bool has(const struct ft_rewrite_view *view, uint32_t at, uint32_t bytes)
{
	return at <= view->bytes && view->bytes - at >= bytes;
}

static bool is_tag(uint16_t type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

/*
 * Step over labels from `at` on. What follows tells by its first four bits (RFC 4928): an IP
 * version, or 0 for a control word with Ethernet behind it. Returns the EtherType of what is at
 * `*at` then: ETH_P_TEB for Ethernet, 0 for anything else.
 */
static uint16_t step_over_labels(const struct ft_rewrite_view *view, uint32_t *at)
{
	bool last = false;

	while (!last) {
		if (!has(view, *at, LABEL_BYTES + 1))
			return 0;
		last = (view->data[*at + 2] & 1) != 0;
		*at += LABEL_BYTES;
	}
	switch (view->data[*at] >> 4) {
	case 4:
		return ETH_P_IP;
	case 6:
		return ETH_P_IPV6;
	case 0:
		*at += CONTROL_BYTES;
		return has(view, *at, ETH_HLEN) && ft_rewrite_get16(view->data + *at + MAC_BYTES) >=
							   MIN_ETHERTYPE
			       ? ETH_P_TEB
			       : 0;
	default:
		return 0;
	}
}

/* Find the innermost Ethernet header and what it carries. */
static bool find_network(struct ft_rewrite_view *view)
{
	uint32_t at = 0;
	uint16_t type = ETH_P_TEB;

	while (type == ETH_P_TEB) {
		if (!has(view, at, ETH_HLEN))
			return false;
		view->link = at;
		type = ft_rewrite_get16(view->data + at + MAC_BYTES);
		at += ETH_HLEN;
		while (is_tag(type) && has(view, at, TAG_BYTES)) {
			type = ft_rewrite_get16(view->data + at + 2);
			at += TAG_BYTES;
		}
		if (type == ETH_P_MPLS_UC || type == ETH_P_MPLS_MC)
			type = step_over_labels(view, &at);
		else if (type == ETH_P_TEB) /* only what labels carry is looked into */
			type = 0;
	}
	view->network_type = type;
	view->network = at;
	return ft_rewrite_get16(view->data + view->link + MAC_BYTES) >= MIN_ETHERTYPE;
}

static void read_ipv4(struct ft_rewrite_view *view)
{
	const uint8_t *ip = view->data + view->network;
	uint32_t header_bytes;
	uint16_t fragment;

	if (!has(view, view->network, IPV4_BYTES) || ip[0] >> 4 != 4 ||
	    (header_bytes = (ip[0] & 15u) * 4u) < IPV4_BYTES ||
	    !has(view, view->network, header_bytes)) {
		view->network = 0;
		return;
	}
	fragment = ft_rewrite_get16(ip + 6);
	view->is_fragment = (fragment & (FRAGMENT_OFFSET | MORE_FRAGMENTS)) != 0;
	view->protocol = ip[9];
	if ((fragment & FRAGMENT_OFFSET) == 0)
		view->transport = view->network + header_bytes;
}

/* Step over one extension header; false at the end of them, or of the bytes. */
static bool step_over_extension(struct ft_rewrite_view *view, uint32_t *at)
{
	const uint8_t *header = view->data + *at;
	uint16_t fragment;

	if (!has(view, *at, 8))
		return false;
	switch (view->protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		*at += 8 + header[1] * 8u;
		break;
	case IPPROTO_AH:
		*at += 8 + header[1] * 4u;
		break;
	case IPPROTO_FRAGMENT:
		fragment = ft_rewrite_get16(header + 2);
		view->is_fragment = (fragment & (IPV6_FRAGMENT_OFF | IPV6_MORE)) != 0;
		if ((fragment & IPV6_FRAGMENT_OFF) != 0)
			return false;
		*at += 8;
		break;
	default:
		return false;
	}
	view->protocol = header[0];
	return true;
}

static bool is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_AH ||
	       protocol == IPPROTO_FRAGMENT;
}

static void read_ipv6(struct ft_rewrite_view *view)
{
	uint32_t at = view->network + IPV6_BYTES;

	if (!has(view, view->network, IPV6_BYTES) || view->data[view->network] >> 4 != 6) {
		view->network = 0;
		return;
	}
	view->protocol = view->data[view->network + 6];
	for (unsigned i = 0; i < MAX_IPV6_HEADERS && step_over_extension(view, &at);)
		i++;
	if (!is_extension(view->protocol))
		view->transport = at;
}

bool ft_rewrite_view(uint8_t *data, uint32_t bytes, struct ft_rewrite_view *view)
{
	*view = (struct ft_rewrite_view){.data = data, .bytes = bytes};
	if (!find_network(view))
		return false;
	if (view->network_type == ETH_P_IP)
		read_ipv4(view);
	else if (view->network_type == ETH_P_IPV6)
		read_ipv6(view);
	else if (view->network_type != ETH_P_ARP)
		view->network = 0;
	/* The shortest of the headers that are looked into is a UDP header. */
	if (!has(view, view->transport, 8))
		view->transport = 0;
	return true;
}

uint32_t ft_rewrite_checksum_at(const struct ft_rewrite_view *view)
{
	uint32_t offset;

	if (view->transport == 0)
		return 0;
	switch (view->protocol) {
	case IPPROTO_TCP:
		offset = 16;
		break;
	case IPPROTO_UDP:
		offset = 6;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		offset = 2;
		break;
	default:
		return 0;
	}
	return has(view, view->transport + offset, 2) ? view->transport + offset : 0;
}

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). Sums are in the byte order of the machine. */
static void patch(uint8_t *checksum, uint64_t old_sum, uint64_t new_sum)
{
	uint16_t value;

	memcpy(&value, checksum, sizeof(value));
	value = (uint16_t)~ft_checksum_fold(
		(uint16_t)~value + (uint64_t)(uint16_t)~ft_checksum_fold(old_sum) + new_sum);
	memcpy(checksum, &value, sizeof(value));
}

/* Whether addresses are in the sum of this protocol's checksum, by its pseudo-header. */
static bool has_pseudo_header(const struct ft_rewrite_view *view)
{
	return view->protocol != IPPROTO_ICMP;
}

void ft_rewrite_put(struct ft_rewrite_view *view, uint32_t at, const uint8_t *value, size_t bytes,
		    unsigned covers)
{
	uint64_t old_sum = ft_checksum_add(0, view->data + at, bytes);
	uint64_t new_sum = ft_checksum_add(0, value, bytes);
	uint32_t checksum = ft_rewrite_checksum_at(view);

	memcpy(view->data + at, value, bytes);
	if ((covers & FT_COVER_NETWORK) != 0 && view->network_type == ETH_P_IP)
		patch(view->data + view->network + 10, old_sum, new_sum);
	if ((covers & FT_COVER_TRANSPORT) == 0 || checksum == 0 || !has_pseudo_header(view))
		return;
	if (view->protocol == IPPROTO_UDP) {
		/* 0 says that there is no checksum (RFC 768). */
		if (ft_rewrite_get16(view->data + checksum) == 0)
			return;
		patch(view->data + checksum, old_sum, new_sum);
		if (ft_rewrite_get16(view->data + checksum) == 0)
			ft_rewrite_set16(view->data + checksum, 0xffff);
		return;
	}
	patch(view->data + checksum, old_sum, new_sum);
}
