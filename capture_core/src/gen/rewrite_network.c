/* SPDX-License-Identifier: Apache-2.0 */
/* What rewriting does to fields of IPv4, IPv6, ARP, UDP and TCP. */
#include <netinet/in.h>

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <string.h>

#include "gen/rewrite_steps.h"

#define ARP_BYTES      28u /* for Ethernet and IPv4 (RFC 826) */
#define ARP_SENDER     14u
#define ARP_TARGET     24u
#define MAX_ADDRESS    16u
#define TCP_SEQUENCE   4u
#define TCP_ACKNOWLEDG 8u

/* The addresses of a frame, source and destination. */
struct addresses {
	unsigned bytes; /* 4 or 16 */
	uint32_t at[2];
	unsigned covers;
};

/* Change a byte of the IP header as the 16-bit word that it is in. */
static void put_byte(struct ft_rewrite_view *view, uint32_t offset, uint8_t value)
{
	uint32_t at = view->network + (offset & ~1u);
	uint8_t word[2] = {view->data[at], view->data[at + 1]};

	word[offset & 1] = value;
	ft_rewrite_put(view, at, word, sizeof(word), FT_COVER_NETWORK);
}

static uint8_t new_ttl(const struct ft_rewrite *rules, uint8_t ttl)
{
	unsigned value = rules->ttl_value;

	switch (rules->ttl) {
	case FT_TTL_ADD:
		return ttl + value > 255 ? 255 : (uint8_t)(ttl + value);
	case FT_TTL_SUBTRACT:
		return ttl <= value ? 1 : (uint8_t)(ttl - value);
	case FT_TTL_SET:
		return (uint8_t)value;
	default:
		return ttl;
	}
}

static void put_port(const struct ft_rewrite *rules, struct ft_rewrite_view *view, uint32_t at)
{
	uint16_t port = ft_rewrite_get16(view->data + at);
	uint8_t value[2];

	for (unsigned i = 0; i < rules->ports_count; i++) {
		if (port < rules->ports[i].first || port > rules->ports[i].last)
			continue;
		ft_rewrite_set16(value, rules->ports[i].to);
		ft_rewrite_put(view, at, value, sizeof(value), FT_COVER_TRANSPORT);
		return;
	}
}

static void put_sequence(const struct ft_rewrite *rules, struct ft_rewrite_view *view,
			 uint32_t offset)
{
	uint32_t at = view->transport + offset;
	uint8_t value[4];

	ft_rewrite_set32(value, ft_rewrite_get32(view->data + at) + rules->sequence_offset);
	ft_rewrite_put(view, at, value, sizeof(value), FT_COVER_TRANSPORT);
}

static void rewrite_tcp_sequence(const struct ft_rewrite *rules, struct ft_rewrite_view *view)
{
	if (view->bytes - view->transport < TCP_ACKNOWLEDG + 4)
		return;
	put_sequence(rules, view, TCP_SEQUENCE);
	/* Nothing is acknowledged yet. */
	if (ft_rewrite_get32(view->data + view->transport + TCP_ACKNOWLEDG) != 0)
		put_sequence(rules, view, TCP_ACKNOWLEDG);
}

void ft_rewrite_fields(const struct ft_rewrite *rules, struct ft_rewrite_view *view)
{
	uint32_t ttl_at = view->network_type == ETH_P_IP ? 8 : 7;

	if (view->network == 0 || view->network_type == ETH_P_ARP)
		return;
	if (rules->tos >= 0 && view->network_type == ETH_P_IP)
		put_byte(view, 1, (uint8_t)rules->tos);
	if (rules->ttl != FT_TTL_KEEP)
		put_byte(view, ttl_at, new_ttl(rules, view->data[view->network + ttl_at]));
	if (view->transport == 0)
		return;
	if (view->protocol == IPPROTO_TCP || view->protocol == IPPROTO_UDP) {
		put_port(rules, view, view->transport);
		put_port(rules, view, view->transport + 2);
	}
	if (rules->sequenced && view->protocol == IPPROTO_TCP)
		rewrite_tcp_sequence(rules, view);
}

static bool find_addresses(const struct ft_rewrite_view *view, struct addresses *addresses)
{
	const uint8_t *arp = view->data + view->network;

	if (view->network == 0)
		return false;
	switch (view->network_type) {
	case ETH_P_IP:
		*addresses = (struct addresses){
			4,
			{view->network + 12, view->network + 16},
			FT_COVER_NETWORK | FT_COVER_TRANSPORT,
		};
		return true;
	case ETH_P_IPV6:
		*addresses = (struct addresses){
			16,
			{view->network + 8, view->network + 24},
			FT_COVER_TRANSPORT,
		};
		return true;
	default: /* a request or a reply for IPv4 */
		*addresses = (struct addresses){
			4,
			{view->network + ARP_SENDER, view->network + ARP_TARGET},
			FT_COVER_NONE,
		};
		return view->bytes - view->network >= ARP_BYTES &&
		       ft_rewrite_get16(arp + 2) == ETH_P_IP && arp[4] == ETH_ALEN && arp[5] == 4 &&
		       (arp[7] == ARPOP_REQUEST || arp[7] == ARPOP_REPLY);
	}
}

