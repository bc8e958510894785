/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/layers.h"

#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include "gen/test_network.h"

#define NUMBER	  FT_NOTATION_NUMBER
#define SWITCH	  FT_NOTATION_SWITCH
#define TCP_FLAGS FT_NOTATION_TCP_FLAGS
#define MAC	  FT_NOTATION_MAC
#define IPV4	  FT_NOTATION_IPV4
#define IPV6	  FT_NOTATION_IPV6

#define LOCAL_EXPERIMENT 0x88b5 /* IEEE 802 9.2.4 */
#define TEST_PROTOCOL	 253	/* RFC 3692 */
#define FIRST_LABEL	 16	/* those below mean something (RFC 3032 2.1) */
#define ACK		 0x10

static const struct ft_field ethernet[] = {
	{"destination", MAC, 0, 48, FT_FAR_MAC},
	{"source", MAC, 48, 48, FT_NEAR_MAC},
	[FT_ETHERNET_TYPE] = {"type", NUMBER, 96, 16, LOCAL_EXPERIMENT},
};

static const struct ft_field vlan[] = {
	[FT_VLAN_TYPE] = {"type", NUMBER, 0, 16, ETH_P_8021Q},
	{"priority", NUMBER, 16, 3},
	{"drop_eligible", SWITCH, 19, 1},
	{"id", NUMBER, 20, 12, 1},
};

/* RFC 3032 2.1; the bottom of the stack is marked where there is one. */
static const struct ft_field mpls[] = {
	{"label", NUMBER, 0, 20, FIRST_LABEL},
	{"class", NUMBER, 20, 3},
	{"ttl", NUMBER, 24, 8, IPDEFTTL},
};

/* Lengths and checksums are computed, here and below. */
static const struct ft_field ipv4[] = {
	{"source", IPV4, 96, 32, FT_NEAR_IPV4},
	{"destination", IPV4, 128, 32, FT_FAR_IPV4},
	{"dscp", NUMBER, 8, 6},
	{"ecn", NUMBER, 14, 2},
	{"id", NUMBER, 32, 16},
	{"dont_fragment", SWITCH, 49, 1, 1},
	[FT_IPV4_MORE_FRAGMENTS] = {"more_fragments", SWITCH, 50, 1},
	[FT_IPV4_FRAGMENT_OFFSET] = {"fragment_offset", NUMBER, 51, 13},
	{"ttl", NUMBER, 64, 8, IPDEFTTL},
	[FT_IPV4_PROTOCOL] = {"protocol", NUMBER, 72, 8, TEST_PROTOCOL},
};

static const struct ft_field ipv6[] = {
	{"source", IPV6, 64, 128, 1, FT_NEAR_NETWORK},
	{"destination", IPV6, 192, 128, 1, FT_FAR_NETWORK},
	{"dscp", NUMBER, 4, 6},
	{"ecn", NUMBER, 10, 2},
	{"flow_label", NUMBER, 12, 20},
	[FT_IPV6_NEXT_HEADER] = {"next_header", NUMBER, 48, 8, TEST_PROTOCOL},
	{"hop_limit", NUMBER, 56, 8, IPDEFTTL},
};

static const struct ft_field udp[] = {
	{"source_port", NUMBER, 0, 16, FT_NEAR_PORT},
	{"destination_port", NUMBER, 16, 16, FT_ECHO_PORT},
};

static const struct ft_field tcp[] = {
	{"source_port", NUMBER, 0, 16, FT_NEAR_PORT},
	{"destination_port", NUMBER, 16, 16, FT_ECHO_PORT},
	{"sequence", NUMBER, 32, 32},
	{"acknowledgement", NUMBER, 64, 32},
	{"flags", TCP_FLAGS, 104, 8, ACK},
	{"window", NUMBER, 112, 16, UINT16_MAX},
	{"urgent", NUMBER, 144, 16},
};

static const struct ft_field icmp[] = {
	[FT_ICMP_TYPE] = {"type", NUMBER, 0, 8, ICMP_ECHO},
	{"code", NUMBER, 8, 8},
	{"id", NUMBER, 32, 16},
	{"sequence", NUMBER, 48, 16},
};

#define FIELDS(array) sizeof(array) / sizeof((array)[0]), array

const struct ft_layer ft_layers[FT_LAYER_COUNT] = {
	[FT_LAYER_ETHERNET] = {"ethernet", 12, FIELDS(ethernet)},
	[FT_LAYER_VLAN] = {"vlan", 4, FIELDS(vlan)},
	[FT_LAYER_MPLS] = {"mpls", 4, FIELDS(mpls)},
	[FT_LAYER_IPV4] = {"ipv4", 20, FIELDS(ipv4)},
	[FT_LAYER_IPV6] = {"ipv6", 40, FIELDS(ipv6)},
	[FT_LAYER_UDP] = {"udp", 8, FIELDS(udp)},
	[FT_LAYER_TCP] = {"tcp", 20, FIELDS(tcp)},
	[FT_LAYER_ICMP] = {"icmp", 8, FIELDS(icmp)},
};
