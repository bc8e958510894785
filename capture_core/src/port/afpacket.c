/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `afpacket`: every Linux interface, through TPACKET_V3 rings. `queues=N` shares its
 * frames by flow among N sockets, each received by a thread of its own.
 *
 * The window opens at bind() and closes with a filter that drops everything; what the kernel
 * counted in between (PACKET_STATISTICS, drops included) is `offered`. Sockets that share are bound
 * behind such a filter and open, once all belong to the group, by taking it off.
 */
#include <net/if.h> /* before the kernel's own */

#include "port/afpacket.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ft/clock.h"
#include "port/ethtool.h"
#include "port/vlan.h"

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW	  101

static int query(int fd, const char *device, unsigned long request, struct ifreq *ifr)
{
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", device);
	return ioctl(fd, request, ifr) < 0 ? -errno : 0;
}

static int afpacket_create(struct ft_port *port, struct ft_error *error)
{
	struct ft_afpacket *a = aligned_alloc(_Alignof(struct ft_afpacket), sizeof(*a));

	if (a == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	memset(a, 0, sizeof(*a));
	for (unsigned i = 0; i < FT_PORT_MAX_QUEUES; i++)
		a->queues[i].fd = -1;
	a->order_fd = a->offload.state_fd = a->offload.xdp_link_fd = -1;
	port->state = a;
	port->mode = "tpacket_v3";
	port->queue_count = (unsigned)ft_port_key_number(port, "queues", 1);
	if (if_nametoindex(port->device) == 0 && access(port->device, F_OK) == 0)
		return ft_fail(error, -ENODEV,
			       "port '%s': no such interface; a file or FIFO is file:%s",
			       port->device, port->device);
	if (strlen(port->device) >= IF_NAMESIZE)
		return ft_fail(
			error, -ENODEV,
			"port '%s': longer than an interface name can be; see fieldtap ports",
			port->device);
	a->ifindex = (int)if_nametoindex(port->device);
	if (a->ifindex == 0)
		return ft_fail(error, -ENODEV, "port '%s': no such interface; see fieldtap ports",
			       port->device);
	return ft_stamps_find(port->device, &port->options, &a->stamping, error);
}

static int read_link(struct ft_port *port, struct ft_afpacket *a, uint16_t *link_type,
		     struct ft_error *error)
{
	struct ifreq ifr = {0};
	int fd = a->queues[0].fd;
	int rc = query(fd, port->device, SIOCGIFHWADDR, &ifr);
	int type = ifr.ifr_hwaddr.sa_family;

	if (rc == 0)
		rc = query(fd, port->device, SIOCGIFMTU, &ifr);
	a->mtu_bytes = (unsigned)ifr.ifr_mtu;
	if (rc == 0)
		rc = query(fd, port->device, SIOCGIFFLAGS, &ifr);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': %s", port->device, strerror(-rc));
	if (!(ifr.ifr_flags & IFF_UP))
		return ft_fail(error, -ENETDOWN,
			       "port '%s' is down, so no frame would come; bring it up: ip link "
			       "set %s up",
			       port->device, port->device);
	a->longest_bytes = a->mtu_bytes + ETH_HLEN + 2 * FT_VLAN_TAG_BYTES;
	if (type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK)
		*link_type = LINKTYPE_ETHERNET;
	else if (type == ARPHRD_NONE || type == ARPHRD_TUNNEL)
		*link_type = LINKTYPE_RAW;
	else
		return ft_fail(error, -EINVAL,
			       "port '%s': interface type %d is neither Ethernet nor raw IP",
			       port->device, type);
	return 0;
}

static void name_interfaces(struct ft_port *port, uint16_t link_type)
{
	static const struct {
		enum ft_direction direction;
		const char *suffix, *text;
	} kinds[] = {{FT_DIRECTION_IN, "rx", "received"}, {FT_DIRECTION_OUT, "tx", "sent"}};
	const struct ft_afpacket *a = port->state;
	uint64_t speed_bps = ft_ethtool_speed_bps(port->device);
	char driver[32];

	ft_ethtool_driver(port->device, driver, sizeof(driver));
	port->interface_count = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct ft_port_interface *interface = &port->interfaces[port->interface_count];

		if (!(port->options.directions & kinds[i].direction))
			continue;
		port->interface_count++;
		interface->link_type = link_type;
		interface->speed_bps = speed_bps;
		ft_stamps_label(&a->stamping, kinds[i].direction == FT_DIRECTION_OUT, interface);
		snprintf(interface->name, sizeof(interface->name), "%s:%s", port->device,
			 kinds[i].suffix);
		snprintf(interface->description, sizeof(interface->description),
			 "frames %s by %s (driver %s)", kinds[i].text, port->device,
			 driver[0] != '\0' ? driver : "unknown");
	}
}

