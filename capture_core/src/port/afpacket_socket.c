/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of a queue: its TPACKET_V3 ring (Documentation/networking/packet_mmap.rst), its filter
 * and its place in the group that shares a port's frames.
 */
#include "port/afpacket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/vlan.h"

#define MAX_BLOCK_BYTES (1u << 20)
#define MIN_BLOCKS	2u
#define FRAME_BYTES	2048u /* only a divisor of the block size in TPACKET_V3 */
#define RETIRE_MS	20u   /* hand over a block that is not full after this long */

/* Ethernet header, two VLAN tags and slack; the ring's own headers before and after a frame. */
#define LINK_HEADER_BYTES 32u
#define RING_HEADER_BYTES 256u

int ft_afpacket_socket(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* 0: receives nothing yet */

	return fd < 0 ? -errno : fd;
}

/*
 * Blocks of at most 1 MiB that hold the longest frame whole (the kernel cuts what does not fit a
 * block), at least two, filling the asked-for buffer.
 */
static void size_ring(struct ft_afpacket_queue *queue, unsigned mtu_bytes, uint64_t buffer_bytes,
		      struct tpacket_req3 *request)
{
	unsigned page = (unsigned)sysconf(_SC_PAGESIZE);
	unsigned longest = mtu_bytes + LINK_HEADER_BYTES + RING_HEADER_BYTES;
	unsigned block = page;

	while (block < longest || (block < MAX_BLOCK_BYTES && block < buffer_bytes / 16))
		block *= 2;
	queue->block_bytes = block;
	queue->block_count = (unsigned)(buffer_bytes / block);
	if (queue->block_count < MIN_BLOCKS)
		queue->block_count = MIN_BLOCKS;
	queue->ring_bytes = (size_t)queue->block_bytes * queue->block_count;
	*request = (struct tpacket_req3){
		.tp_block_size = block,
		.tp_block_nr = queue->block_count,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = block / FRAME_BYTES * queue->block_count,
		.tp_retire_blk_tov = RETIRE_MS,
	};
}

static int set_option(int fd, int option, int value)
{
	return setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Stamp frames as they leave the driver, before they wait for us; the adapter's stamp is better. */
static int ask_for_stamps(const struct ft_afpacket *a, int fd)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (!a->stamping.adapter)
		return 0;
	return set_option(fd, PACKET_TIMESTAMP, SOF_TIMESTAMPING_RAW_HARDWARE);
}

int ft_afpacket_map_ring(const struct ft_port *port, struct ft_afpacket_queue *queue,
			 uint64_t buffer_bytes, struct ft_error *error)
{
	const struct ft_afpacket *a = port->state;
	struct tpacket_req3 request;
	int rc = set_option(queue->fd, PACKET_VERSION, TPACKET_V3);

	if (rc == 0) /* room to put a stripped tag back in place */
		rc = set_option(queue->fd, PACKET_RESERVE, FT_VLAN_TAG_BYTES);
	if (rc == 0)
		rc = ask_for_stamps(a, queue->fd);
	if (rc != 0)
		return ft_fail(error, rc, "port '%s': TPACKET_V3: %s", port->device, strerror(-rc));
	size_ring(queue, a->mtu_bytes, buffer_bytes, &request);
	if (setsockopt(queue->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
		return ft_fail(error, -errno,
			       "port '%s': cannot get a kernel ring of %zu bytes: %s; ask for a "
			       "smaller --buffer",
			       port->device, queue->ring_bytes, strerror(errno));
	queue->ring =
		mmap(NULL, queue->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, queue->fd, 0);
	if (queue->ring == MAP_FAILED) {
		queue->ring = NULL;
		return ft_fail(error, -errno, "port '%s': mapping the kernel ring: %s",
			       port->device, strerror(errno));
	}
	return 0;
}

void ft_afpacket_close(struct ft_afpacket_queue *queue)
{
	if (queue->ring != NULL)
		munmap(queue->ring, queue->ring_bytes);
	if (queue->fd >= 0)
		close(queue->fd);
}

int ft_afpacket_bind(int fd, int ifindex)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = ifindex,
	};

	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int attach(int fd, const struct sock_filter *code, unsigned count)
{
	struct sock_fprog program = {.len = (unsigned short)count, .filter = (void *)code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

int ft_afpacket_refuse_all(int fd)
{
	static const struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};

	return attach(fd, nothing, 1);
}

/* Frames that are sent, or (`sent` 0) those that are not. */
static int attach_direction(int fd, bool sent, uint32_t snap_bytes)
{
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, sent ? snap_bytes : 0),
		BPF_STMT(BPF_RET | BPF_K, sent ? 0 : snap_bytes),
	};

	return attach(fd, code, 4);
}

/*
 * Frames of an unwanted direction are refused before they count as offered. The filter's result is
 * the number of bytes to keep, so that the kernel does not copy what we would cut off.
 */
int ft_afpacket_take_wanted(const struct ft_port *port, int fd)
{
	uint32_t snap_bytes = port->options.snap_bytes;
	const struct sock_filter every[] = {BPF_STMT(BPF_RET | BPF_K, snap_bytes)};

	if (port->options.directions == FT_DIRECTION_OUT)
		return attach_direction(fd, true, snap_bytes);
	if (port->options.directions == FT_DIRECTION_IN) {
		int rc;

		/* The cheaper way, which a group does not know of (af_packet.c fanout_add). */
		if (port->queue_count > 1)
			return attach_direction(fd, false, snap_bytes);
		rc = set_option(fd, PACKET_IGNORE_OUTGOING, 1);
		if (rc != 0)
			return rc;
	}
	return attach(fd, every, 1);
}

/*
 * By the kernel's symmetric hash of addresses and ports, so that a flow stays with one queue. Not
 * with PACKET_FANOUT_FLAG_DEFRAG, although fragments other than the first then go elsewhere: it
 * would hand over whole datagrams in place of the fragments that were on the wire.
 */
int ft_afpacket_share(const struct ft_port *port, struct ft_afpacket *a)
{
	/* The kernel chooses a number that no other group of this network namespace has. */
	int group = (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_UNIQUEID) << 16;

	for (unsigned i = 0; i < port->queue_count; i++) {
		socklen_t size = sizeof(group);
		int rc = set_option(a->queues[i].fd, PACKET_FANOUT, group);

		if (rc != 0)
			return rc;
		if (i == 0 &&
		    getsockopt(a->queues[0].fd, SOL_PACKET, PACKET_FANOUT, &group, &size) < 0)
			return -errno;
	}
	return 0;
}
