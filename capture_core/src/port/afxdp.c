/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `afxdp`: frames before the kernel makes anything of them, one AF_XDP socket a receive
 * queue of the device. The host's own stack does not see what is captured.
 *
 * AF_XDP knows received frames only. Sent ones come from an `afpacket` port inside this one, as one
 * more queue.
 *
 * This file opens and closes; afxdp_queue.c is what runs for each frame.
 *
 * The window is the XDP program's (bpf/afxdp.bpf.c): what it counted while open is `offered`, what
 * the sockets had no room for is `dropped.kernel`.
 */
#include "port/afxdp.h"

#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ft/clock.h"
#include "port/ethtool.h"
#include "port/vlan.h"

#define LINKTYPE_ETHERNET 1
#define ETHERNET_BYTES	  14u
#define LINK_WAIT_NS	  (10 * FT_NS_PER_SECOND)
#define LINK_POLL_US	  50000

/* From the fastest to what works with every driver. */
static const struct mode {
	const char *key, *name;
	bool generic, zero_copy;
} modes[] = {
	{"zerocopy", "native zero-copy", false, true},
	{"copy", "native copy", false, false},
	{"generic", "generic copy", true, false},
};
#define MODE_COUNT (sizeof(modes) / sizeof(modes[0]))

static int check_mode_key(struct ft_port *port, struct ft_error *error)
{
	const char *wanted = ft_port_key(port, "mode");

	for (unsigned i = 0; wanted != NULL && i < MODE_COUNT; i++)
		if (strcmp(wanted, modes[i].key) == 0)
			return 0;
	if (wanted == NULL)
		return 0;
	return ft_fail(error, -EINVAL, "port '%s': mode '%s' is none of zerocopy, copy and generic",
		       port->device, wanted);
}

