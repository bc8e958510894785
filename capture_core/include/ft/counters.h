/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel and the driver count for an interface (rtnetlink IFLA_STATS_LINK_64,
 * Documentation/networking/statistics.rst), for the ledger's second statement and for the
 * generator, which believes the port and not its own sends.
 */
#ifndef FT_COUNTERS_H
#define FT_COUNTERS_H

#include <stdint.h>

#include "ft/error.h"

struct ft_counters {
	uint64_t rx_frames;
	uint64_t tx_frames;
	uint64_t rx_missed;  /* dropped by the adapter for want of host buffers */
	uint64_t rx_dropped; /* by the kernel before any socket, and by the driver */
	uint64_t rx_errors;  /* damaged on the wire: by their frame check sequence and the like */
	uint64_t tx_dropped;
};

/* -ENODEV when the interface has gone. */
int ft_counters_read(int ifindex, struct ft_counters *counters, struct ft_error *error);

/*
 * Wait until every frame that the kernel already counted has passed its per-CPU backlog
 * (/proc/net/softnet_stat) and so has reached the sockets; at most 50 ms.
 */
void ft_counters_settle(void);

/* Frames that the per-CPU backlogs refused, summed over CPUs, since boot. */
uint64_t ft_counters_backlog_dropped(void);

#endif
