/* SPDX-License-Identifier: Apache-2.0 */
/* A signed frame as streams make them unless told otherwise: what a port is probed with. */
#ifndef FT_TEMPLATE_H
#define FT_TEMPLATE_H

#include <stdint.h>

#include "ft/signature.h"

/* Without FCS: Ethernet, IPv4, UDP and the signature just fit the smallest frame. */
#define FT_TEMPLATE_MIN_BYTES 60u

/*
 * Fill `frame` with a whole Ethernet/IPv4/UDP frame of `bytes` bytes, checksums included:
 * 198.18.0.1 to 198.19.0.1 (RFC 2544 C.2.2) between locally administered MAC addresses, to UDP
 * port 7. Returns where its FT_SIGNATURE_ROOM_BYTES lie; it must be stamped before it is sent.
 */
uint8_t *ft_template_fill(uint8_t *frame, uint32_t bytes, const struct ft_signature_run *run,
			  uint16_t stream);

#endif