static int become_promiscuous(const struct ft_port *port, const struct ft_afpacket *a)
{
	struct packet_mreq request = {.mr_ifindex = a->ifindex, .mr_type = PACKET_MR_PROMISC};

	if (!port->options.promiscuous)
		return 0;
	return setsockopt(a->queues[0].fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
			  sizeof(request)) < 0
		       ? -errno
		       : 0;
}

static int open_sockets(const struct ft_port *port, struct ft_afpacket *a, struct ft_error *error)
{
	for (unsigned i = 0; i < port->queue_count; i++) {
		int fd = ft_afpacket_socket();

		if (fd < 0)
			return ft_fail(error, fd,
				       "port '%s': cannot open a packet socket: %s; run as root or "
				       "give the program cap_net_raw and cap_net_admin",
				       port->device, strerror(-fd));
		a->queues[i].fd = fd;
	}
	return 0;
}

static int set_up_sockets(const struct ft_port *port, struct ft_afpacket *a, struct ft_error *error)
{
	uint64_t buffer_bytes = port->options.buffer_bytes / port->queue_count;
	int rc = become_promiscuous(port, a);

	for (unsigned i = 0; rc == 0 && i < port->queue_count; i++) {
		struct ft_afpacket_queue *queue = &a->queues[i];

		rc = ft_afpacket_map_ring(port, queue, buffer_bytes, error);
		if (rc != 0)
			return rc;
		if (port->queue_count > 1)
			rc = ft_afpacket_refuse_all(queue->fd);
		else
			rc = ft_afpacket_take_wanted(port, queue->fd);
	}
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': setting up the packet socket: %s",
			       port->device, strerror(-rc));
	return 0;
}

static int afpacket_open(struct ft_port *port, struct ft_error *error)
{
	struct ft_afpacket *a = port->state;
	uint16_t link_type = LINKTYPE_ETHERNET;
	int rc = open_sockets(port, a, error);

	if (rc == 0)
		rc = read_link(port, a, &link_type, error);
	if (rc == 0 && !port->options.allow_coalesced)
		rc = ft_offload_stop(port->device, a->ifindex, &a->offload, error);
	else if (rc == 0 && a->stamping.capable)
		rc = ft_offload_record(port->device, a->ifindex, &a->offload, error);
	if (rc == 0)
		rc = ft_stamps_start(&port->options, &a->stamping, error);
	if (rc != 0)
		return rc;
	name_interfaces(port, link_type);
	return set_up_sockets(port, a, error);
}

/*
 * Drivers hand frames to the stack in batches, and the stack serves the last taker of a frame when
 * the batch ends, the others at once (net/core/dev.c __netif_receive_skb_list_core). A frame of
 * which no protocol wants anything has the oldest packet socket as its last taker: were that ours,
 * such frames would come after others that followed them. So an older socket stands there, which
 * takes nothing.
 */
static int keep_order(struct ft_afpacket *a)
{
	int rc;

	a->order_fd = ft_afpacket_socket();
	if (a->order_fd < 0)
		return a->order_fd;
	rc = ft_afpacket_refuse_all(a->order_fd);
	return rc != 0 ? rc : ft_afpacket_bind(a->order_fd, a->ifindex);
}

