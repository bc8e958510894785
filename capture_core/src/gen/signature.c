/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ft_signature_read() runs on the receiver's thread, once a frame. At 10GbE line rate of the
 * smallest frame that thread has 67 ns; a longer frame has more, so all of its payload is checked.
 */
#include "ft/signature.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/random.h>

#include "gen/checksum.h"

#define MAGIC	  0xf7a9u
#define VLAN_TAG  4u
#define MAX_TAGS  8u
#define QINQ_9100 0x9100u /* tags of before 802.1ad, still sold */

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
	uint16_t be_magic = htons(MAGIC ^ run->secret), be_stream = htons(stream);

	memset(room, 0, FT_SIGNATURE_ROOM_BYTES);
	memcpy(room + FT_SIGNATURE_MAGIC_AT, &be_magic, sizeof(be_magic));
	room[FT_SIGNATURE_VERSION_AT] = FT_SIGNATURE_VERSION;
	room[FT_SIGNATURE_RUN_AT] = run->id;
	memcpy(room + FT_SIGNATURE_STREAM_AT, &be_stream, sizeof(be_stream));
}

static uint16_t be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)be16(at) << 16 | be16(at + 2);
}

static bool is_vlan(uint16_t type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD || type == QINQ_9100;
}

/* The IPv4 header behind up to MAX_TAGS VLAN tags, or NULL. */
static const uint8_t *find_ipv4(const uint8_t *frame, size_t bytes)
{
	size_t at = ETH_HLEN - 2;

	for (unsigned tags = 0; tags <= MAX_TAGS; tags++, at += VLAN_TAG) {
		if (at + 2 > bytes)
			return NULL;
		if (!is_vlan(be16(frame + at)))
			return be16(frame + at) == ETH_P_IP ? frame + at + 2 : NULL;
	}
	return NULL;
}

/* The UDP datagram of an unfragmented IPv4 packet, or NULL. Padding behind it is left out. */
static const uint8_t *find_udp(const uint8_t *ip, size_t bytes, size_t *udp_bytes)
{
	size_t header, total;

	if (bytes < sizeof(struct iphdr) || ip[0] >> 4 != IPVERSION)
		return NULL;
	header = (ip[0] & 0x0fu) * 4u;
	total = be16(ip + 2);
	if (header < sizeof(struct iphdr) || total > bytes ||
	    total < header + sizeof(struct udphdr) || ip[9] != IPPROTO_UDP ||
	    (be16(ip + 6) & (IP_MF | IP_OFFMASK)) != 0)
		return NULL;
	*udp_bytes = be16(ip + header + 4);
	if (*udp_bytes < sizeof(struct udphdr) || *udp_bytes > total - header)
		return NULL;
	return ip + header;
}

/* A checksum of zero says that there is none (RFC 768). */
static bool udp_is_intact(const uint8_t *ip, const uint8_t *udp, size_t udp_bytes)
{
	uint64_t sum = (uint64_t)htons(IPPROTO_UDP) + htons((uint16_t)udp_bytes);

	if (be16(udp + 6) == 0)
		return true;
	sum = ft_checksum_add(sum, ip + 12, 8); /* both addresses */
	return ft_checksum_fold(ft_checksum_add(sum, udp, udp_bytes)) == 0xffff;
}

enum ft_signature_verdict ft_signature_read(const uint8_t *frame, size_t bytes,
					    const struct ft_signature_run *run,
					    struct ft_signature *signature)
{
	const uint8_t *ip = find_ipv4(frame, bytes), *udp, *room;
	size_t udp_bytes;
	uint8_t flags;

	udp = ip != NULL ? find_udp(ip, (size_t)(frame + bytes - ip), &udp_bytes) : NULL;
	if (udp == NULL || udp_bytes < sizeof(struct udphdr) + FT_SIGNATURE_ROOM_BYTES)
		return FT_SIGNATURE_FOREIGN;
	room = udp + udp_bytes - FT_SIGNATURE_ROOM_BYTES;
	flags = room[FT_SIGNATURE_VERSION_AT] ^ FT_SIGNATURE_VERSION;
	if (be16(room + FT_SIGNATURE_MAGIC_AT) != (MAGIC ^ run->secret) ||
	    (flags & ~FT_SIGNATURE_REFLECTED) != 0 || room[FT_SIGNATURE_RUN_AT] != run->id)
		return FT_SIGNATURE_FOREIGN;
	if (ft_checksum_fold(ft_checksum_add(0, room, FT_SIGNATURE_ROOM_BYTES)) != 0xffff ||
	    !udp_is_intact(ip, udp, udp_bytes))
		return FT_SIGNATURE_CORRUPT;
	signature->stream = be16(room + FT_SIGNATURE_STREAM_AT);
	signature->sequence = be32(room + FT_SIGNATURE_SEQUENCE_AT);
	signature->sent_ns = (uint64_t)be16(room + FT_SIGNATURE_SENT_AT) << 32 |
			     be32(room + FT_SIGNATURE_SENT_AT + 2);
	signature->reflected = flags != 0;
	return FT_SIGNATURE_VALID;
}
