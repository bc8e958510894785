/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum (RFC 1071), in the byte order of the machine. */
#ifndef FT_GEN_CHECKSUM_H
#define FT_GEN_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Add `bytes` bytes to a running sum. An odd length is padded with zero, so it must come last. */
static inline uint64_t ft_checksum_add(uint64_t sum, const uint8_t *data, size_t bytes)
{
	uint64_t eight;
	uint32_t four;
	uint16_t two;

	for (; bytes >= sizeof(eight); data += sizeof(eight), bytes -= sizeof(eight)) {
		memcpy(&eight, data, sizeof(eight));
		sum += (eight & UINT32_MAX) + (eight >> 32);
	}
	if (bytes & sizeof(four)) {
		memcpy(&four, data, sizeof(four));
		data += sizeof(four);
		sum += four;
	}
	if (bytes & sizeof(two)) {
		memcpy(&two, data, sizeof(two));
		data += sizeof(two);
		sum += two;
	}
	if (bytes & 1) {
		two = 0;
		memcpy(&two, data, 1);
		sum += two;
	}
	return sum;
}

/* The one's complement sum in 16 bits: 0xffff where it includes a correct checksum. */
static inline uint16_t ft_checksum_fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#endif
