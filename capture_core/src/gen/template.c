/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/template.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>

#include "gen/checksum.h"
#include "gen/test_network.h"

static void put_mac(uint8_t *at, uint64_t mac)
{
	for (unsigned i = 0; i < ETH_ALEN; i++)
		at[i] = (uint8_t)(mac >> 8 * (ETH_ALEN - 1 - i));
}

static void fill_ethernet(uint8_t *at)
{
	uint16_t type = htons(ETH_P_IP);

	put_mac(at, FT_FAR_MAC);
	put_mac(at + ETH_ALEN, FT_NEAR_MAC);
	memcpy(at + ETH_HLEN - sizeof(type), &type, sizeof(type));
}

static void fill_ipv4(uint8_t *at, uint32_t bytes)
{
	struct iphdr header = {
		.version = IPVERSION,
		.ihl = sizeof(header) / 4,
		.tot_len = htons((uint16_t)bytes),
		.frag_off = htons(IP_DF),
		.ttl = IPDEFTTL,
		.protocol = IPPROTO_UDP,
		.saddr = htonl(FT_NEAR_IPV4),
		.daddr = htonl(FT_FAR_IPV4),
	};

	memcpy(at, &header, sizeof(header));
	header.check = (uint16_t)~ft_checksum_fold(ft_checksum_add(0, at, sizeof(header)));
	memcpy(at, &header, sizeof(header));
}

/* The payload must be in place: however the signature is stamped, it adds up to the same. */
static void fill_udp(uint8_t *at, uint32_t bytes)
{
	struct udphdr header = {
		.source = htons(FT_NEAR_PORT),
		.dest = htons(FT_ECHO_PORT),
		.len = htons((uint16_t)bytes),
	};
	uint64_t sum = (uint64_t)htons(IPPROTO_UDP) + header.len + htonl(FT_NEAR_IPV4) +
		       htonl(FT_FAR_IPV4);

	memcpy(at, &header, sizeof(header));
	header.check = (uint16_t)~ft_checksum_fold(ft_checksum_add(sum, at, bytes));
	if (header.check == 0) /* which would say that there is none (RFC 768) */
		header.check = 0xffff;
	memcpy(at, &header, sizeof(header));
}

uint8_t *ft_template_fill(uint8_t *frame, uint32_t bytes, const struct ft_signature_run *run,
			  uint16_t stream)
{
	uint8_t *ip = frame + ETH_HLEN, *udp = ip + sizeof(struct iphdr);
	uint8_t *payload = udp + sizeof(struct udphdr);
	uint8_t *room = frame + bytes - FT_SIGNATURE_ROOM_BYTES;

	fill_ethernet(frame);
	fill_ipv4(ip, bytes - ETH_HLEN);
	for (uint8_t *at = payload; at < room; at++)
		*at = (uint8_t)(at - payload);
	ft_signature_prepare(room, run, stream);
	ft_signature_cover(payload, room);
	ft_signature_stamp(room, 0, 0);
	fill_udp(udp, bytes - ETH_HLEN - (uint32_t)sizeof(struct iphdr));
	return room;
}
