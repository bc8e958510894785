/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel takes the outer VLAN tag out of a frame; here it is put back where it was. */
#ifndef FT_PORT_VLAN_H
#define FT_PORT_VLAN_H

#include <stdint.h>

#include "ft/port.h"

#define FT_VLAN_TAG_BYTES 4u

/*
 * Insert a tag (IEEE 802.1Q 9.6: TPID, TCI) after the two MAC addresses. FT_VLAN_TAG_BYTES of
 * writable room must lie before `frame->data`. A frame of which not even the addresses were
 * captured keeps its bytes and gains the tag's length.
 */
void ft_vlan_restore(struct ft_frame *frame, uint16_t tci, uint16_t tpid);

#endif
