/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamps that an Arista 7280 switch writes into frames: after the addresses and any VLAN tags a
 * header of EtherType 0xd28b, subtype 1, a version and the time; the frame's own EtherType follows.
 * The version says which time scale (high byte: 0 TAI, 1 UTC), which format (next four bits: 1 for
 * 32 bits of seconds, 2 for the lower 16) and which hardware (last four bits); 32 bits of
 * nanoseconds end it. The format is documented in tcpdump's print-arista.c by its maker, and in
 * Arista's white paper "Overview of Arista Timestamps".
 */
#ifndef FT_PORT_ARISTA_H
#define FT_PORT_ARISTA_H

#include <stdbool.h>

#include "ft/port.h"

/*
 * Give an Ethernet frame the switch's stamp, as UTC; its bytes stay as they are. `stamp_ns` must
 * hold the receiver's, which completes a time of 16 bits of seconds. A frame without a valid header
 * keeps it and is marked `unstamped`.
 */
void ft_arista_stamp(struct ft_frame *frame);

#endif
