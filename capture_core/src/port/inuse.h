/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a port in use by the host or by another network? Test frames on such a port can cut the
 * machine off or flood a network that nobody meant, so whoever sends on it must name it.
 *
 * In use is a port that carries the default route, belongs to a master (bridge, bond, team, VRF,
 * ...), or has an address; also by way of what is stacked on it (VLAN, macvlan, ipvlan). IPv6
 * link-local addresses do not count: the kernel gives one to every port that comes up.
 */
#ifndef FT_PORT_INUSE_H
#define FT_PORT_INUSE_H

#include <stddef.h>

#include "ft/error.h"

#define FT_INUSE_MAX_STACKED   64u
#define FT_INUSE_ADDRESS_BYTES 64u

/* What the kernel's answers have said of a port so far. */
struct ft_inuse {
	unsigned count;
	int stacked[FT_INUSE_MAX_STACKED]; /* interface indices: the port, then what is on it */
	int master, mastered;		   /* a master, and which of `stacked` it has; 0: none */
	int routed;			   /* which carries the default route; 0: none */
	int addressed;			   /* which has the address; 0: none */
	char address[FT_INUSE_ADDRESS_BYTES];
};

/*
 * Take one datagram of the answer to a dump of links, routes or addresses (rtnetlink(7)). Returns 1
 * at the dump's end, 0 when more follows, or negative errno.
 */
int ft_inuse_take(struct ft_inuse *use, const void *datagram, size_t bytes);

/*
 * -EINVAL where the port is in use and `force` (NULL: nothing is forced) does not name it, or names
 * another. `option` is the one that gave the port, for the sentence: "-o".
 */
int ft_inuse_check(const char *option, const char *device, int ifindex, const char *force,
		   struct ft_error *error);

#endif
