/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's second statement: what the interface counted while the window was open.
 *
 * An interface counts a frame a moment before or after it reaches the socket. So its counters are
 * read on both sides of each edge of the window, with a pause in which every counted frame passes
 * on. What the socket was offered must then lie between the inner and the outer difference.
 */
#ifndef FT_PORT_WIRE_H
#define FT_PORT_WIRE_H

#include <stdbool.h>

#include "ft/counters.h"
#include "ft/port.h"

struct ft_wire {
	int ifindex;
	bool known; /* all readings so far succeeded */
	struct ft_counters opened[2], closed[2];
	uint64_t backlog_opened; /* drops by per-CPU backlogs, of all interfaces */
	uint64_t backlog_closed;
};

/* Around the opening of the window, and around its closing. */
void ft_wire_before_open(struct ft_wire *wire, int ifindex);
void ft_wire_after_open(struct ft_wire *wire);
void ft_wire_before_close(struct ft_wire *wire);
void ft_wire_after_close(struct ft_wire *wire);

/* Judge `offered`, the socket's own count. */
void ft_wire_judge(const struct ft_wire *wire, const char *device, enum ft_direction directions,
		   uint64_t offered, struct ft_port_wire *verdict);

#endif
