/* SPDX-License-Identifier: Apache-2.0 */
#include "port/synth_flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "gen/checksum.h"

#define FROM_ADDRESS 0xc6120000u /* 198.18.0.0 */
#define TO_ADDRESS   0xc6130001u /* 198.19.0.1 */
#define FIRST_PORT   1024u
#define PORTS	     60000u
#define TO_PORT	     9u /* discard */

#define LINE_BYTES 64u /* of the processor's cache: a frame begins on one */

#define IP_AT  ETH_HLEN
#define UDP_AT (IP_AT + sizeof(struct iphdr))

static void fill_headers(const struct ft_synth_flows *flows, uint8_t *frame)
{
	const struct ethhdr ethernet = {
		.h_dest = {0x02, 0x00, 0xc6, 0x13, 0x00, 0x01},
		.h_source = {0x02, 0x00, 0xc6, 0x12, 0x00, 0x00},
		.h_proto = htons(ETH_P_IP),
	};
	const struct iphdr ip = {
		.version = IPVERSION,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons((uint16_t)(flows->frame_bytes - IP_AT)),
		.frag_off = htons(IP_DF),
		.ttl = IPDEFTTL,
		.protocol = IPPROTO_UDP,
		.daddr = htonl(TO_ADDRESS),
	};
	const struct udphdr udp = {
		.dest = htons(TO_PORT),
		.len = htons((uint16_t)(flows->frame_bytes - UDP_AT)),
	};

	memcpy(frame, &ethernet, sizeof(ethernet));
	memcpy(frame + IP_AT, &ip, sizeof(ip));
	memcpy(frame + UDP_AT, &udp, sizeof(udp));
}

/* What all frames have in common; the payload is zero. */
static void fill_frames(struct ft_synth_flows *flows)
{
	const uint8_t *first = flows->frames;
	struct udphdr udp;

	for (uint32_t i = 0; i < flows->live; i++)
		fill_headers(flows, flows->frames + (size_t)i * flows->stride);
	memcpy(&udp, first + UDP_AT, sizeof(udp));
	flows->ip_sum = ft_checksum_add(0, first + IP_AT, sizeof(struct iphdr));
	flows->udp_sum = ft_checksum_add((uint64_t)htons(IPPROTO_UDP) + udp.len + htonl(TO_ADDRESS),
					 first + UDP_AT, sizeof(udp));
}

int ft_synth_flows_create(struct ft_synth_flows *flows, uint64_t seed)
{
	size_t bytes;

	if (flows->live > flows->flow_count)
		flows->live = (uint32_t)flows->flow_count;
	flows->stride = (flows->frame_bytes + LINE_BYTES - 1) & ~(LINE_BYTES - 1);
	bytes = (size_t)flows->stride * flows->live;
	flows->deck.alive = calloc(flows->live, sizeof(*flows->deck.alive));
	flows->frames = aligned_alloc(LINE_BYTES, bytes);
	if (flows->deck.alive == NULL || flows->frames == NULL)
		return -ENOMEM;
	flows->deck.random = seed;
	memset(flows->frames, 0, bytes);
	fill_frames(flows);
	return 0;
}

void ft_synth_flows_destroy(struct ft_synth_flows *flows)
{
	free(flows->deck.alive);
	free(flows->frames);
}

static void become(const struct ft_synth_flows *flows, uint8_t *frame, uint64_t flow)
{
	uint32_t address = htonl(FROM_ADDRESS + (uint32_t)flow);
	uint16_t port = htons((uint16_t)(FIRST_PORT + flow % PORTS));
	uint16_t ip_check = (uint16_t)~ft_checksum_fold(flows->ip_sum + address);
	uint16_t udp_check = (uint16_t)~ft_checksum_fold(flows->udp_sum + address + port);

	if (udp_check == 0) /* which would say that there is none (RFC 768) */
		udp_check = 0xffff;
	memcpy(frame + IP_AT + offsetof(struct iphdr, saddr), &address, sizeof(address));
	memcpy(frame + IP_AT + offsetof(struct iphdr, check), &ip_check, sizeof(ip_check));
	memcpy(frame + UDP_AT + offsetof(struct udphdr, source), &port, sizeof(port));
	memcpy(frame + UDP_AT + offsetof(struct udphdr, check), &udp_check, sizeof(udp_check));
}

/* How many frames a flow sends: count/N, and the first flows one of what that leaves. */
static uint64_t quota_of(const struct ft_synth_flows *flows, uint64_t flow)
{
	if (flows->count == 0)
		return FT_SYNTH_TURN_FRAMES;
	return flows->count / flows->flow_count + (flow < flows->count % flows->flow_count);
}

bool ft_synth_flows_renew(struct ft_synth_flows *flows)
{
	uint64_t begin = flows->next_flow, end;

	if (begin == flows->flow_count) {
		if (flows->count != 0)
			return false;
		begin = 0;
	}
	end = flows->flow_count - begin < flows->live ? flows->flow_count : begin + flows->live;
	for (uint64_t flow = begin; flow < end; flow++) {
		uint8_t *frame = flows->frames + (size_t)(flow - begin) * flows->stride;
		uint64_t quota = quota_of(flows, flow);

		if (quota == 0)
			break; /* nor has any flow after it */
		become(flows, frame, flow);
		flows->deck.alive[flows->deck.alive_count++] =
			(struct ft_synth_flow){.frame = frame, .left = quota};
	}
	flows->next_flow = end;
	return flows->deck.alive_count > 0;
}
