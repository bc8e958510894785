/* SPDX-License-Identifier: Apache-2.0 */
#include "port/wire.h"

#include <string.h>

#include "port/ethtool.h"

static void read_into(struct ft_wire *wire, struct ft_counters *counters)
{
	struct ft_error ignored; /* the statement then says that it knows nothing */

	wire->known = wire->known && ft_counters_read(wire->ifindex, counters, &ignored) == 0;
}

void ft_wire_before_open(struct ft_wire *wire, int ifindex)
{
	*wire = (struct ft_wire){.ifindex = ifindex, .known = true};
	wire->backlog_opened = ft_counters_backlog_dropped();
	read_into(wire, &wire->opened[0]);
	ft_counters_settle();
}

void ft_wire_after_open(struct ft_wire *wire)
{
	ft_counters_settle();
	read_into(wire, &wire->opened[1]);
}

void ft_wire_before_close(struct ft_wire *wire)
{
	read_into(wire, &wire->closed[0]);
	ft_counters_settle();
}

void ft_wire_after_close(struct ft_wire *wire)
{
	ft_counters_settle();
	read_into(wire, &wire->closed[1]);
	wire->backlog_closed = ft_counters_backlog_dropped();
}

/*
 * Drivers whose counters count each frame that they hand to the stack, no more and no less, so that
 * disagreement means something. Others may lag by a second or count what the adapter dropped.
 */
static bool counters_prove(const char *driver)
{
	static const char *const drivers[] = {"veth", "virtio_net", "e1000", "e1000e",
					      "igb",  "igc",	    "dummy", "tun"};

	for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(driver, drivers[i]) == 0)
			return true;
	return false;
}

static uint64_t frames_between(enum ft_direction directions, const struct ft_counters *from,
			       const struct ft_counters *to, bool with_dropped)
{
	uint64_t frames = 0;

	if (directions & FT_DIRECTION_IN)
		frames += to->rx_frames - from->rx_frames;
	if (directions & FT_DIRECTION_OUT)
		frames += to->tx_frames - from->tx_frames;
	/* A frame is seen going out even when the driver then drops it. */
	if ((directions & FT_DIRECTION_OUT) && with_dropped)
		frames += to->tx_dropped - from->tx_dropped;
	return frames;
}

void ft_wire_judge(const struct ft_wire *wire, const char *device, enum ft_direction directions,
		   uint64_t offered, struct ft_port_wire *verdict)
{
	uint64_t backlog = wire->backlog_closed - wire->backlog_opened;
	char driver[32];

	if (!wire->known)
		return;
	ft_ethtool_driver(device, driver, sizeof(driver));
	verdict->source = "rtnl_link_stats64";
	verdict->min = frames_between(directions, &wire->opened[1], &wire->closed[0], false);
	verdict->max = frames_between(directions, &wire->opened[0], &wire->closed[1], true);
	verdict->dropped_adapter = wire->closed[1].rx_missed - wire->opened[0].rx_missed;
	/* Counted by the driver, then refused by a full backlog: at most so many were ours. A veth
	 * counts only what its backlog took (drivers/net/veth.c veth_xmit). */
	if (strcmp(driver, "veth") == 0)
		backlog = 0;
	verdict->agrees = offered + backlog >= verdict->min && offered <= verdict->max;
	if (verdict->agrees == 0 && !counters_prove(driver))
		verdict->agrees = -1;
}
