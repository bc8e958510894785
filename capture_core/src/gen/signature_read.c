/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ft_signature_read() runs on the receiver's thread, once a frame. At 10GbE line rate of the
 * smallest frame that thread has 67 ns; a longer frame has more, so all of its payload is checked.
 */
#include <isa-l/crc.h>
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "ft/signature.h"
#include "gen/checksum.h"

#define VLAN_TAG     4u
#define MAX_TAGS     8u
#define QINQ_9100    0x9100u /* tags of before 802.1ad, still sold */
#define MPLS_LABEL   4u
#define MAX_LABELS   16u
#define MPLS_BOTTOM  0x01u /* of the third byte (RFC 3032 2.1) */
#define IP_ADDRESSES 8u
#define NO_PROTOCOL  256u

/* What a frame carries. The last `bytes` at `data` end where the payload does. */
struct carried {
	const uint8_t *data; /* the transport header, or what follows the last tag */
	size_t bytes;
	unsigned protocol;	  /* IPPROTO_, NO_PROTOCOL where there is no IP */
	const uint8_t *addresses; /* both, of IP */
	size_t address_bytes;	  /* of both together */
};

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

/* An IPv4 packet that is whole, without the padding behind it. */
static bool enter_ipv4(struct carried *carried)
{
	const uint8_t *ip = carried->data;
	size_t header, total;

	if (carried->bytes < sizeof(struct iphdr) || ip[0] >> 4 != IPVERSION)
		return false;
	header = (ip[0] & 0x0fu) * 4u;
	total = be16(ip + 2);
	if (header < sizeof(struct iphdr) || total < header || total > carried->bytes ||
	    (be16(ip + 6) & (IP_MF | IP_OFFMASK)) != 0)
		return false;
	*carried = (struct carried){
		.data = ip + header,
		.bytes = total - header,
		.protocol = ip[9],
		.addresses = ip + offsetof(struct iphdr, saddr),
		.address_bytes = 2 * sizeof(struct in_addr),
	};
	return true;
}

/* Without looking behind extension headers: what follows one is no transport that is checked. */
static bool enter_ipv6(struct carried *carried)
{
	const uint8_t *ip = carried->data;
	size_t bytes;

	if (carried->bytes < sizeof(struct ip6_hdr) || ip[0] >> 4 != 6)
		return false;
	bytes = be16(ip + offsetof(struct ip6_hdr, ip6_plen));
	if (bytes > carried->bytes - sizeof(struct ip6_hdr))
		return false;
	*carried = (struct carried){
		.data = ip + sizeof(struct ip6_hdr),
		.bytes = bytes,
		.protocol = ip[offsetof(struct ip6_hdr, ip6_nxt)],
		.addresses = ip + offsetof(struct ip6_hdr, ip6_src),
		.address_bytes = 2 * sizeof(struct in6_addr),
	};
	return true;
}

static bool enter_mpls(struct carried *carried)
{
	for (unsigned labels = 0; labels < MAX_LABELS; labels++) {
		const uint8_t *label = carried->data;

		if (carried->bytes <= MPLS_LABEL)
			return false;
		carried->data += MPLS_LABEL;
		carried->bytes -= MPLS_LABEL;
		if (label[2] & MPLS_BOTTOM)
			return carried->data[0] >> 4 == 6 ? enter_ipv6(carried)
							  : enter_ipv4(carried);
	}
	return false;
}

/* Returns false where the frame is none that could carry a signature. */
static bool enter(const uint8_t *frame, size_t bytes, struct carried *carried)
{
	size_t at = ETH_HLEN - 2;
	uint16_t type;

	for (unsigned tags = 0;; tags++, at += VLAN_TAG) {
		if (at + 2 > bytes || tags > MAX_TAGS)
			return false;
		type = be16(frame + at);
		if (!is_vlan(type))
			break;
	}
	*carried = (struct carried){
		.data = frame + at + 2, .bytes = bytes - at - 2, .protocol = NO_PROTOCOL};
	switch (type) {
	case ETH_P_IP:
		return enter_ipv4(carried);
	case ETH_P_IPV6:
		return enter_ipv6(carried);
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
		return enter_mpls(carried);
	default:
		return true;
	}
}

