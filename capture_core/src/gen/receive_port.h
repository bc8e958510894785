/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine lost of what reached its receiving port, before any frame came to the socket:
 * the tester's own loss, never the link's.
 */
#ifndef FT_GEN_RECEIVE_PORT_H
#define FT_GEN_RECEIVE_PORT_H

#include "ft/counters.h"
#include "ft/error.h"

struct ft_receive_port {
	int ifindex;
	struct ft_counters before;
	uint64_t backlog_before;

	uint64_t dropped_adapter; /* for want of host buffers */
	uint64_t dropped_backlog; /* by the per-CPU backlogs, of frames of this port */
	uint64_t errors; /* damaged on the wire, dropped by the adapter: lost by the link */
};

/*
 * -ENODEV when the interface has gone. -EIO at the end where its driver set the counters back
 * meanwhile, as some do when they reset the adapter.
 */
int ft_receive_port_begin(struct ft_receive_port *port, int ifindex, struct ft_error *error);
int ft_receive_port_end(struct ft_receive_port *port, struct ft_error *error);

#endif
