/* SPDX-License-Identifier: Apache-2.0 */
#include "port/vlan.h"

#include <string.h>

#define ADDRESSES_BYTES 12u

void ft_vlan_restore(struct ft_frame *frame, uint16_t tci, uint16_t tpid)
{
	uint8_t *start = (uint8_t *)frame->data - FT_VLAN_TAG_BYTES;

	frame->length_bytes += FT_VLAN_TAG_BYTES;
	if (frame->captured_bytes < ADDRESSES_BYTES)
		return;
	memmove(start, frame->data, ADDRESSES_BYTES);
	start[ADDRESSES_BYTES] = (uint8_t)(tpid >> 8);
	start[ADDRESSES_BYTES + 1] = (uint8_t)tpid;
	start[ADDRESSES_BYTES + 2] = (uint8_t)(tci >> 8);
	start[ADDRESSES_BYTES + 3] = (uint8_t)tci;
	frame->data = start;
	frame->captured_bytes += FT_VLAN_TAG_BYTES;
}
