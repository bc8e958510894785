/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping frames as they were on the wire. GRO and LRO join received frames; they are off while a
 * capture runs. What was on is written down first, in a file that every engine on the port holds a
 * shared lock on: the last one to end restores it, or the next engine to start after a crash.
 *
 * A veth peer hands over frames that its stack has not segmented yet. It stops doing so while an
 * XDP program that accepts them is attached here (drivers/net/veth.c veth_fix_features), so one
 * that passes every frame is. It goes with the process.
 */
#ifndef FT_PORT_OFFLOAD_H
#define FT_PORT_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "ft/error.h"

struct ft_offload {
	char device[16];
	char path[4096]; /* empty: nothing to restore */
	int state_fd;
	int xdp_link_fd;
};

/*
 * -EPERM or -EBUSY when frames may arrive joined and that cannot be changed. Restores what crashed
 * engines left on any port of this network namespace.
 */
int ft_offload_stop(const char *device, int ifindex, struct ft_offload *offload,
		    struct ft_error *error);

/* The feature by which an adapter takes VLAN tags out of received frames. */
#define FT_OFFLOAD_VLAN "rx-vlan-hw-parse"

/* The same, of only the joining or the taking out of tags. */
int ft_offload_stop_some(const char *device, int ifindex, bool joining, bool tags,
			 struct ft_offload *offload, struct ft_error *error);

/*
 * Only write down how the port was found, for who changes what it stamps; that too is given back.
 */
int ft_offload_record(const char *device, int ifindex, struct ft_offload *offload,
		      struct ft_error *error);

/*
 * Undo it, unless another engine still needs it. An engine that has dropped its privileges only
 * lets go, and leaves the rest to its guardian (ctl/guardian.h).
 */
void ft_offload_restore(struct ft_offload *offload);

/* Restore what engines of this network namespace that have ended left. */
void ft_offload_restore_ended(void);

/* The folder of state files, RUN/.ports: they are named by network namespace and interface index.
 */
int ft_offload_directory(char *path, size_t bytes, struct ft_error *error);
unsigned long ft_offload_namespace(void);

#endif
