/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `afpacket`: every Linux interface, through a TPACKET_V3 ring
 * (Documentation/networking/packet_mmap.rst).
 *
 * receive() and release() run on the hot thread, once for up to FT_BATCH_FRAMES frames: at 10GbE
 * line rate of the smallest frame that is 67 ns a frame for everything. They take no lock and make
 * no call except poll() when the ring is empty.
 *
 * The window opens at bind() and closes with a filter that drops everything; what the kernel
 * counted in between (PACKET_STATISTICS, drops included) is `offered`.
 */
#include <net/if.h> /* before the kernel's own */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ft/clock.h"
#include "port/ethtool.h"
#include "port/offload.h"
#include "port/port_ops.h"
#include "port/vlan.h"
#include "port/wire.h"

#define MAX_BLOCK_BYTES (1u << 20)
#define MIN_BLOCKS	2u
#define FRAME_BYTES	2048u /* only a divisor of the block size in TPACKET_V3 */
#define RETIRE_MS	20u   /* hand over a block that is not full after this long */
#define DRAIN_NS	(2 * FT_NS_PER_SECOND)

/* Ethernet header, two VLAN tags and slack; the ring's own headers before and after a frame. */
#define LINK_HEADER_BYTES 32u
#define RING_HEADER_BYTES 256u

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW	  101

struct afpacket {
	int fd;
	int order_fd; /* see keep_order */
	int ifindex;
	unsigned mtu_bytes;
	uint32_t longest_bytes; /* beyond this a frame was joined by the stack */
	struct ft_offload offload;

	uint8_t *ring;
	size_t ring_bytes;
	unsigned block_bytes;
	unsigned block_count;
	unsigned block; /* the one being read */
	unsigned left;	/* frames of it not yet handed out; 0: block not open */
	struct tpacket3_hdr *next;

	struct ft_port_counts counts;
	uint64_t dropped_told; /* of counts.dropped_kernel, told with some frame */
	uint64_t lost_before;  /* to be told with the next */
	uint64_t received;
	_Atomic uint64_t closed_ns; /* monotonic; 0: open. Written by who closes the input. */
	struct ft_wire wire;
};

static int query(struct afpacket *a, const char *device, unsigned long request, struct ifreq *ifr)
{
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", device);
	return ioctl(a->fd, request, ifr) < 0 ? -errno : 0;
}

static int afpacket_create(struct ft_port *port, struct ft_error *error)
{
	struct afpacket *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	a->fd = a->order_fd = -1;
	a->offload.state_fd = a->offload.xdp_link_fd = -1;
	port->state = a;
	port->mode = "tpacket_v3";
	if (strlen(port->device) >= IF_NAMESIZE)
		return ft_fail(
			error, -ENODEV,
			"port '%s': longer than an interface name can be; see fieldtap ports",
			port->device);
	a->ifindex = (int)if_nametoindex(port->device);
	if (a->ifindex == 0)
		return ft_fail(error, -ENODEV, "port '%s': no such interface; see fieldtap ports",
			       port->device);
	return 0;
}

static void name_interfaces(struct ft_port *port, uint16_t link_type)
{
	static const struct {
		enum ft_direction direction;
		const char *suffix, *text;
	} kinds[] = {{FT_DIRECTION_IN, "rx", "received"}, {FT_DIRECTION_OUT, "tx", "sent"}};
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
		interface->timestamps = "host";
		snprintf(interface->name, sizeof(interface->name), "%s:%s", port->device,
			 kinds[i].suffix);
		snprintf(interface->description, sizeof(interface->description),
			 "frames %s by %s (driver %s)", kinds[i].text, port->device,
			 driver[0] != '\0' ? driver : "unknown");
	}
}

static int read_link(struct ft_port *port, struct afpacket *a, struct ft_error *error)
{
	struct ifreq ifr = {0};
	int rc = query(a, port->device, SIOCGIFHWADDR, &ifr);
	int type = ifr.ifr_hwaddr.sa_family;

	if (rc == 0)
		rc = query(a, port->device, SIOCGIFMTU, &ifr);
	a->mtu_bytes = (unsigned)ifr.ifr_mtu;
	if (rc == 0)
		rc = query(a, port->device, SIOCGIFFLAGS, &ifr);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': %s", port->device, strerror(-rc));
	if (!(ifr.ifr_flags & IFF_UP))
		return ft_fail(error, -ENETDOWN,
			       "port '%s' is down, so no frame would come; bring it up: ip link "
			       "set %s up",
			       port->device, port->device);
	a->longest_bytes = a->mtu_bytes + ETH_HLEN + 2 * FT_VLAN_TAG_BYTES;
	if (type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK)
		name_interfaces(port, LINKTYPE_ETHERNET);
	else if (type == ARPHRD_NONE || type == ARPHRD_TUNNEL)
		name_interfaces(port, LINKTYPE_RAW);
	else
		return ft_fail(error, -EINVAL,
			       "port '%s': interface type %d is neither Ethernet nor raw IP",
			       port->device, type);
	return 0;
}