/* How long the transport's header is, SIZE_MAX where it does not fit before the signature. */
static size_t header_bytes(const struct carried *carried)
{
	size_t room = carried->bytes - FT_SIGNATURE_ROOM_BYTES, bytes;

	switch (carried->protocol) {
	case IPPROTO_UDP:
		bytes = sizeof(struct udphdr);
		break;
	case IPPROTO_TCP:
		bytes = room > offsetof(struct tcphdr, window) ? (carried->data[12] >> 4) * 4u : 0;
		bytes = bytes < sizeof(struct tcphdr) ? SIZE_MAX : bytes;
		break;
	case IPPROTO_ICMP:
		bytes = sizeof(struct icmphdr);
		break;
	case IPPROTO_ICMPV6:
		bytes = sizeof(struct icmp6_hdr);
		break;
	default:
		bytes = 0;
	}
	return bytes <= room ? bytes : SIZE_MAX;
}

/*
 * The Internet checksum over all that IP carries, and where the protocol says so its addresses. The
 * signature's room was found whole, so it adds up to nothing.
 */
static bool adds_up(const struct carried *carried, bool with_addresses)
{
	uint64_t sum = 0;

	if (with_addresses) {
		sum = (uint64_t)htons((uint16_t)carried->protocol) +
		      htons((uint16_t)carried->bytes);
		sum = ft_checksum_add(sum, carried->addresses, carried->address_bytes);
	}
	sum = ft_checksum_add(sum, carried->data, carried->bytes - FT_SIGNATURE_ROOM_BYTES);
	return ft_checksum_fold(sum) == 0xffff;
}

static bool transport_is_intact(const struct carried *carried)
{
	switch (carried->protocol) {
	case IPPROTO_UDP:
		if (be16(carried->data + 4) != carried->bytes)
			return false;
		/* Zero says that there is none (RFC 768), which IPv6 forbids (RFC 8200 8.1). */
		if (be16(carried->data + 6) == 0)
			return carried->address_bytes == IP_ADDRESSES;
		return adds_up(carried, true);
	case IPPROTO_TCP:
	case IPPROTO_ICMPV6:
		return adds_up(carried, true);
	case IPPROTO_ICMP:
		return adds_up(carried, false);
	default:
		return true;
	}
}

/* The CRC32C of the payload before it, in a frame whose signature says that there is one. */
static bool payload_is_intact(const struct carried *carried, size_t header)
{
	const uint8_t *payload = carried->data + header;
	size_t room = carried->bytes - header - FT_SIGNATURE_ROOM_BYTES;
	size_t covered = room - FT_SIGNATURE_CRC_BYTES;

	if (room < FT_SIGNATURE_CRC_BYTES)
		return false;
	return (crc32_iscsi((unsigned char *)payload, (int)covered, UINT32_MAX) ^ UINT32_MAX) ==
	       be32(payload + covered);
}

enum ft_signature_verdict ft_signature_read(const uint8_t *frame, size_t bytes,
					    const struct ft_signature_run *run,
					    struct ft_signature *signature)
{
	struct carried carried;
	const uint8_t *room;
	size_t header;
	uint8_t flags;

	if (!enter(frame, bytes, &carried) || carried.bytes < FT_SIGNATURE_ROOM_BYTES)
		return FT_SIGNATURE_FOREIGN;
	room = carried.data + carried.bytes - FT_SIGNATURE_ROOM_BYTES;
	flags = room[FT_SIGNATURE_VERSION_AT] ^ FT_SIGNATURE_VERSION;
	if (be16(room + FT_SIGNATURE_MAGIC_AT) != (FT_SIGNATURE_MAGIC ^ run->secret) ||
	    (flags & ~(FT_SIGNATURE_REFLECTED | FT_SIGNATURE_COVERED)) != 0 ||
	    room[FT_SIGNATURE_RUN_AT] != run->id)
		return FT_SIGNATURE_FOREIGN;
	if (ft_checksum_fold(ft_checksum_add(0, room, FT_SIGNATURE_ROOM_BYTES)) != 0xffff)
		return FT_SIGNATURE_BROKEN;
	signature->stream = be16(room + FT_SIGNATURE_STREAM_AT);
	signature->sequence = be32(room + FT_SIGNATURE_SEQUENCE_AT);
	signature->sent_ns = (uint64_t)be16(room + FT_SIGNATURE_SENT_AT) << 32 |
			     be32(room + FT_SIGNATURE_SENT_AT + 2);
	signature->reflected = flags & FT_SIGNATURE_REFLECTED;
	header = header_bytes(&carried);
	if (header == SIZE_MAX || !transport_is_intact(&carried) ||
	    ((flags & FT_SIGNATURE_COVERED) && !payload_is_intact(&carried, header)))
		return FT_SIGNATURE_CORRUPT;
	return FT_SIGNATURE_VALID;
}
