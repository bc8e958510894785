/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a frame says of its flow, and a hash of it that is the same for both directions.
 * Run by the hot thread for every frame: a few nanoseconds for an untagged IPv4 frame.
 *
 * The hash covers protocol, addresses and ports. VLAN tags (802.1Q, 802.1ad and the older 0x9100)
 * are stepped over and not hashed, since the two directions of a tap may be tagged differently.
 * Fragments are hashed by addresses and protocol, ports 0: only the first one has ports. Frames
 * that are not IP are hashed by their two Ethernet addresses and EtherType.
 *
 * It is keyed, so that nobody who does not know the key can make frames that collide. Frames are
 * untrusted: nothing beyond `captured` bytes is read.
 */
#ifndef FT_PIPE_FLOW_H
#define FT_PIPE_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FT_LINKTYPE_ETHERNET 1u
#define FT_LINKTYPE_RAW	     101u

#define FT_ETHERTYPE_IPV4 0x0800u
#define FT_ETHERTYPE_IPV6 0x86ddu

#define FT_FLOW_MAX_VLANS 2u

struct ft_flow_key {
	uint64_t words[2];
};

struct ft_flow {
	uint64_t hash;
	const uint8_t *addresses; /* source, then destination; NULL: not IP */
	const uint8_t *ports;	  /* source, then destination, big endian; NULL: none */
	uint16_t ether_type;
	uint8_t address_bytes; /* 4 or 16 */
	uint8_t protocol;
	uint8_t vlan_count;
	uint16_t vlans[FT_FLOW_MAX_VLANS]; /* identifiers, outermost first */
};

/* The slow part: everything that is not plain IPv4 in an untagged Ethernet frame. */
void ft_flow_read_other(const struct ft_flow_key *key, uint16_t link_type, const uint8_t *frame,
			uint32_t captured, struct ft_flow *flow);

/* The hash that a frame from `source` to `destination` has; ports in host order, 0 without. */
uint64_t ft_flow_hash_of(const struct ft_flow_key *key, uint8_t protocol, unsigned address_bytes,
			 const uint8_t *source, uint16_t source_port, const uint8_t *destination,
			 uint16_t destination_port);

/* Folded product of two words: the mixing step of wyhash (public domain). */
static inline uint64_t ft_flow_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t ft_flow_hash_ends(const struct ft_flow_key *key, uint64_t one,
					 uint64_t other, uint64_t kind)
{
	uint64_t low = one < other ? one : other, high = one < other ? other : one;
	uint64_t hash = ft_flow_mix(low ^ key->words[0] ^ kind << 56, high ^ key->words[1]);

	return ft_flow_mix(hash ^ key->words[0], 0x9e3779b97f4a7c15u ^ key->words[1]);
}

/* For filters over addresses. */
static inline uint64_t ft_flow_hash_address(const struct ft_flow_key *key, const uint8_t *address,
					    unsigned bytes)
{
	uint64_t words[2] = {0, bytes};

	if (bytes == 4)
		memcpy(words, address, 4);
	else
		memcpy(words, address, 16);
	return ft_flow_mix(words[0] ^ key->words[0], words[1] ^ key->words[1]);
}

static inline bool ft_flow_has_ports(uint8_t protocol)
{
	return protocol == 6 || protocol == 17 || protocol == 132; /* TCP, UDP, SCTP */
}

static inline uint32_t ft_flow_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint16_t ft_flow_u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

#define FT_FLOW_BE16(value) __builtin_bswap16(value)

static inline void ft_flow_read(const struct ft_flow_key *key, uint16_t link_type,
				const uint8_t *frame, uint32_t captured, struct ft_flow *flow)
{
	const uint8_t *ip = frame + 14;
	uint64_t one, other;

	/* IPv4 without options, not a fragment, with ports. */
	if (__builtin_expect(link_type != FT_LINKTYPE_ETHERNET || captured < 38 ||
				     ft_flow_u16(frame + 12) != FT_FLOW_BE16(FT_ETHERTYPE_IPV4) ||
				     ip[0] != 0x45 ||
				     (ft_flow_u16(ip + 6) & FT_FLOW_BE16(0x3fff)) != 0 ||
				     !ft_flow_has_ports(ip[9]),
			     0)) {
		ft_flow_read_other(key, link_type, frame, captured, flow);
		return;
	}
	flow->addresses = ip + 12;
	flow->ports = ip + 20;
	flow->ether_type = FT_ETHERTYPE_IPV4;
	flow->address_bytes = 4;
	flow->protocol = ip[9];
	flow->vlan_count = 0;
	one = (uint64_t)ft_flow_u32(ip + 12) << 16 | ft_flow_u16(ip + 20);
	other = (uint64_t)ft_flow_u32(ip + 16) << 16 | ft_flow_u16(ip + 22);
	flow->hash = ft_flow_hash_ends(key, one, other, flow->protocol);
}

#endif