static int afxdp_create(struct ft_port *port, struct ft_error *error)
{
	struct afxdp *a = aligned_alloc(_Alignof(struct afxdp), sizeof(*a));
	int rc;

	if (a == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	memset(a, 0, sizeof(*a));
	a->membership_fd = -1;
	a->program.link_fd = -1;
	a->offload.state_fd = a->offload.xdp_link_fd = -1;
	port->state = a;
	port->mode = "not open";
	a->device.ifindex = (int)if_nametoindex(port->device);
	if (a->device.ifindex == 0)
		return ft_fail(error, -ENODEV, "port '%s': no such interface; see fieldtap ports",
			       port->device);
	rc = check_mode_key(port, error);
	return rc == 0 ? ft_stamps_find(port->device, &port->options, &a->stamping, error) : rc;
}

/* Every queue of the device: frames on others would be missed. */
static int choose_queues(struct ft_port *port, struct afxdp *a, struct ft_error *error)
{
	unsigned has = a->device.queue_count;
	unsigned wanted = (unsigned)ft_port_key_number(port, "queues", has);

	if (wanted > has)
		return ft_fail(error, -EINVAL,
			       "port '%s': queues=%u, but it has %u; give it more: ethtool -L %s",
			       port->device, wanted, has, port->device);
	if (wanted < has || has > FT_PORT_MAX_QUEUES - 1)
		return ft_fail(error, -EINVAL,
			       "port '%s': it has %u receive queues, and frames on those beyond %u "
			       "would be missed; give it fewer: ethtool -L %s combined %u",
			       port->device, has, wanted < has ? wanted : FT_PORT_MAX_QUEUES - 1,
			       port->device, wanted < has ? wanted : FT_PORT_MAX_QUEUES - 1);
	a->queue_count = has;
	return 0;
}

/* The program on the device: the one that asks the driver where that has answers. */
static int attach_program(struct ft_port *port, struct afxdp *a, const struct mode *mode,
			  struct ft_error *error)
{
	int rc = -EOPNOTSUPP;

	a->adapter_knows = !mode->generic && (a->device.tags || a->device.stamps);
	if (a->adapter_knows)
		rc = ft_xdp_program_load(&a->program, a->device.ifindex, true);
	if (rc != 0) {
		a->adapter_knows = false;
		rc = ft_xdp_program_load(&a->program, a->device.ifindex, false);
	}
	if (rc != 0)
		return rc;
	return ft_xdp_program_attach(&a->program, port->device, a->device.ifindex, mode->generic,
				     error);
}

static void let_go(struct afxdp *a)
{
	ft_xdp_program_free(&a->program);
	for (unsigned i = 0; i < a->queue_count; i++)
		ft_xsk_close(&a->queues[i].xsk);
}

static int try_mode(struct ft_port *port, struct afxdp *a, const struct mode *mode,
		    struct ft_error *error)
{
	int rc = attach_program(port, a, mode, error);

	/* Sockets come after the program: drivers give zero-copy only where there is one. */
	for (unsigned i = 0; rc == 0 && i < a->queue_count; i++) {
		rc = ft_xsk_open(&a->queues[i].xsk, port->device, i, &a->layout, mode->zero_copy);
		if (rc == 0)
			rc = ft_xdp_program_add_socket(&a->program, i, a->queues[i].xsk.fd);
	}
	if (rc != 0)
		let_go(a);
	return rc;
}

static void note_failure(char *failures, size_t bytes, const struct mode *mode, int rc)
{
	size_t used = strlen(failures);

	snprintf(failures + used, bytes - used, "%s%s: %s", used > 0 ? ", " : "", mode->name,
		 strerror(-rc));
}

/* What no other mode would cure. */
static int refuse(struct ft_port *port, int rc, struct ft_error *error)
{
	if (rc == -EPERM || rc == -EACCES)
		return ft_fail(error, rc,
			       "port '%s': cannot load or attach an XDP program: %s; run as root "
			       "or give the program cap_net_raw, cap_net_admin and cap_bpf",
			       port->device, strerror(-rc));
	if (rc == -ENOBUFS || rc == -ENOMEM)
		return ft_fail(error, rc,
			       "port '%s': cannot get memory for its frames: %s; ask for a smaller "
			       "--buffer, or give the program cap_ipc_lock",
			       port->device, strerror(-rc));
	return rc; /* -EBUSY: told already */
}

/* The best mode that works, or the one demanded. A fall-back is said aloud. */
static int choose_mode(struct ft_port *port, struct afxdp *a, struct ft_error *error)
{
	const char *wanted = ft_port_key(port, "mode");
	char failures[256] = "";
	int rc = -EOPNOTSUPP;

	for (unsigned i = 0; i < MODE_COUNT; i++) {
		if (wanted != NULL && strcmp(wanted, modes[i].key) != 0)
			continue;
		rc = try_mode(port, a, &modes[i], error);
		if (rc == -EBUSY || rc == -EPERM || rc == -EACCES || rc == -ENOBUFS ||
		    rc == -ENOMEM)
			return refuse(port, rc, error);
		if (rc == 0) {
			port->mode = modes[i].name;
			a->generic = modes[i].generic;
			break;
		}
		note_failure(failures, sizeof(failures), &modes[i], rc);
	}
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': its driver gives no AF_XDP (%s); %s%s",
			       port->device, failures,
			       wanted != NULL ? "leave out mode= for what there is"
					      : "capture with afpacket:",
			       wanted != NULL ? "" : port->device);
	if (failures[0] != '\0')
		fprintf(stderr, "%s: port '%s': captures in mode '%s' (%s)\n",
			program_invocation_short_name, port->device, port->mode, failures);
	return 0;
}

