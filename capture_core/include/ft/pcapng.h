/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng blocks (draft-ietf-opsawg-pcapng). Every function writes one whole block in host byte
 * order at `out`, which has `room` bytes, and returns its length, a multiple of 4; 0 when it does
 * not fit. All interfaces of a file have one link type and one snap length: libpcap reads nothing
 * from a file that mixes them.
 */
#ifndef FT_PCAPNG_H
#define FT_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/port.h"

/* Enough for any one statistics block of ours. */
#define FT_PCAPNG_STATISTICS_BYTES 256u
/* Enough for a section header or an interface block, filter included. */
#define FT_PCAPNG_HEADER_BYTES 8192u

/* Section header: program and machine are told. */
size_t ft_pcapng_write_section(uint8_t *out, size_t room, const char *application);

/* `filter` may be NULL. The comment and local option 0x8001 say where stamps come from. */
size_t ft_pcapng_write_interface(uint8_t *out, size_t room,
				 const struct ft_port_interface *interface, uint32_t snap_bytes,
				 const char *filter);

struct ft_pcapng_statistics {
	uint32_t interface;
	uint64_t now_ns;
	uint64_t started_ns;
	uint64_t delivered;  /* isb_usrdeliv: in this file */
	bool counts_port;    /* whether the counts below are told: once a port */
	uint64_t received;   /* isb_ifrecv: offered */
	uint64_t missed;     /* isb_ifdrop: dropped by the adapter */
	uint64_t accepted;   /* isb_filteraccept */
	uint64_t os_drops;   /* isb_osdrop: dropped by the kernel's ring */
	uint64_t ring_drops; /* local option 0x8002: ring, disk and excess, three 64-bit counts */
	uint64_t disk_drops;
	uint64_t excess;
};

size_t ft_pcapng_write_statistics(uint8_t *out, size_t room,
				  const struct ft_pcapng_statistics *statistics);

#endif
