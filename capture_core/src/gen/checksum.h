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
	uint32_t quad;
	uint8_t tail[4] = {0};

	for (; bytes >= sizeof(quad); data += sizeof(quad), bytes -= sizeof(quad)) {
		memcpy(&quad, data, sizeof(quad));
		sum += quad;
	}
	memcpy(tail, data, bytes);
	memcpy(&quad, tail, sizeof(quad));
	return sum + quad;
}

/* The one's complement sum in 16 bits: 0xffff where it includes a correct checksum. */
static inline uint16_t ft_checksum_fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#endif