/* A membership, so that it ends with the process. */
static int become_promiscuous(struct ft_port *port, struct afxdp *a, struct ft_error *error)
{
	struct packet_mreq request = {.mr_ifindex = a->device.ifindex,
				      .mr_type = PACKET_MR_PROMISC};

	if (!port->options.promiscuous)
		return 0;
	a->membership_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (a->membership_fd < 0 || setsockopt(a->membership_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP,
					       &request, sizeof(request)) < 0)
		return ft_fail(error, -errno,
			       "port '%s': cannot become promiscuous: %s; run as root or give the "
			       "program cap_net_raw and cap_net_admin",
			       port->device, strerror(errno));
	return 0;
}

/*
 * Native XDP comes before anything joins frames; generic XDP after it. Tags that the adapter takes
 * out come back only where the driver tells them.
 */
static int keep_frames_whole(struct ft_port *port, struct afxdp *a, struct ft_error *error)
{
	bool joins = a->generic && !port->options.allow_coalesced;
	bool strips = !(a->adapter_knows && a->device.tags) &&
		      ft_ethtool_feature(port->device, FT_OFFLOAD_VLAN) == 1;

	if (!joins && !strips && !a->stamping.capable)
		return 0;
	return ft_offload_stop_some(port->device, a->device.ifindex, joins, strips, &a->offload,
				    error);
}

/* The adapter's, where its driver tells them to the program. */
static int choose_stamps(struct ft_port *port, struct afxdp *a, struct ft_error *error)
{
	a->stamping.capable &= a->adapter_knows && a->device.stamps;
	if (port->options.stamps == FT_STAMPS_ADAPTER && !a->stamping.capable)
		return ft_fail(error, -EINVAL,
			       "port '%s': -t adapter: its driver tells no XDP program the "
			       "adapter's stamps; capture with afpacket:%s, or use -t host",
			       port->device, port->device);
	return ft_stamps_start(&port->options, &a->stamping, error);
}

/* Taking an XDP program resets many an adapter: its link comes back after seconds. */
static void wait_for_link(struct ft_port *port, struct afxdp *a)
{
	const struct ft_port_options *options = &port->options;
	uint64_t began_ns = ft_clock_monotonic_ns();

	while (a->device.has_link && !ft_xdp_device_has_link(port->device) &&
	       ft_clock_monotonic_ns() - began_ns < LINK_WAIT_NS) {
		if (options->cancelled != NULL && options->cancelled(options->cancel_context))
			return;
		usleep(LINK_POLL_US);
	}
}

static int lay_out(struct ft_port *port, struct afxdp *a, struct ft_error *error)
{
	unsigned ring = (unsigned)ft_port_key_number(port, "ring", 0);

	a->longest_bytes = a->device.mtu_bytes + ETHERNET_BYTES + 2 * FT_VLAN_TAG_BYTES;
	ft_xsk_lay_out(a->longest_bytes, port->options.buffer_bytes / a->queue_count, &a->layout);
	if ((ring & (ring - 1)) != 0)
		return ft_fail(error, -EINVAL, "port '%s': ring=%u is not a power of two",
			       port->device, ring);
	if (ring != 0)
		a->layout.chunk_count = ring;
	for (unsigned i = 0; i < a->queue_count; i++)
		if (ft_afxdp_queue_prepare(a, &a->queues[i]) != 0)
			return ft_fail(error, -ENOMEM, "out of memory");
	return 0;
}

static int open_received(struct ft_port *port, struct afxdp *a, struct ft_error *error)
{
	int rc = choose_queues(port, a, error);

	if (rc == 0)
		rc = lay_out(port, a, error);
	if (rc == 0)
		rc = become_promiscuous(port, a, error);
	if (rc == 0)
		rc = choose_mode(port, a, error);
	if (rc == 0)
		rc = keep_frames_whole(port, a, error);
	if (rc == 0)
		rc = choose_stamps(port, a, error);
	if (rc == 0)
		wait_for_link(port, a);
	return rc;
}

