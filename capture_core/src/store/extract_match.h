/* SPDX-License-Identifier: Apache-2.0 */
/* What an extraction asks for, decided of a chunk by its index and of a frame exactly. */
#ifndef FT_STORE_EXTRACT_MATCH_H
#define FT_STORE_EXTRACT_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/extract.h"
#include "ft/filter.h"
#include "ft/index.h"
#include "pipe/flow.h"

#define FT_HINTS_MAX 8u

/* Both directions of a flow. */
struct ft_flow_wanted {
	uint8_t protocol;
	uint8_t address_bytes; /* 0: none is wanted */
	uint8_t addresses[32];
	uint16_t ports[2]; /* host order */
	uint64_t hash;	   /* under `ft_match_key` */
	uint64_t fragment_hash;
};

/* What every frame that passes a filter surely has. */
struct ft_filter_hints {
	unsigned address_count, port_count, vlan_count;
	struct {
		uint8_t bytes;
		uint8_t address[16];
	} addresses[FT_HINTS_MAX];
	uint16_t ports[FT_HINTS_MAX];
	uint16_t vlans[FT_HINTS_MAX];
};

struct ft_match {
	uint64_t from_ns, to_ns;
	struct ft_flow_wanted flow;
	struct ft_filter_hints hints;
	const char *expression;
	struct ft_filter *filter; /* compiled for `link_type` */
	uint16_t link_type;
};

/* Key of the hashes that are compared frame by frame; any will do. */
extern const struct ft_flow_key ft_match_key;

/* A:P,B:P,PROTO with PROTO tcp, udp, sctp, icmp or a number; IPv6 addresses in brackets. */
int ft_flow_parse(const char *text, struct ft_flow_wanted *flow, struct ft_error *error);

/*
 * The hints of an expression that is a plain conjunction of hosts, ports and VLANs; any other one
 * gives none, which skips nothing.
 */
void ft_filter_read_hints(const char *expression, struct ft_filter_hints *hints);

/* -EINVAL for an expression that is none for this link type. Once; ft_match_end frees. */
int ft_match_begin(struct ft_match *match, const struct ft_extract_settings *settings,
		   struct ft_error *error);
int ft_match_set_link_type(struct ft_match *match, uint16_t link_type, struct ft_error *error);
void ft_match_end(struct ft_match *match);

/* False: no frame of the chunk can match. `filters` NULL: nothing is known but its times. */
bool ft_match_may_hold(const struct ft_match *match, const struct ft_flow_key *key,
		       const struct ft_index_chunk *chunk, const struct ft_index_filters *filters);

bool ft_match_frame(const struct ft_match *match, const uint8_t *frame, uint32_t captured_bytes,
		    uint32_t length_bytes);

#endif
