/* SPDX-License-Identifier: Apache-2.0 */
/* What the sending side writes; signature_read.c is the receiving side. */
#include "ft/signature.h"

#include <isa-l/crc.h>
#include <sys/random.h>

void ft_signature_draw_run(struct ft_signature_run *run)
{
	uint8_t bytes[3] = {0};

	/* Never short for so few bytes once the kernel's pool is up (getrandom(2)). */
	if (getrandom(bytes, sizeof(bytes), 0) < 0)
		bytes[0] = 1;
	run->secret = (uint16_t)(bytes[0] << 8 | bytes[1]);
	run->id = bytes[2];
}

void ft_signature_prepare(uint8_t *room, const struct ft_signature_run *run, uint16_t stream)
{
	uint16_t be_magic = htons(FT_SIGNATURE_MAGIC ^ run->secret), be_stream = htons(stream);

	memset(room, 0, FT_SIGNATURE_ROOM_BYTES);
	memcpy(room + FT_SIGNATURE_MAGIC_AT, &be_magic, sizeof(be_magic));
	room[FT_SIGNATURE_VERSION_AT] = FT_SIGNATURE_VERSION;
	room[FT_SIGNATURE_RUN_AT] = run->id;
	memcpy(room + FT_SIGNATURE_STREAM_AT, &be_stream, sizeof(be_stream));
}

unsigned ft_signature_cover(uint8_t *payload, uint8_t *room)
{
	uint8_t *at = room - FT_SIGNATURE_CRC_BYTES;
	uint32_t be_crc;

	if (room - payload < (ptrdiff_t)FT_SIGNATURE_COVERED_BYTES)
		return 0;
	be_crc = htonl(crc32_iscsi(payload, (int)(at - payload), UINT32_MAX) ^ UINT32_MAX);
	memcpy(at, &be_crc, sizeof(be_crc));
	room[FT_SIGNATURE_VERSION_AT] |= FT_SIGNATURE_COVERED;
	return FT_SIGNATURE_CRC_BYTES;
}
