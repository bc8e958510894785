/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/flow.h"

#define MAX_IPV6_EXTENSIONS 8u

#define ETHERTYPE_VLAN	 0x8100u
#define ETHERTYPE_QINQ	 0x88a8u
#define ETHERTYPE_QINQ_9 0x9100u

#define PROTOCOL_HOP_BY_HOP	0u
#define PROTOCOL_ROUTING	43u
#define PROTOCOL_FRAGMENT	44u
#define PROTOCOL_AUTHENTICATION 51u
#define PROTOCOL_DESTINATION	60u

/* An end of a flow in one word: IPv4 as it is, IPv6 mixed down. Ports are in network order. */
static uint64_t end_of(const struct ft_flow_key *key, const uint8_t *address, unsigned bytes,
		       uint16_t port)
{
	uint64_t halves[2];

	if (bytes == 4)
		return (uint64_t)ft_flow_u32(address) << 16 | port;
	memcpy(halves, address, sizeof(halves));
	return (ft_flow_mix(halves[0] ^ key->words[0], halves[1] ^ key->words[1]) << 16) ^
	       (halves[0] ^ halves[1]) >> 48 ^ port;
}

static void finish(const struct ft_flow_key *key, struct ft_flow *flow)
{
	const uint8_t *from = flow->addresses, *to = flow->addresses + flow->address_bytes;
	uint16_t from_port = flow->ports != NULL ? ft_flow_u16(flow->ports) : 0;
	uint16_t to_port = flow->ports != NULL ? ft_flow_u16(flow->ports + 2) : 0;

	flow->hash =
		ft_flow_hash_ends(key, end_of(key, from, flow->address_bytes, from_port),
				  end_of(key, to, flow->address_bytes, to_port), flow->protocol);
}

static bool read_ipv4(const uint8_t *ip, uint32_t left, struct ft_flow *flow)
{
	uint32_t header_bytes = left > 0 ? (ip[0] & 15u) * 4u : 0;

	if (left < 20 || ip[0] >> 4 != 4 || header_bytes < 20)
		return false;
	flow->addresses = ip + 12;
	flow->address_bytes = 4;
	flow->protocol = ip[9];
	if ((ft_flow_u16(ip + 6) & FT_FLOW_BE16(0x3fff)) == 0 && /* no fragment */
	    ft_flow_has_ports(flow->protocol) && left >= header_bytes + 4)
		flow->ports = ip + header_bytes;
	return true;
}

/* Step over one extension header; false at the end of them, or of the bytes. */
static bool step_over_extension(const uint8_t *ip, uint32_t left, uint32_t *offset,
				uint8_t *protocol, bool *fragment)
{
	const uint8_t *at = ip + *offset;
	uint32_t bytes;

	if (left < *offset + 8)
		return false;
	switch (*protocol) {
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_DESTINATION:
		bytes = at[1] * 8u + 8u;
		break;
	case PROTOCOL_AUTHENTICATION:
		bytes = at[1] * 4u + 8u;
		break;
	case PROTOCOL_FRAGMENT:
		bytes = 8;
		/* An atomic fragment (RFC 6946) is whole. */
		*fragment |= (ft_flow_u16(at + 2) & FT_FLOW_BE16(0xfff9)) != 0;
		break;
	default:
		return false;
	}
	*protocol = at[0];
	*offset += bytes;
	return true;
}

static bool read_ipv6(const uint8_t *ip, uint32_t left, struct ft_flow *flow)
{
	uint32_t offset = 40;
	bool fragment = false;

	if (left < 40 || ip[0] >> 4 != 6)
		return false;
	flow->addresses = ip + 8;
	flow->address_bytes = 16;
	flow->protocol = ip[6];
	for (unsigned i = 0; i < MAX_IPV6_EXTENSIONS && !fragment; i++)
		if (!step_over_extension(ip, left, &offset, &flow->protocol, &fragment))
			break;
	if (!fragment && ft_flow_has_ports(flow->protocol) && left >= offset + 4)
		flow->ports = ip + offset;
	return true;
}

static bool read_ip(uint16_t ether_type, const uint8_t *ip, uint32_t left, struct ft_flow *flow)
{
	if (ether_type == FT_ETHERTYPE_IPV4)
		return read_ipv4(ip, left, flow);
	return ether_type == FT_ETHERTYPE_IPV6 && read_ipv6(ip, left, flow);
}

/* Where what follows the Ethernet header and its tags begins. */
static uint32_t read_ethernet(const uint8_t *frame, uint32_t captured, struct ft_flow *flow)
{
	uint32_t offset = 14;

	flow->ether_type = FT_FLOW_BE16(ft_flow_u16(frame + 12));
	while (captured >= offset + 4 &&
	       (flow->ether_type == ETHERTYPE_VLAN || flow->ether_type == ETHERTYPE_QINQ ||
		flow->ether_type == ETHERTYPE_QINQ_9)) {
		if (flow->vlan_count < FT_FLOW_MAX_VLANS)
			flow->vlans[flow->vlan_count++] =
				FT_FLOW_BE16(ft_flow_u16(frame + offset)) & 0x0fff;
		flow->ether_type = FT_FLOW_BE16(ft_flow_u16(frame + offset + 2));
		offset += 4;
	}
	return offset;
}

static uint64_t hash_hardware_addresses(const struct ft_flow_key *key, const uint8_t *frame,
					uint16_t ether_type)
{
	uint64_t to = 0, from = 0;

	memcpy(&to, frame, 6);
	memcpy(&from, frame + 6, 6);
	return ft_flow_hash_ends(key, from, to, 0xffu) ^
	       ft_flow_mix(ether_type ^ key->words[0], key->words[1]);
}

void ft_flow_read_other(const struct ft_flow_key *key, uint16_t link_type, const uint8_t *frame,
			uint32_t captured, struct ft_flow *flow)
{
	uint32_t offset = 0;

	*flow = (struct ft_flow){0};
	if (link_type == FT_LINKTYPE_ETHERNET && captured >= 14)
		offset = read_ethernet(frame, captured, flow);
	else if (link_type == FT_LINKTYPE_RAW && captured > 0)
		flow->ether_type = frame[0] >> 4 == 6 ? FT_ETHERTYPE_IPV6 : FT_ETHERTYPE_IPV4;
	else
		return;
	if (read_ip(flow->ether_type, frame + offset, captured - offset, flow))
		finish(key, flow);
	else if (link_type == FT_LINKTYPE_ETHERNET)
		flow->hash = hash_hardware_addresses(key, frame, flow->ether_type);
}

uint64_t ft_flow_hash_of(const struct ft_flow_key *key, uint8_t protocol, unsigned address_bytes,
			 const uint8_t *source, uint16_t source_port, const uint8_t *destination,
			 uint16_t destination_port)
{
	uint64_t one = end_of(key, source, address_bytes, FT_FLOW_BE16(source_port));
	uint64_t other = end_of(key, destination, address_bytes, FT_FLOW_BE16(destination_port));

	return ft_flow_hash_ends(key, one, other, protocol);
}