static int open_sent(struct ft_port *port, struct afxdp *a, struct ft_error *error)
{
	struct ft_port_options options = port->options;
	char spec[64];
	int rc;

	options.directions = FT_DIRECTION_OUT;
	options.promiscuous = false;
	options.allow_coalesced = true; /* what joins received frames is not its business */
	options.stamps = FT_STAMPS_HOST;
	snprintf(spec, sizeof(spec), "afpacket:%s", port->device);
	rc = ft_port_create(spec, &options, &a->sent, error);
	return rc == 0 ? ft_port_open(a->sent, error) : rc;
}

static void name_received(const struct ft_port *port, const struct afxdp *a,
			  struct ft_port_interface *interface)
{
	char driver[32];

	ft_ethtool_driver(port->device, driver, sizeof(driver));
	interface->link_type = LINKTYPE_ETHERNET;
	interface->speed_bps = ft_ethtool_speed_bps(port->device);
	ft_stamps_label(&a->stamping, false, interface);
	snprintf(interface->name, sizeof(interface->name), "%s:rx", port->device);
	snprintf(interface->description, sizeof(interface->description),
		 "frames received by %s (driver %s)", port->device,
		 driver[0] != '\0' ? driver : "unknown");
}

static int afxdp_open(struct ft_port *port, struct ft_error *error)
{
	struct afxdp *a = port->state;
	int rc = ft_xdp_device_read(port->device, &a->device, error);

	port->interface_count = 0;
	if (rc == 0 && (port->options.directions & FT_DIRECTION_IN)) {
		rc = open_received(port, a, error);
		name_received(port, a, &port->interfaces[port->interface_count++]);
	}
	if (rc == 0 && (port->options.directions & FT_DIRECTION_OUT)) {
		rc = open_sent(port, a, error);
		if (rc != 0)
			return rc;
		port->interfaces[port->interface_count++] = *ft_port_interface(a->sent, 0);
		if (a->queue_count == 0)
			port->mode = ft_port_mode(a->sent);
	}
	port->queue_count = a->queue_count + (a->sent != NULL ? 1 : 0);
	return rc;
}

static int afxdp_start(struct ft_port *port, struct ft_error *error)
{
	struct afxdp *a = port->state;
	int rc = 0;

	if (a->queue_count > 0) {
		ft_wire_before_open(&a->wire, a->device.ifindex);
		rc = ft_xdp_program_open_window(&a->program);
		ft_wire_after_open(&a->wire);
	}
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': opening the window: %s", port->device,
			       strerror(-rc));
	return a->sent != NULL ? ft_port_start(a->sent, error) : 0;
}

static int afxdp_receive(struct ft_port *port, unsigned queue, struct ft_frame *frames,
			 int timeout_ms, struct ft_error *error)
{
	struct afxdp *a = port->state;
	int count;

	if (queue < a->queue_count)
		return ft_afxdp_queue_receive(port, &a->queues[queue], frames, timeout_ms, error);
	count = ft_port_receive(a->sent, 0, frames, timeout_ms, error);
	for (int i = 0; i < count; i++)
		frames[i].interface = (uint16_t)(port->interface_count - 1);
	return count;
}

static void afxdp_release(struct ft_port *port, unsigned queue)
{
	struct afxdp *a = port->state;

	if (queue < a->queue_count)
		ft_afxdp_queue_release(&a->queues[queue]);
	else
		ft_port_release(a->sent, 0);
}

static int afxdp_close_input(struct ft_port *port, struct ft_error *error)
{
	struct afxdp *a = port->state;
	int rc = 0;

	if (a->queue_count > 0) {
		ft_wire_before_close(&a->wire);
		rc = ft_xdp_program_close_window(&a->program);
		ft_wire_after_close(&a->wire);
		atomic_store_explicit(&a->closed_ns, ft_clock_monotonic_ns(), memory_order_release);
	}
	if (rc != 0)
		rc = ft_fail(error, rc, "port '%s': closing the window: %s", port->device,
			     strerror(-rc));
	/* Also then: its frames are drained only once it is closed. */
	if (a->sent != NULL && ft_port_close_input(a->sent, error) != 0)
		rc = -EIO;
	return rc;
}