/* Between two readings of the wire's counters. */
static int open_window(const struct ft_port *port, struct ft_afpacket *a)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < port->queue_count; i++)
		rc = ft_afpacket_bind(a->queues[i].fd, a->ifindex);
	if (rc != 0 || port->queue_count == 1)
		return rc;
	rc = ft_afpacket_share(port, a);
	for (unsigned i = 0; rc == 0 && i < port->queue_count; i++)
		rc = ft_afpacket_take_wanted(port, a->queues[i].fd);
	return rc;
}

static int afpacket_start(struct ft_port *port, struct ft_error *error)
{
	struct ft_afpacket *a = port->state;
	int rc = keep_order(a);

	ft_wire_before_open(&a->wire, a->ifindex);
	if (rc == 0)
		rc = open_window(port, a);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': bind: %s", port->device, strerror(-rc));
	ft_wire_after_open(&a->wire);
	return 0;
}

static int afpacket_close_input(struct ft_port *port, struct ft_error *error)
{
	struct ft_afpacket *a = port->state;
	int rc = 0;

	ft_wire_before_close(&a->wire);
	for (unsigned i = 0; i < port->queue_count; i++) {
		int closed = ft_afpacket_refuse_all(a->queues[i].fd);

		rc = rc != 0 ? rc : closed;
	}
	ft_wire_after_close(&a->wire);
	/* Release: the windows are closed and every frame has passed before threads may end. */
	atomic_store_explicit(&a->closed_ns, ft_clock_monotonic_ns(), memory_order_release);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': closing the window: %s", port->device,
			       strerror(-rc));
	return 0;
}

static void afpacket_read_wire(struct ft_port *port, struct ft_port_wire *wire)
{
	const struct ft_afpacket *a = port->state;
	uint64_t offered = 0;

	for (unsigned i = 0; i < port->queue_count; i++)
		offered += a->queues[i].counts.offered;
	ft_wire_judge(&a->wire, port->device, port->options.directions, offered, wire);
}

static json_t *afpacket_describe(const struct ft_port *port)
{
	const struct ft_afpacket *a = port->state;
	json_t *object = ft_ethtool_describe(port->device);
	size_t ring_bytes = a->queues[0].ring_bytes * port->queue_count;

	json_object_set_new(object, "mtu_bytes", json_integer(a->mtu_bytes));
	json_object_set_new(object, "queues", json_integer(port->queue_count));
	json_object_set_new(object, "kernel_ring_bytes", json_integer((json_int_t)ring_bytes));
	json_object_set_new(object, "kernel_block_bytes", json_integer(a->queues[0].block_bytes));
	json_object_set_new(object, "promiscuous", json_boolean(port->options.promiscuous));
	ft_stamps_describe(&a->stamping, object);
	return object;
}

static void afpacket_free(struct ft_port *port)
{
	struct ft_afpacket *a = port->state;

	for (unsigned i = 0; i < FT_PORT_MAX_QUEUES; i++)
		ft_afpacket_close(&a->queues[i]);
	if (a->order_fd >= 0)
		close(a->order_fd);
	ft_offload_restore(&a->offload);
	free(a);
}

static const struct ft_port_key keys[] = {{"queues", 1, FT_PORT_MAX_QUEUES}, {NULL}};

const struct ft_port_ops ft_port_afpacket = {
	.name = "afpacket",
	.is_interface = true,
	.keys = keys,
	.stamps_by_adapter = true,
	.create = afpacket_create,
	.open = afpacket_open,
	.start = afpacket_start,
	.receive = ft_afpacket_receive,
	.release = ft_afpacket_release,
	.close_input = afpacket_close_input,
	.read_counts = ft_afpacket_read_counts,
	.read_wire = afpacket_read_wire,
	.describe = afpacket_describe,
	.free = afpacket_free,
};
