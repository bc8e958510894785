/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as rewrite_rules.c reads them and the other rewrite files apply them. */
#ifndef FT_GEN_REWRITE_RULES_H
#define FT_GEN_REWRITE_RULES_H

#include <net/ethernet.h>

#include <stdbool.h>
#include <stdint.h>

#include "ft/filter.h"
#include "ft/rewrite.h"

#define FT_REWRITE_MAX_MAPS 64u

/* One for all frames, or one for the client's and one for the server's. */
struct ft_rewrite_macs {
	unsigned count;
	uint8_t mac[2][ETH_ALEN];
};

struct ft_rewrite_substitute {
	uint8_t from[ETH_ALEN], to[ETH_ALEN];
};

/* The first bits of an address: those of `from` become those of `to`. */
struct ft_rewrite_network {
	unsigned address_bytes; /* 4 or 16 */
	unsigned from_bits, to_bits;
	uint8_t from[16], to[16];
};

struct ft_rewrite_networks {
	unsigned count;
	struct ft_rewrite_network map[FT_REWRITE_MAX_MAPS];
};

struct ft_rewrite_ports {
	uint16_t first, last, to;
};

enum ft_rewrite_vlan { FT_VLAN_KEEP, FT_VLAN_ADD, FT_VLAN_DELETE };
enum ft_rewrite_ttl { FT_TTL_KEEP, FT_TTL_SET, FT_TTL_ADD, FT_TTL_SUBTRACT };
enum ft_rewrite_length { FT_LENGTH_KEEP, FT_LENGTH_PAD, FT_LENGTH_CUT, FT_LENGTH_DELETE };

struct ft_rewrite {
	struct ft_filter *client; /* frames from the client; NULL: there is no other end */

	/* link */
	struct ft_rewrite_macs source_mac, destination_mac;
	unsigned substitute_count;
	struct ft_rewrite_substitute substitutes[FT_REWRITE_MAX_MAPS];
	bool mac_seeded;
	uint8_t mac_mask[ETH_ALEN];
	int mac_keep_bytes;
	enum ft_rewrite_vlan vlan;
	uint16_t vlan_type; /* EtherType of the tag */
	int vlan_id;	    /* -1: not given */
	int vlan_priority, vlan_cfi;
	bool skip_mac_groups; /* leave broadcast and multicast MACs, */
	bool skip_groups;     /* and IP addresses too */

	/* network */
	int tos; /* -1: keep */
	enum ft_rewrite_ttl ttl;
	unsigned ttl_value;
	struct ft_rewrite_networks sources, destinations, both;
	bool has_endpoints;
	struct ft_rewrite_networks endpoints[2]; /* the client's, the server's */
	bool seeded;
	uint8_t address_mask[4];
	bool unique; /* addresses differ from loop to loop */

	/* transport */
	unsigned ports_count;
	struct ft_rewrite_ports ports[FT_REWRITE_MAX_MAPS];
	bool sequenced;
	uint32_t sequence_offset;

	/* lengths and checksums */
	bool cut_fcs;
	enum ft_rewrite_length length;
	bool cut_to_mtu;
	int mtu_bytes;
	bool fix_header_length;
	bool fix_checksums;
};

#endif
