/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting the frames of a replay: addresses, tags, ports, lengths. Rules have the names and the
 * meaning of tcprewrite's long options. A frame's checksums stay as right, or as wrong, as they
 * were (RFC 1624), unless a rule says otherwise.
 *
 * Tags, MPLS labels and an Ethernet pseudowire (RFC 4448, with its control word) are looked
 * through; what is in the innermost Ethernet frame is meant. A frame with a length in place of its
 * EtherType (spanning tree, IS-IS) stays as it is.
 */
#ifndef FT_REWRITE_H
#define FT_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

struct ft_rewrite;

/* The rules, for --help. */
#define FT_REWRITE_HELP                                                                            \
	"  enet-smac=MAC[,MAC]  enet-dmac=MAC[,MAC]    all; client's, server's\n"                  \
	"  enet-subsmac=OLD,NEW[,OLD,NEW..]            a MAC address wherever it is\n"             \
	"  enet-mac-seed=N  enet-mac-seed-keep-bytes=N MAC addresses by a seeded function\n"       \
	"  enet-vlan=add|del  enet-vlan-tag=ID  enet-vlan-pri=N  enet-vlan-cfi=N\n"                \
	"  enet-vlan-proto=802.1q|802.1ad              one put first, or deleted\n"                \
	"  pnat, srcipmap, dstipmap=OLD/BITS:NEW/BITS[,..]   IPv6: [OLD/BITS]:[NEW/BITS]\n"        \
	"  endpoints=CLIENT:SERVER                     all addresses become these\n"               \
	"  seed=N                                      IP addresses by a seeded function\n"        \
	"  unique-ip                                   other IP addresses in each loop\n"          \
	"  skipbroadcast, skipl2broadcast              leave broadcast and multicast\n"            \
	"  portmap=PORT[-PORT][,..]:NEW                UDP and TCP, both ports\n"                  \
	"  ttl=N|+N|-N  tos=N  tcp-sequence=SEED\n"                                                \
	"  fixlen=pad|trunc|del                        frames not captured whole\n"                \
	"  mtu-trunc  mtu=N (1500)  efcs               cut to the MTU; cut off the FCS\n"          \
	"  fixhdrlen, fixcsum                          set IP lengths, checksums right\n"          \
	"  client=FILTER                               whose frames the client's are\n"

/* What a tag adds to a frame. */
#define FT_REWRITE_GROWTH_BYTES 4u

/* A captured frame, rewritten in place. */
struct ft_rewrite_frame {
	uint8_t *data;
	uint32_t captured_bytes;
	uint32_t length_bytes; /* when it was on the wire */
	uint32_t room_bytes;   /* at `data`: no rule makes the frame longer */
};

/* Add the rule `text`, "NAME=VALUE" or "NAME"; `*rewrite` is made where it is NULL. -EINVAL. */
int ft_rewrite_add(struct ft_rewrite **rewrite, const char *text, struct ft_error *error);

/* What is wrong with rules that are each right: -EINVAL. `rewrite` may be NULL. */
int ft_rewrite_check(const struct ft_rewrite *rewrite, struct ft_error *error);

/* Whether a frame differs from loop to loop. `rewrite` may be NULL. */
bool ft_rewrite_varies(const struct ft_rewrite *rewrite);

/*
 * Apply every rule to a frame of pass `loop` (from 0) over the file. False: the frame is to be left
 * out. The bytes are untrusted.
 */
bool ft_rewrite_frame(const struct ft_rewrite *rewrite, uint64_t loop,
		      struct ft_rewrite_frame *frame);

/* Accepts NULL. */
void ft_rewrite_free(struct ft_rewrite *rewrite);

#endif
