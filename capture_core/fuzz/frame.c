/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: any bytes taken for a frame, its flow read and a switch's stamp looked for.
 * What comes before the first frame of a pcap file is skipped, so that any such file is a seed.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipe/flow.h"
#include "port/arista.h"

#define PCAP_HEADERS_BYTES (24u + 16u)
#define STAMP_AT	   24u
#define LONGEST_BYTES	   (256u * 1024u)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static const struct ft_flow_key key = {{0x0123456789abcdefull, 0xfedcba9876543210ull}};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void swap(uint8_t *at, unsigned bytes)
{
	uint8_t saved[16];

	memcpy(saved, at, bytes);
	memcpy(at, at + bytes, bytes);
	memcpy(at + bytes, saved, bytes);
}

/* What is found lies within the frame, and is the same flow in the other direction. */
static void read_flow(uint16_t link_type, uint8_t *frame, uint32_t captured)
{
	const uint8_t *end = frame + captured;
	struct ft_flow flow, reverse;

	ft_flow_read(&key, link_type, frame, captured, &flow);
	must(flow.addresses == NULL || flow.addresses + 2 * flow.address_bytes <= end);
	must(flow.ports == NULL || (flow.addresses != NULL && flow.ports + 4 <= end));
	if (flow.addresses != NULL)
		swap(frame + (flow.addresses - frame), flow.address_bytes);
	if (flow.ports != NULL)
		swap(frame + (flow.ports - frame), 2);
	if (link_type == FT_LINKTYPE_ETHERNET && captured >= 12)
		swap(frame, 6);
	ft_flow_read(&key, link_type, frame, captured, &reverse);
	must(reverse.hash == flow.hash);
}

static void read_stamp(const uint8_t *data, uint32_t captured, uint64_t received_ns)
{
	struct ft_frame frame = {.data = data, .captured_bytes = captured, .stamp_ns = received_ns};

	ft_arista_stamp(&frame);
	must(!frame.unstamped || frame.stamp_ns == received_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	uint64_t received_ns;
	uint32_t captured;
	uint8_t *frame;

	if (count < PCAP_HEADERS_BYTES || count > PCAP_HEADERS_BYTES + LONGEST_BYTES)
		return 0;
	memcpy(&received_ns, bytes + STAMP_AT, sizeof(received_ns));
	captured = (uint32_t)(count - PCAP_HEADERS_BYTES);
	/* Exactly as long, so that a byte read beyond is seen. */
	frame = malloc(captured > 0 ? captured : 1);
	memcpy(frame, bytes + PCAP_HEADERS_BYTES, captured);
	read_stamp(frame, captured, received_ns);
	read_flow(FT_LINKTYPE_ETHERNET, frame, captured);
	read_flow(FT_LINKTYPE_RAW, frame, captured);
	free(frame);
	return 0;
}
