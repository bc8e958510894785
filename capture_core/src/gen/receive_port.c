/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/receive_port.h"

#include <errno.h>
#include <stdbool.h>

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int ft_receive_port_begin(struct ft_receive_port *port, int ifindex, struct ft_error *error)
{
	*port = (struct ft_receive_port){.ifindex = ifindex};
	port->backlog_before = ft_counters_backlog_dropped();
	return ft_counters_read(ifindex, &port->before, error);
}

static bool went_back(const struct ft_counters *before, const struct ft_counters *now)
{
	return now->rx_frames < before->rx_frames || now->rx_missed < before->rx_missed ||
	       now->rx_dropped < before->rx_dropped || now->rx_errors < before->rx_errors;
}

/*
 * A full backlog counts a frame for its processor and as rx_dropped of the interface
 * (net/core/dev.c enqueue_to_backlog); either may count others too, so that no more than both say
 * were dropped.
 */
int ft_receive_port_end(struct ft_receive_port *port, struct ft_error *error)
{
	struct ft_counters now;
	int rc = ft_counters_read(port->ifindex, &now, error);

	if (rc != 0)
		return rc;
	if (went_back(&port->before, &now))
		return ft_fail(error, -EIO,
			       "-r: the port set its counters back, so that nobody knows what this "
			       "machine dropped; run again");
	port->dropped_adapter = now.rx_missed - port->before.rx_missed;
	port->dropped_backlog = smaller(now.rx_dropped - port->before.rx_dropped,
					ft_counters_backlog_dropped() - port->backlog_before);
	port->errors = now.rx_errors - port->before.rx_errors;
	return 0;
}