static bool is_ip_multicast(const uint8_t *address, unsigned bytes)
{
	return bytes == MAX_ADDRESS ? address[0] == 0xff : address[0] >> 4 == 14;
}

/* Multicast or the limited broadcast; networks' own broadcast addresses are not known. */
static bool is_ip_group(const uint8_t *address, unsigned bytes)
{
	return is_ip_multicast(address, bytes) ||
	       (bytes == 4 && ft_rewrite_get32(address) == 0xffffffff);
}

/* The byte `i` of the mask of a prefix. */
static uint8_t mask_byte(unsigned bits, unsigned i)
{
	if (bits >= (i + 1) * 8)
		return 0xff;
	return bits <= i * 8 ? 0 : (uint8_t)(0xff00u >> (bits - i * 8));
}

static bool is_within(const struct ft_rewrite_network *map, const uint8_t *address, unsigned bytes)
{
	if (map->address_bytes != bytes)
		return false;
	for (unsigned i = 0; i < bytes; i++)
		if (((address[i] ^ map->from[i]) & mask_byte(map->from_bits, i)) != 0)
			return false;
	return true;
}

/* By the first network that the address is in. */
static void map_address(const struct ft_rewrite *rules, const struct ft_rewrite_networks *networks,
			uint8_t *address, unsigned bytes)
{
	if (rules->skip_groups && is_ip_group(address, bytes))
		return;
	for (unsigned n = 0; n < networks->count; n++) {
		const struct ft_rewrite_network *map = &networks->map[n];

		if (!is_within(map, address, bytes))
			continue;
		for (unsigned i = 0; i < bytes; i++) {
			uint8_t mask = mask_byte(map->to_bits, i);

			address[i] = (uint8_t)((map->to[i] & mask) | (address[i] & ~mask));
		}
		return;
	}
}

/* Multicast stays multicast, and nothing else becomes it. */
static void keep_group(uint8_t *address, unsigned bytes, bool was_group)
{
	bool is_ipv4 = bytes == 4;

	if (was_group)
		address[0] = is_ipv4 ? 0xe0 | (address[0] & 0x0f) : 0xff;
	else if (is_ip_multicast(address, bytes))
		address[0] = is_ipv4 ? address[0] & 0x7f : 0xaa;
}

static void draw_address(const struct ft_rewrite *rules, uint8_t *address, unsigned bytes)
{
	bool was_group = is_ip_multicast(address, bytes);
	uint32_t mask, word;

	if (!rules->seeded || (rules->skip_groups && is_ip_group(address, bytes)))
		return;
	memcpy(&mask, rules->address_mask, sizeof(mask));
	for (unsigned i = 0; i < bytes; i += sizeof(word)) {
		memcpy(&word, address + i, sizeof(word));
		word = (word ^ mask) - (word & mask);
		memcpy(address + i, &word, sizeof(word));
	}
	keep_group(address, bytes, was_group);
}

/*
 * The higher address goes up by the number of the loop, the lower one down: both directions of a
 * flow stay one flow. The last 32 bits count.
 */
static void part_loops(uint8_t *source, uint8_t *destination, unsigned bytes, uint64_t loop)
{
	unsigned last = bytes - 4;
	int order = memcmp(source + last, destination + last, 4);
	uint8_t *higher, *lower;

	if (order == 0)
		order = memcmp(source, destination, last);
	if (order == 0)
		return;
	higher = (order > 0 ? source : destination) + last;
	lower = (order > 0 ? destination : source) + last;
	ft_rewrite_set32(higher, ft_rewrite_get32(higher) + (uint32_t)loop);
	ft_rewrite_set32(lower, ft_rewrite_get32(lower) - (uint32_t)loop);
}

bool ft_rewrite_addresses(const struct ft_rewrite *rules, enum ft_rewrite_end end, uint64_t loop,
			  struct ft_rewrite_view *view)
{
	struct addresses addresses;
	uint8_t value[2][MAX_ADDRESS];
	bool moved;

	if (!find_addresses(view, &addresses))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		memcpy(value[i], view->data + addresses.at[i], addresses.bytes);
		map_address(rules, i == 0 ? &rules->sources : &rules->destinations, value[i],
			    addresses.bytes);
		map_address(rules, &rules->both, value[i], addresses.bytes);
		if (rules->has_endpoints)
			map_address(rules, &rules->endpoints[end ^ i], value[i], addresses.bytes);
		draw_address(rules, value[i], addresses.bytes);
	}
	moved = memcmp(value[1], view->data + addresses.at[1], addresses.bytes) != 0;
	if (rules->unique && addresses.covers != FT_COVER_NONE)
		part_loops(value[0], value[1], addresses.bytes, loop);
	for (unsigned i = 0; i < 2; i++)
		ft_rewrite_put(view, addresses.at[i], value[i], addresses.bytes, addresses.covers);
	return moved;
}
