/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a chunk holds, as Bloom filters (two bits an item) over flows, addresses and ports, and a
 * bitmap of VLAN identifiers: what an extraction reads to skip the chunk. Written by the hot
 * thread.
 *
 * Most frames belong to a flow that the chunk has seen: a small table of the hashes seen last tells
 * them apart, and only others cost more. The table is never wrong in the other direction but for
 * two flows of one 64-bit keyed hash.
 */
#ifndef FT_PIPE_SUMMARY_H
#define FT_PIPE_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "pipe/flow.h"

#define FT_SUMMARY_FLOW_BITS	(1u << 17)
#define FT_SUMMARY_ADDRESS_BITS (1u << 16)
#define FT_SUMMARY_PORT_BITS	(1u << 16)
#define FT_SUMMARY_VLAN_BITS	(1u << 12)

struct ft_summary {
	uint32_t flows; /* noted: at least as many as there are */
	uint64_t flow[FT_SUMMARY_FLOW_BITS / 64];
	uint64_t address[FT_SUMMARY_ADDRESS_BITS / 64];
	uint64_t
		port[FT_SUMMARY_PORT_BITS / 64]; /* exact: bit N is port N; bit 0 also: none told */
	uint64_t vlan[FT_SUMMARY_VLAN_BITS / 64]; /* exact */
};

#define FT_FLOW_TABLE_SLOTS 2048u

/* The hashes that were noted last in the present chunk. */
struct ft_flow_table {
	uint64_t seen[FT_FLOW_TABLE_SLOTS];
};

static inline void ft_summary_set(uint64_t *bits, uint32_t count, uint64_t position)
{
	position &= count - 1;
	bits[position / 64] |= 1ull << position % 64;
}

static inline bool ft_summary_has(const uint64_t *bits, uint32_t count, uint64_t position)
{
	position &= count - 1;
	return bits[position / 64] >> position % 64 & 1;
}

/* The two bits of a hash. */
static inline void ft_summary_set_hash(uint64_t *bits, uint32_t count, uint64_t hash)
{
	ft_summary_set(bits, count, hash);
	ft_summary_set(bits, count, hash >> 32);
}

static inline bool ft_summary_has_hash(const uint64_t *bits, uint32_t count, uint64_t hash)
{
	return ft_summary_has(bits, count, hash) && ft_summary_has(bits, count, hash >> 32);
}

/* IP whose header is malformed or cut off: a packet filter may see any address and port in it. */
static inline void ft_summary_add_unknown(struct ft_summary *summary)
{
	ft_summary_set(summary->port, FT_SUMMARY_PORT_BITS, 0);
	if (summary->address[0] != UINT64_MAX)
		memset(summary->address, 0xff, sizeof(summary->address));
}

/* A flow that the table does not know. */
static inline void ft_summary_add(struct ft_summary *summary, const struct ft_flow_key *key,
				  const struct ft_flow *flow)
{
	summary->flows++;
	ft_summary_set_hash(summary->flow, FT_SUMMARY_FLOW_BITS, flow->hash);
	if (flow->addresses == NULL &&
	    (flow->ether_type == FT_ETHERTYPE_IPV4 || flow->ether_type == FT_ETHERTYPE_IPV6))
		ft_summary_add_unknown(summary);
	for (unsigned i = 0; flow->addresses != NULL && i < 2; i++)
		ft_summary_set_hash(summary->address, FT_SUMMARY_ADDRESS_BITS,
				    ft_flow_hash_address(key,
							 flow->addresses + i * flow->address_bytes,
							 flow->address_bytes));
	for (unsigned i = 0; flow->ports != NULL && i < 2; i++)
		ft_summary_set(summary->port, FT_SUMMARY_PORT_BITS,
			       FT_FLOW_BE16(ft_flow_u16(flow->ports + 2 * i)));
	/* A first fragment has ports too, which a packet filter looks at: port 0 stands for them.
	 */
	if (flow->addresses != NULL && flow->ports == NULL)
		ft_summary_set(summary->port, FT_SUMMARY_PORT_BITS, 0);
	for (unsigned i = 0; i < flow->vlan_count; i++)
		ft_summary_set(summary->vlan, FT_SUMMARY_VLAN_BITS, flow->vlans[i]);
}

/* Note a frame. Tags are not part of the hash, so a tagged frame's are noted each time. */
static inline void ft_summary_note(struct ft_summary *summary, struct ft_flow_table *table,
				   const struct ft_flow_key *key, const struct ft_flow *flow)
{
	uint64_t *slot = &table->seen[flow->hash % FT_FLOW_TABLE_SLOTS];

	if (__builtin_expect(*slot == flow->hash, 1)) {
		for (unsigned i = 0; i < flow->vlan_count; i++)
			ft_summary_set(summary->vlan, FT_SUMMARY_VLAN_BITS, flow->vlans[i]);
		return;
	}
	*slot = flow->hash;
	ft_summary_add(summary, key, flow);
}

/* At the beginning of each chunk. */
static inline void ft_summary_begin(struct ft_summary *summary, struct ft_flow_table *table)
{
	memset(summary, 0, sizeof(*summary));
	memset(table, 0, sizeof(*table));
}

#endif