static void afxdp_read_counts(struct ft_port *port, unsigned queue, struct ft_port_counts *counts)
{
	struct afxdp *a = port->state;

	if (queue < a->queue_count)
		ft_afxdp_queue_read_counts(a, &a->queues[queue], counts);
	else
		ft_port_read_counts(a->sent, 0, counts);
}

/* Both directions' statements as one. */
static void add_wire(struct ft_port_wire *sum, const struct ft_port_wire *more)
{
	sum->min += more->min;
	sum->max += more->max;
	sum->dropped_adapter += more->dropped_adapter;
	if (sum->agrees == 1 || (sum->agrees == -1 && more->agrees == 0))
		sum->agrees = more->agrees;
}

static void afxdp_read_wire(struct ft_port *port, struct ft_port_wire *wire)
{
	struct afxdp *a = port->state;
	struct ft_port_wire sent = {.agrees = -1};
	uint64_t offered = 0;

	for (unsigned i = 0; i < a->queue_count; i++)
		offered += a->queues[i].counts.offered;
	if (a->queue_count > 0)
		ft_wire_judge(&a->wire, port->device, FT_DIRECTION_IN, offered, wire);
	if (a->sent != NULL)
		ft_port_read_wire(a->sent, &sent);
	if (a->queue_count == 0)
		*wire = sent;
	else if (a->sent != NULL)
		add_wire(wire, &sent);
}

static json_t *afxdp_describe(const struct ft_port *port)
{
	const struct afxdp *a = port->state;
	json_t *object = ft_ethtool_describe(port->device);
	uint64_t stamped_late = 0;

	for (unsigned i = 0; i < a->queue_count; i++)
		stamped_late += a->queues[i].stamped_late;
	json_object_set_new(object, "mtu_bytes", json_integer(a->device.mtu_bytes));
	json_object_set_new(object, "receive_queues", json_integer(a->queue_count));
	json_object_set_new(object, "chunk_bytes", json_integer(a->layout.chunk_bytes));
	json_object_set_new(object, "chunks_per_queue", json_integer(a->layout.chunk_count));
	json_object_set_new(object, "need_wakeup", json_true());
	json_object_set_new(object, "vlan_tags_from_driver",
			    json_boolean(a->adapter_knows && a->device.tags));
	json_object_set_new(object, "stamped_at_receive", json_integer((json_int_t)stamped_late));
	json_object_set_new(object, "promiscuous", json_boolean(port->options.promiscuous));
	ft_stamps_describe(&a->stamping, object);
	return object;
}

static void afxdp_free(struct ft_port *port)
{
	struct afxdp *a = port->state;

	let_go(a);
	for (unsigned i = 0; i < a->queue_count; i++)
		free(a->queues[i].joined);
	ft_offload_restore(&a->offload);
	if (a->membership_fd >= 0)
		close(a->membership_fd);
	ft_port_free(a->sent);
	free(a);
}

/* `ring`: chunks a queue, in place of what --buffer holds. */
static const struct ft_port_key keys[] = {
	{"queues", 1, FT_PORT_MAX_QUEUES - 1},
	{"mode", 0, 0},
	{"ring", 8, 1u << 20},
	{NULL},
};

const struct ft_port_ops ft_port_afxdp = {
	.name = "afxdp",
	.is_interface = true,
	.keys = keys,
	.stamps_by_adapter = true,
	.create = afxdp_create,
	.open = afxdp_open,
	.start = afxdp_start,
	.receive = afxdp_receive,
	.release = afxdp_release,
	.close_input = afxdp_close_input,
	.read_counts = afxdp_read_counts,
	.read_wire = afxdp_read_wire,
	.describe = afxdp_describe,
	.free = afxdp_free,
};
