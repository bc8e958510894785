/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an index lies on disk, in host byte order: eight bytes of magic, then records, each with its
 * kind, its length and a CRC32C of its body. The first tells the key of the flow hash, the last one
 * how long the capture is; those between are one a chunk, its filters folded to what it holds.
 */
#ifndef FT_STORE_INDEX_H
#define FT_STORE_INDEX_H

#include "ft/index.h"
#include "pipe/summary.h"

#define FT_INDEX_MAGIC	     "FTINDEX1"
#define FT_INDEX_MAGIC_BYTES 8u

enum ft_index_kind {
	FT_INDEX_KEY = 1, /* struct ft_flow_key */
	FT_INDEX_CHUNK,	  /* struct ft_index_chunk, struct ft_index_folds, the filters */
	FT_INDEX_END,	  /* the capture's length, 64 bits */
};

struct ft_index_record {
	uint32_t kind;
	uint32_t bytes;	 /* of the body */
	uint32_t crc32c; /* of the body */
	uint32_t reserved;
};

enum ft_index_filter {
	FT_INDEX_FLOWS,
	FT_INDEX_ADDRESSES,
	FT_INDEX_PORTS,
	FT_INDEX_VLANS,
	FT_INDEX_FILTERS,
};

/*
 * A filter of 2^log2 bits is the full one with its halves laid over each other until it is as small
 * as its contents allow: whoever looks a position up takes the lower bits of it. At least 2^6 bits;
 * 0 stands for a filter that holds nothing and is left out.
 */
struct ft_index_folds {
	uint8_t log2_bits[FT_INDEX_FILTERS];
	uint32_t flows;
};

#define FT_INDEX_MIN_LOG2 6u

static const uint8_t ft_index_max_log2[FT_INDEX_FILTERS] = {17, 16, 16, 12};

_Static_assert(1u << 17 == FT_SUMMARY_FLOW_BITS && 1u << 16 == FT_SUMMARY_ADDRESS_BITS &&
		       1u << 16 == FT_SUMMARY_PORT_BITS && 1u << 12 == FT_SUMMARY_VLAN_BITS,
	       "the full sizes are the summary's");
_Static_assert(sizeof(struct ft_index_chunk) == 64, "it is written as it is");

#define FT_INDEX_CHUNK_BYTES (sizeof(struct ft_index_chunk) + sizeof(struct ft_index_folds))
#define FT_INDEX_MAX_BODY_BYTES                                                                    \
	(FT_INDEX_CHUNK_BYTES + (FT_SUMMARY_FLOW_BITS + FT_SUMMARY_ADDRESS_BITS +                  \
				 FT_SUMMARY_PORT_BITS + FT_SUMMARY_VLAN_BITS) /                    \
					8)

uint32_t ft_index_crc(const void *body, size_t bytes);

#endif
