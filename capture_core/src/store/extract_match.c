/* SPDX-License-Identifier: Apache-2.0 */
#include "store/extract_match.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ft/units.h"

const struct ft_flow_key ft_match_key = {{0x8bb84b93962eacc9u, 0x4b33a62ed433d4a3u}};

static bool parse_protocol(const char *text, uint8_t *protocol)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"icmp6", 58}, {"sctp", 132}};
	struct ft_error ignored;
	uint64_t number;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i].name) == 0) {
			*protocol = names[i].number;
			return true;
		}
	if (ft_parse_number(text, 0, 255, &number, &ignored) != 0)
		return false;
	*protocol = (uint8_t)number;
	return true;
}

/* "192.0.2.1:80", "[2001:db8::1]:80", or either without a port: the port is 0 then. */
static bool parse_end(char *text, unsigned *bytes, uint8_t *address, uint16_t *port)
{
	char *colon = strrchr(text, ':');
	struct ft_error ignored;
	uint64_t number = 0;

	if (text[0] == '[') {
		char *bracket = strchr(text, ']');

		if (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':'))
			return false;
		colon = bracket[1] == ':' ? bracket + 1 : NULL;
		*bracket = '\0';
		text++;
		*bytes = 16;
	} else {
		*bytes = 4;
	}
	if (colon != NULL) {
		*colon = '\0';
		if (ft_parse_number(colon + 1, 0, UINT16_MAX, &number, &ignored) != 0)
			return false;
	}
	*port = (uint16_t)number;
	return inet_pton(*bytes == 4 ? AF_INET : AF_INET6, text, address) == 1;
}

int ft_flow_parse(const char *text, struct ft_flow_wanted *flow, struct ft_error *error)
{
	char copy[256], *rest = copy;
	const char *one, *other;
	unsigned bytes[2];
	uint8_t ends[2][16] = {{0}};
	bool sound;

	snprintf(copy, sizeof(copy), "%s", text);
	one = strsep(&rest, ",");
	other = rest != NULL ? strsep(&rest, ",") : NULL;
	*flow = (struct ft_flow_wanted){0};
	sound = rest != NULL && parse_protocol(rest, &flow->protocol) &&
		parse_end((char *)one, &bytes[0], ends[0], &flow->ports[0]) &&
		parse_end((char *)other, &bytes[1], ends[1], &flow->ports[1]) &&
		bytes[0] == bytes[1];
	if (!sound)
		return ft_fail(error, -EINVAL,
			       "--flow %s: must be ADDRESS:PORT,ADDRESS:PORT,PROTOCOL, for example "
			       "192.0.2.1:40000,192.0.2.2:443,tcp or [2001:db8::1]:53,[::1]:53,udp",
			       text);
	flow->address_bytes = (uint8_t)bytes[0];
	memcpy(flow->addresses, ends[0], bytes[0]);
	memcpy(flow->addresses + bytes[0], ends[1], bytes[0]);
	if (!ft_flow_has_ports(flow->protocol))
		flow->ports[0] = flow->ports[1] = 0;
	else if (flow->ports[0] == 0 || flow->ports[1] == 0)
		return ft_fail(error, -EINVAL, "--flow %s: both ends need a port above 0", text);
	flow->hash = ft_flow_hash_of(&ft_match_key, flow->protocol, bytes[0], ends[0],
				     flow->ports[0], ends[1], flow->ports[1]);
	flow->fragment_hash =
		ft_flow_hash_of(&ft_match_key, flow->protocol, bytes[0], ends[0], 0, ends[1], 0);
	return 0;
}

int ft_match_begin(struct ft_match *match, const struct ft_extract_settings *settings,
		   struct ft_error *error)
{
	*match = (struct ft_match){
		.from_ns = settings->from_ns,
		.to_ns = settings->to_ns,
		.expression = settings->filter,
		.link_type = UINT16_MAX,
	};
	if (settings->filter != NULL)
		ft_filter_read_hints(settings->filter, &match->hints);
	return settings->flow != NULL ? ft_flow_parse(settings->flow, &match->flow, error) : 0;
}

int ft_match_set_link_type(struct ft_match *match, uint16_t link_type, struct ft_error *error)
{
	match->link_type = link_type;
	return match->expression != NULL && match->filter == NULL
		       ? ft_filter_compile(match->expression, link_type, &match->filter, error)
		       : 0;
}

void ft_match_end(struct ft_match *match)
{
	ft_filter_free(match->filter);
}

