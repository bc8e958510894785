/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers that a stream's frames can have, as data: one row a field. Rows say how a field is
 * written in a stream file, where its bits are, and what it holds unless the file says otherwise.
 */
#ifndef FT_GEN_LAYERS_H
#define FT_GEN_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#define FT_LAYER_MAX_FIELDS 10u
/* Of VLAN tags, and of MPLS labels. */
#define FT_LAYER_MAX_STACKED 8u

/* In the order in which they follow each other in a frame; at most one of ipv4 and ipv6, and one of
 * udp, tcp and icmp. */
enum ft_layer_id {
	FT_LAYER_ETHERNET, /* the addresses; the EtherType follows the tags */
	FT_LAYER_VLAN,
	FT_LAYER_MPLS,
	FT_LAYER_IPV4,
	FT_LAYER_IPV6,
	FT_LAYER_UDP,
	FT_LAYER_TCP,
	FT_LAYER_ICMP,
	FT_LAYER_COUNT,
};

/* How a field is written. */
enum ft_notation {
	FT_NOTATION_NUMBER,
	FT_NOTATION_SWITCH,    /* true or false */
	FT_NOTATION_TCP_FLAGS, /* letters, or a number */
	FT_NOTATION_MAC,
	FT_NOTATION_IPV4,
	FT_NOTATION_IPV6,
};

struct ft_field {
	const char *name;
	enum ft_notation notation;
	uint16_t bit; /* of the layer's header, from its first */
	uint16_t bits;
	uint64_t initial;
	uint64_t initial_high; /* the upper half of an IPv6 address */
};

struct ft_layer {
	const char *name;
	uint16_t bytes; /* of its header */
	unsigned field_count;
	const struct ft_field *fields;
};

extern const struct ft_layer ft_layers[FT_LAYER_COUNT];

/* The places in their layers of fields that depend on other layers. */
#define FT_ETHERNET_TYPE	2u
#define FT_VLAN_TYPE		0u
#define FT_IPV4_MORE_FRAGMENTS	6u
#define FT_IPV4_FRAGMENT_OFFSET 7u
#define FT_IPV4_PROTOCOL	9u
#define FT_IPV6_NEXT_HEADER	5u
#define FT_ICMP_TYPE		0u

static inline bool ft_layer_is_ip(enum ft_layer_id layer)
{
	return layer == FT_LAYER_IPV4 || layer == FT_LAYER_IPV6;
}

static inline bool ft_layer_is_transport(enum ft_layer_id layer)
{
	return layer == FT_LAYER_UDP || layer == FT_LAYER_TCP || layer == FT_LAYER_ICMP;
}

#endif
