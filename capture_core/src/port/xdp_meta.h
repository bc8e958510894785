/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the XDP program (bpf/afxdp.bpf.c) writes before each frame that it hands to a socket. The
 * kernel does not tell a reader how much lies there, so this is a contract between the two.
 */
#ifndef FT_PORT_XDP_META_H
#define FT_PORT_XDP_META_H

#include <linux/types.h>

/* Ends where the frame begins. A driver without room for it leaves what was there: the reader
 * clears `tai_ns` of each frame that it has read. */
struct ft_xdp_meta {
	__u64 tai_ns;	  /* CLOCK_TAI as the program saw the frame; 0: nothing was written */
	__u64 adapter_ns; /* the adapter's stamp; 0: none */
	__u16 vlan_tpid;  /* of the tag that the adapter took out, host order; 0: none */
	__u16 vlan_tci;
	__u32 unused;
};

/* Receive queues of one port; frames of others pass to the host, uncounted. */
#define FT_XDP_MAX_QUEUES 16

#endif
