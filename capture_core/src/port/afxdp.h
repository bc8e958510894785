/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the back end `afxdp` share: afxdp.c opens, afxdp_queue.c runs. */
#ifndef FT_PORT_AFXDP_H
#define FT_PORT_AFXDP_H

#include <stdatomic.h>

#include "port/offload.h"
#include "port/port_ops.h"
#include "port/stamps.h"
#include "port/wire.h"
#include "port/xdp_device.h"
#include "port/xdp_meta.h"
#include "port/xdp_program.h"
#include "port/xsk.h"

/* Written by the thread that receives the queue, from the start of the window on. */
struct afxdp_queue {
	_Alignas(64) struct ft_xsk xsk;
	uint32_t first; /* of the batch in hand: its place in the ring, */
	uint32_t taken; /* and how many chunks it is */

	uint64_t received;
	struct ft_port_counts counts;
	uint64_t dropped_told; /* of counts.dropped_kernel, told with some frame */
	uint32_t lost_at;      /* the ring's place before which frames were lost, */
	bool lost;	       /* if any were */

	uint64_t tai_checked_ns; /* when `tai_utc_ns`, TAI - UTC, was last looked up */
	uint64_t tai_utc_ns;
	uint64_t stamped_late; /* frames stamped as they were received from the socket */

	uint8_t *joined; /* where frames of several chunks are put together; NULL: none come */
	unsigned joined_count;
};

struct afxdp {
	struct ft_xdp_device device;
	struct ft_xdp_program program;
	struct ft_xsk_layout layout;
	uint32_t longest_bytes;
	bool generic;
	bool adapter_knows; /* the program asks the driver for stamp and tag */
	struct ft_stamping stamping;
	int membership_fd;	    /* keeps the port promiscuous */
	struct ft_port *sent;	    /* NULL: only received frames are wanted */
	_Atomic uint64_t closed_ns; /* monotonic; 0: open. Written by who closes the input. */
	struct ft_offload offload;
	struct ft_wire wire;
	unsigned queue_count; /* of AF_XDP sockets */
	struct afxdp_queue queues[FT_PORT_MAX_QUEUES];
};

/* -ENOMEM. */
int ft_afxdp_queue_prepare(const struct afxdp *a, struct afxdp_queue *queue);

/* As the verbs of ft/port.h. */
int ft_afxdp_queue_receive(struct ft_port *port, struct afxdp_queue *queue, struct ft_frame *frames,
			   int timeout_ms, struct ft_error *error);
void ft_afxdp_queue_release(struct afxdp_queue *queue);
void ft_afxdp_queue_read_counts(const struct afxdp *a, struct afxdp_queue *queue,
				struct ft_port_counts *counts);

#endif