static bool may_hold_flow(const struct ft_flow_wanted *flow, const struct ft_flow_key *key,
			  const struct ft_index_filters *filters)
{
	const uint8_t *one = flow->addresses, *other = flow->addresses + flow->address_bytes;
	uint64_t hash = ft_flow_hash_of(key, flow->protocol, flow->address_bytes, one,
					flow->ports[0], other, flow->ports[1]);
	uint64_t fragment_hash =
		ft_flow_hash_of(key, flow->protocol, flow->address_bytes, one, 0, other, 0);

	return ft_index_may_hold_flow(filters, hash) ||
	       ft_index_may_hold_flow(filters, fragment_hash);
}

static bool may_hold_hints(const struct ft_filter_hints *hints, const struct ft_flow_key *key,
			   const struct ft_index_filters *filters)
{
	for (unsigned i = 0; i < hints->address_count; i++)
		if (!ft_index_may_hold_address(
			    filters, ft_flow_hash_address(key, hints->addresses[i].address,
							  hints->addresses[i].bytes)))
			return false;
	/* Port 0 stands for frames whose ports were not looked at: fragments. */
	for (unsigned i = 0; i < hints->port_count; i++)
		if (!ft_index_may_hold_port(filters, hints->ports[i]) &&
		    !ft_index_may_hold_port(filters, 0))
			return false;
	for (unsigned i = 0; i < hints->vlan_count; i++)
		if (!ft_index_may_hold_vlan(filters, hints->vlans[i]))
			return false;
	return true;
}

bool ft_match_may_hold(const struct ft_match *match, const struct ft_flow_key *key,
		       const struct ft_index_chunk *chunk, const struct ft_index_filters *filters)
{
	if (chunk->packets == 0 || chunk->last_ns < match->from_ns ||
	    chunk->first_ns >= match->to_ns)
		return false;
	/* Nothing is noted of frames of other link types. */
	if (filters == NULL ||
	    (match->link_type != FT_LINKTYPE_ETHERNET && match->link_type != FT_LINKTYPE_RAW))
		return true;
	if (match->flow.address_bytes != 0 && !may_hold_flow(&match->flow, key, filters))
		return false;
	return may_hold_hints(&match->hints, key, filters);
}

/* The ports of a first fragment, which a flow leaves out, of IPv4. */
static const uint8_t *find_fragment_ports(const struct ft_flow *flow, const uint8_t *end)
{
	const uint8_t *ip = flow->addresses - 12;
	const uint8_t *ports = ip + (ip[0] & 15u) * 4u;

	if (flow->address_bytes != 4 || (ft_flow_u16(ip + 6) & FT_FLOW_BE16(0x1fff)) != 0 ||
	    ports + 4 > end)
		return NULL;
	return ports;
}

static bool has_ports(const uint8_t *ports, uint16_t source, uint16_t destination)
{
	return FT_FLOW_BE16(ft_flow_u16(ports)) == source &&
	       FT_FLOW_BE16(ft_flow_u16(ports + 2)) == destination;
}

static bool is_flow(const struct ft_flow_wanted *wanted, const struct ft_flow *flow,
		    const uint8_t *end)
{
	unsigned bytes = wanted->address_bytes;
	const uint8_t *ports = flow->ports;
	bool forth, back;

	if (flow->addresses == NULL || flow->address_bytes != bytes ||
	    flow->protocol != wanted->protocol)
		return false;
	forth = memcmp(flow->addresses, wanted->addresses, 2 * (size_t)bytes) == 0;
	back = memcmp(flow->addresses, wanted->addresses + bytes, bytes) == 0 &&
	       memcmp(flow->addresses + bytes, wanted->addresses, bytes) == 0;
	if (!ft_flow_has_ports(wanted->protocol))
		return forth || back;
	if (ports == NULL)
		ports = find_fragment_ports(flow, end);
	return ports != NULL && ((forth && has_ports(ports, wanted->ports[0], wanted->ports[1])) ||
				 (back && has_ports(ports, wanted->ports[1], wanted->ports[0])));
}

bool ft_match_frame(const struct ft_match *match, const uint8_t *frame, uint32_t captured_bytes,
		    uint32_t length_bytes)
{
	const struct ft_frame whole = {
		.data = frame,
		.captured_bytes = captured_bytes,
		.length_bytes = length_bytes,
	};
	struct ft_flow flow;

	if (match->flow.address_bytes != 0) {
		ft_flow_read(&ft_match_key, match->link_type, frame, captured_bytes, &flow);
		if (flow.hash != match->flow.hash && flow.hash != match->flow.fragment_hash)
			return false;
		if (!is_flow(&match->flow, &flow, frame + captured_bytes))
			return false;
	}
	return match->filter == NULL || ft_filter_match(match->filter, &whole);
}
