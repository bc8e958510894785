/* SPDX-License-Identifier: Apache-2.0 */
/* Where the headers of a frame lie, and how a field is changed with the checksums over it. */
#ifndef FT_GEN_REWRITE_VIEW_H
#define FT_GEN_REWRITE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offsets count from `data`; 0 where there is no such header, or not all of it was captured. */
struct ft_rewrite_view {
	uint8_t *data;
	uint32_t bytes;
	uint32_t link;	       /* the innermost Ethernet header; its EtherType is at +12 */
	uint16_t network_type; /* EtherType of what is at `network` */
	uint32_t network;
	uint32_t transport; /* of a whole datagram or its first fragment */
	uint8_t protocol;   /* of `transport` */
	bool is_fragment;
};

/* The checksums that cover a field. */
enum ft_rewrite_cover {
	FT_COVER_NONE = 0,
	FT_COVER_NETWORK = 1,	/* the header checksum of IPv4 */
	FT_COVER_TRANSPORT = 2, /* that of TCP, UDP or ICMPv6 */
};

/* Find the headers. False for a frame that has no Ethernet header with an EtherType. */
bool ft_rewrite_view(uint8_t *data, uint32_t bytes, struct ft_rewrite_view *view);

/*
 * Put `bytes` bytes (an even number, as is `at` counted from the header) at `at`, which lies in the
 * frame, and patch the checksums that cover them.
 */
void ft_rewrite_put(struct ft_rewrite_view *view, uint32_t at, const uint8_t *value, size_t bytes,
		    unsigned covers);

/* Of `transport`, where the protocol has a checksum and it was captured; else 0. */
uint32_t ft_rewrite_checksum_at(const struct ft_rewrite_view *view);

static inline uint16_t ft_rewrite_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void ft_rewrite_set16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t ft_rewrite_get32(const uint8_t *at)
{
	return (uint32_t)ft_rewrite_get16(at) << 16 | ft_rewrite_get16(at + 2);
}

static inline void ft_rewrite_set32(uint8_t *at, uint32_t value)
{
	ft_rewrite_set16(at, value >> 16);
	ft_rewrite_set16(at + 2, value);
}

#endif
