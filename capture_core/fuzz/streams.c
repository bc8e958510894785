/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: stream files. What is accepted must send: frames are made, passed over and
 * begun anew, and each one's lengths and checksums must be right.
 */
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "gen/checksum.h"
#include "gen/stream.h"

#define FRAMES 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The memory of a port that there is none of here; transmit.c has more to it. */
void *ft_transmit_memory(struct ft_transmit *transmit, size_t bytes)
{
	transmit->area = calloc(1, bytes);
	return transmit->area;
}

static uint16_t be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* A plain IPv4 frame, if it is one: behind tags the same code makes it. */
static void check_ipv4(const uint8_t *frame, size_t bytes)
{
	const uint8_t *ip = frame + ETH_HLEN;

	if (be16(frame + 12) != ETH_P_IP || ip[0] != 0x45)
		return;
	if (be16(ip + 2) != bytes - ETH_HLEN)
		abort();
	if (ft_checksum_fold(ft_checksum_add(0, ip, 20)) != 0xffff)
		abort();
}

static void send_some(struct ft_stream_set *set)
{
	struct ft_source *source = &set->source;
	struct iovec frames[FT_TRANSMIT_BATCH];
	ft_fine_time before = 0;

	for (unsigned made = 0; made < FRAMES && source->due != FT_SOURCE_END;) {
		unsigned count;

		if (source->due < before)
			abort();
		before = source->due;
		count = source->ops->fill(source, source->due, 1, frames, FT_TRANSMIT_BATCH);
		if (count == 0 || count > FT_TRANSMIT_BATCH)
			abort();
		for (unsigned i = 0; i < count; i++)
			check_ipv4(frames[i].iov_base, frames[i].iov_len);
		made += count;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ft_signature_run run = {.secret = 1, .id = 2};
	struct ft_transmit transmit = {
		.device = "port",
		.max_bytes = 1514,
		.max_tagged_bytes = 1518,
		.speed_bps = 10000000000,
		.slots_in_flight = 2 * FT_TRANSMIT_BATCH,
	};
	struct ft_stream_file file;
	struct ft_stream_set set = {0};
	struct ft_error error;
	int rc = ft_stream_file_parse((const char *)data, size, "file", &file, &error);

	if (rc == 0)
		rc = ft_stream_set_create(&file, &transmit, &run, &set, &error);
	if (rc == 0) {
		send_some(&set);
		if (set.source.due < FT_SOURCE_END / 2)
			set.source.ops->skip(&set.source, set.source.due + 1, FRAMES);
		set.source.ops->restart(&set.source);
		send_some(&set);
	} else if (error.text[0] == '\0') {
		abort();
	}
	ft_stream_set_free(&set);
	ft_stream_file_free(&file);
	free(transmit.area);
	return 0;
}