/*
 * Blocks of at most 1 MiB that hold the longest frame whole (the kernel cuts what does not fit a
 * block), at least two, filling the asked-for buffer.
 */
static void size_ring(struct afpacket *a, uint64_t buffer_bytes, struct tpacket_req3 *request)
{
	unsigned page = (unsigned)sysconf(_SC_PAGESIZE);
	unsigned longest = a->mtu_bytes + LINK_HEADER_BYTES + RING_HEADER_BYTES;
	unsigned block = page;

	while (block < longest || (block < MAX_BLOCK_BYTES && block < buffer_bytes / 16))
		block *= 2;
	a->block_bytes = block;
	a->block_count = (unsigned)(buffer_bytes / block);
	if (a->block_count < MIN_BLOCKS)
		a->block_count = MIN_BLOCKS;
	a->ring_bytes = (size_t)a->block_bytes * a->block_count;
	*request = (struct tpacket_req3){
		.tp_block_size = block,
		.tp_block_nr = a->block_count,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = block / FRAME_BYTES * a->block_count,
		.tp_retire_blk_tov = RETIRE_MS,
	};
}

static int set_option(struct afpacket *a, int option, int value)
{
	return setsockopt(a->fd, SOL_PACKET, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int map_ring(struct ft_port *port, struct afpacket *a, struct ft_error *error)
{
	struct tpacket_req3 request;
	int on = 1, rc = set_option(a, PACKET_VERSION, TPACKET_V3);

	if (rc == 0) /* room to put a stripped tag back in place */
		rc = set_option(a, PACKET_RESERVE, FT_VLAN_TAG_BYTES);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': TPACKET_V3: %s", port->device, strerror(-rc));
	/* Stamp frames as they leave the driver, before they wait for us. */
	setsockopt(a->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	size_ring(a, port->options.buffer_bytes, &request);
	if (setsockopt(a->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
		return ft_fail(error, -errno,
			       "port '%s': cannot get a kernel ring of %zu bytes: %s; ask for a "
			       "smaller --buffer",
			       port->device, a->ring_bytes, strerror(errno));
	a->ring = mmap(NULL, a->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	if (a->ring == MAP_FAILED) {
		a->ring = NULL;
		return ft_fail(error, -errno, "port '%s': mapping the kernel ring: %s",
			       port->device, strerror(errno));
	}
	return 0;
}

static int attach(int fd, const struct sock_filter *code, unsigned count)
{
	struct sock_fprog program = {.len = (unsigned short)count, .filter = (void *)code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

static const struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};

/*
 * Frames of an unwanted direction are refused before they count as offered. The filter's result is
 * the number of bytes to keep, so that the kernel does not copy what we would cut off.
 */
static int select_direction(struct ft_port *port, struct afpacket *a)
{
	uint32_t snap = port->options.snap_bytes;
	const struct sock_filter outgoing[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, snap),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_filter every[] = {BPF_STMT(BPF_RET | BPF_K, snap)};

	if (port->options.directions == FT_DIRECTION_OUT)
		return attach(a->fd, outgoing, 4);
	if (port->options.directions == FT_DIRECTION_IN) {
		int rc = set_option(a, PACKET_IGNORE_OUTGOING, 1);

		if (rc != 0)
			return rc;
	}
	return attach(a->fd, every, 1);
}

static int become_promiscuous(struct ft_port *port, struct afpacket *a)
{
	struct packet_mreq request = {.mr_ifindex = a->ifindex, .mr_type = PACKET_MR_PROMISC};

	if (!port->options.promiscuous)
		return 0;
	return setsockopt(a->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)) < 0
		       ? -errno
		       : 0;
}

static int afpacket_open(struct ft_port *port, struct ft_error *error)
{
	struct afpacket *a = port->state;
	int rc;

	a->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* 0: receives nothing yet */
	if (a->fd < 0)
		return ft_fail(error, -errno,
			       "port '%s': cannot open a packet socket: %s; run as root or give "
			       "the program cap_net_raw and cap_net_admin",
			       port->device, strerror(errno));
	rc = read_link(port, a, error);
	if (rc == 0 && !port->options.allow_coalesced)
		rc = ft_offload_stop(port->device, a->ifindex, &a->offload, error);
	if (rc == 0)
		rc = map_ring(port, a, error);
	if (rc != 0)
		return rc;
	rc = select_direction(port, a);
	if (rc == 0)
		rc = become_promiscuous(port, a);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': setting up the packet socket: %s",
			       port->device, strerror(-rc));
	return 0;
}

static int bind_to_port(int fd, int ifindex)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = ifindex,
	};

	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

/*
 * Drivers hand frames to the stack in batches, and the stack serves the last taker of a frame when
 * the batch ends, the others at once (net/core/dev.c __netif_receive_skb_list_core). A frame of
 * which no protocol wants anything has the oldest packet socket as its last taker: were that ours,
 * such frames would come after others that followed them. So an older socket stands there, which
 * takes nothing.
 */
static int keep_order(struct afpacket *a)
{
	a->order_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (a->order_fd < 0 || attach(a->order_fd, nothing, 1) != 0)
		return -errno;
	return bind_to_port(a->order_fd, a->ifindex);
}

static int afpacket_start(struct ft_port *port, struct ft_error *error)
{
	struct afpacket *a = port->state;
	int rc = keep_order(a);

	ft_wire_before_open(&a->wire, a->ifindex);
	if (rc == 0)
		rc = bind_to_port(a->fd, a->ifindex);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': bind: %s", port->device, strerror(-rc));
	ft_wire_after_open(&a->wire);
	return 0;
}

static struct tpacket_block_desc *current_block(const struct afpacket *a)
{
	return (struct tpacket_block_desc *)(a->ring + (size_t)a->block * a->block_bytes);
}

static void close_block(struct afpacket *a)
{
	/* Release: we have read all of the block before the kernel may write to it. */
	__atomic_store_n(&current_block(a)->hdr.bh1.block_status, TP_STATUS_KERNEL,
			 __ATOMIC_RELEASE);
	a->block = a->block + 1 == a->block_count ? 0 : a->block + 1;
}

/* The kernel resets its 32-bit counts at each reading; they are read at least once a second. */
static void read_statistics(struct afpacket *a)
{
	struct tpacket_stats_v3 stats;
	socklen_t size = sizeof(stats);

	if (getsockopt(a->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0)
		return;
	a->counts.offered += stats.tp_packets;
	a->counts.dropped_kernel += stats.tp_drops;
}

/* The ring was full at some time since the last reading: say so at the next frame. */
static void count_lost_before(struct afpacket *a)
{
	read_statistics(a);
	a->lost_before += a->counts.dropped_kernel - a->dropped_told;
	a->dropped_told = a->counts.dropped_kernel;
}

/* Whether the kernel has handed the current block over; opens it then. */
static bool open_block(struct afpacket *a)
{
	struct tpacket_block_desc *block = current_block(a);
	/* Acquire: the frames of a block were written before its status. */
	uint32_t status = __atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE);

	if (!(status & TP_STATUS_USER))
		return false;
	a->left = block->hdr.bh1.num_pkts;
	a->next = (struct tpacket3_hdr *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
	if (status & TP_STATUS_LOSING)
		count_lost_before(a);
	if (a->left == 0)
		close_block(a);
	return a->left > 0;
}

/* sll_pkttype to direction (bits 0-1) and reception type (bits 2-4) of the EPB flags word. */
static uint32_t flags_of(uint8_t packet_type)
{
	switch (packet_type) {
	case PACKET_OUTGOING:
		return 2;
	case PACKET_HOST:
		return 1 | 1 << 2;
	case PACKET_MULTICAST:
		return 1 | 2 << 2;
	case PACKET_BROADCAST:
		return 1 | 3 << 2;
	case PACKET_OTHERHOST:
		return 1 | 4 << 2;
	default:
		return 1;
	}
}

static void describe_frame(const struct ft_port *port, const struct afpacket *a,
			   struct tpacket3_hdr *header, struct ft_frame *frame)
{
	const struct sockaddr_ll *link =
		(const void *)((const uint8_t *)header + TPACKET_ALIGN(sizeof(*header)));
	bool outgoing = link->sll_pkttype == PACKET_OUTGOING;

	frame->data = (uint8_t *)header + header->tp_mac;
	frame->stamp_ns = header->tp_sec * FT_NS_PER_SECOND + header->tp_nsec;
	frame->captured_bytes = header->tp_snaplen;
	frame->length_bytes = header->tp_len;
	frame->epb_flags = flags_of(link->sll_pkttype);
	frame->interface = outgoing && port->interface_count > 1;
	if (header->tp_status & TP_STATUS_VLAN_VALID)
		ft_vlan_restore(frame, (uint16_t)header->hv1.tp_vlan_tci,
				header->tp_status & TP_STATUS_VLAN_TPID_VALID
					? header->hv1.tp_vlan_tpid
					: ETH_P_8021Q);
	frame->dropped_before = 0;
	frame->coalesced = frame->length_bytes > a->longest_bytes;
}

/* What poll() woke us for when no block came: the link went down (go on) or the port went away. */
static int check_socket(struct ft_port *port, struct afpacket *a, struct ft_error *error)
{
	int code;
	socklen_t size = sizeof(code);

	getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &code, &size); /* else poll() goes on saying so */
	if (if_nametoindex(port->device) == (unsigned)a->ifindex)
		return 0;
	return ft_fail(error, -ENODEV, "port '%s' is gone: its interface was removed",
		       port->device);
}

/* Once closed: whether everything that the kernel accepted has been received. */
static bool drained(struct afpacket *a)
{
	uint64_t closed_ns = atomic_load_explicit(&a->closed_ns, memory_order_acquire);

	if (closed_ns == 0)
		return false;
	read_statistics(a);
	return a->received >= a->counts.offered - a->counts.dropped_kernel ||
	       ft_clock_monotonic_ns() - closed_ns > DRAIN_NS;
}

static int wait_for_block(struct ft_port *port, struct afpacket *a, int timeout_ms,
			  struct ft_error *error)
{
	struct pollfd waiter = {.fd = a->fd, .events = POLLIN};

	if (drained(a))
		return -ENODATA;
	if (poll(&waiter, 1, timeout_ms) > 0 && (waiter.revents & (POLLERR | POLLHUP | POLLNVAL)))
		return check_socket(port, a, error);
	return 0;
}

static int afpacket_receive(struct ft_port *port, unsigned queue, struct ft_frame *frames,
			    int timeout_ms, struct ft_error *error)
{
	struct afpacket *a = port->state;
	unsigned count;

	(void)queue;
	if (a->left == 0 && !open_block(a)) {
		int rc = wait_for_block(port, a, timeout_ms, error);

		if (rc != 0 || !open_block(a))
			return rc;
	}
	count = a->left < FT_BATCH_FRAMES ? a->left : FT_BATCH_FRAMES;
	for (unsigned i = 0; i < count; i++) {
		struct tpacket3_hdr *header = a->next;

		a->next = (struct tpacket3_hdr *)((uint8_t *)header + header->tp_next_offset);
		__builtin_prefetch(a->next);
		describe_frame(port, a, header, &frames[i]);
	}
	frames[0].dropped_before = a->lost_before;
	a->lost_before = 0;
	a->left -= count;
	a->received += count;
	return (int)count;
}

static void afpacket_release(struct ft_port *port, unsigned queue)
{
	struct afpacket *a = port->state;

	(void)queue;
	if (a->left == 0)
		close_block(a);
}

static int afpacket_close_input(struct ft_port *port, struct ft_error *error)
{
	struct afpacket *a = port->state;
	int rc;

	ft_wire_before_close(&a->wire);
	rc = attach(a->fd, nothing, 1);
	ft_wire_after_close(&a->wire);
	atomic_store_explicit(&a->closed_ns, ft_clock_monotonic_ns(), memory_order_release);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': closing the window: %s", port->device,
			       strerror(-rc));
	return 0;
}

static void afpacket_read_counts(struct ft_port *port, unsigned queue,
				 struct ft_port_counts *counts)
{
	struct afpacket *a = port->state;

	(void)queue;
	read_statistics(a);
	*counts = a->counts;
}

static void afpacket_read_wire(struct ft_port *port, struct ft_port_wire *wire)
{
	const struct afpacket *a = port->state;

	ft_wire_judge(&a->wire, port->device, port->options.directions, a->counts.offered, wire);
}

static json_t *afpacket_describe(const struct ft_port *port)
{
	const struct afpacket *a = port->state;
	json_t *object = ft_ethtool_describe(port->device);

	json_object_set_new(object, "mtu_bytes", json_integer(a->mtu_bytes));
	json_object_set_new(object, "kernel_ring_bytes", json_integer((json_int_t)a->ring_bytes));
	json_object_set_new(object, "kernel_block_bytes", json_integer(a->block_bytes));
	json_object_set_new(object, "promiscuous", json_boolean(port->options.promiscuous));
	return object;
}

static void afpacket_free(struct ft_port *port)
{
	struct afpacket *a = port->state;

	if (a->ring != NULL)
		munmap(a->ring, a->ring_bytes);
	if (a->fd >= 0)
		close(a->fd);
	if (a->order_fd >= 0)
		close(a->order_fd);
	ft_offload_restore(&a->offload);
	free(a);
}

static const struct ft_port_key keys[] = {{"queues", 1, FT_PORT_MAX_QUEUES}, {NULL}};

const struct ft_port_ops ft_port_afpacket = {
	.name = "afpacket",
	.keys = keys,
	.create = afpacket_create,
	.open = afpacket_open,
	.start = afpacket_start,
	.receive = afpacket_receive,
	.release = afpacket_release,
	.close_input = afpacket_close_input,
	.read_counts = afpacket_read_counts,
	.read_wire = afpacket_read_wire,
	.describe = afpacket_describe,
	.free = afpacket_free,
};
