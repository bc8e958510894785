/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Sends test frames back to where they come from. Run by the kernel for each frame received; what
 * it does not send back goes on to the host untouched. Judging a test frame takes about 150 ns on a
 * virtual core of 2.4 GHz, so line rate of the smallest frame at 10GbE (67 ns) takes several
 * receive queues.
 *
 * A test frame is a UDP datagram, over IPv4 or IPv6 and behind any VLAN tags, that carries a
 * signature (ft/signature.h) or is addressed to this port's own MAC and UDP port 7 (RFC 862). A
 * signature's magic is XORed with a secret that only its sender knows, so it is known by the rest:
 * nine words that add up to 0xffff, the version, and flags that are known. Of other datagrams one
 * in 8 million looks like that.
 *
 * Two reflectors that face each other must not send a frame for ever. So a signature is marked as
 * it is sent back, and one that is marked stays here; and an echo comes from port 7, from which
 * nothing is sent back.
 */
#include <linux/bpf.h>

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "ft/signature_layout.h"
#include "gen/reflect_rules.h"

#define MAX_TAGS	8
#define QINQ_9100	0x9100 /* tags of before 802.1ad, still sold */
#define MORE_FRAGMENTS	0x2000
#define FRAGMENT_OFFSET 0x1fff
#define GROUP_BIT	1u
#define KNOWN_FLAGS	(FT_SIGNATURE_REFLECTED | FT_SIGNATURE_COVERED)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ft_reflect_rules);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FT_REFLECT_OUTCOMES);
	__type(key, __u32);
	__type(value, struct ft_reflect_count);
} counts SEC(".maps");

/* When the next frame is due at the cap's pace; shared by all receive queues. */
struct pace {
	struct bpf_spin_lock lock;
	__u64 due; /* in 2^-FT_REFLECT_COST_SHIFT ns */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pace);
} paces SEC(".maps");

/*
 * What a frame's headers say, copied out of it. They are read and written by offsets, with the
 * kernel's helpers: only for programs with CAP_PERFMON does the verifier let pointers into a frame
 * move by what a header says, and that capability is worth more than the few nanoseconds.
 */
struct datagram {
	struct ethhdr *ethernet; /* in the frame itself */
	__u32 addresses_at;	 /* source, then destination */
	__u32 udp_at;
	__u32 room_at; /* of a signature; 0: no room for one */
	bool is_ipv6;
	__be32 addresses[8]; /* as they lie in the frame: 2 of IPv4, or 8 */
	struct udphdr udp;
};

static __always_inline bool is_vlan(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD) ||
	       type == bpf_htons(QINQ_9100);
}

/* Where the Ethernet header and its tags end; 0 when the frame ends before. */
static __always_inline __u32 skip_tags(struct xdp_md *context, __be16 *type)
{
	__u32 at = ETH_HLEN;

	for (int tags = 0; tags < MAX_TAGS && is_vlan(*type); tags++) {
		__be16 tag[2]; /* its TCI, then the next type */

		if (bpf_xdp_load_bytes(context, at, tag, sizeof(tag)) != 0)
			return 0;
		*type = tag[1];
		at += sizeof(tag);
	}
	return at;
}

/* The datagram at `at`, of `bytes` in an IP packet: FT_REFLECT_SENT_BACK when it is whole. */
static __always_inline int find_udp(struct xdp_md *context, struct datagram *found, __u32 at,
				    __u32 bytes)
{
	__u32 claimed;

	if (bpf_xdp_load_bytes(context, at, &found->udp, sizeof(found->udp)) != 0)
		return FT_REFLECT_LENGTH;
	claimed = bpf_ntohs(found->udp.len);
	if (claimed < sizeof(found->udp) || claimed > bytes)
		return FT_REFLECT_LENGTH;
	found->udp_at = at;
	if (claimed >= sizeof(found->udp) + FT_SIGNATURE_ROOM_BYTES)
		found->room_at = at + claimed - FT_SIGNATURE_ROOM_BYTES;
	return FT_REFLECT_SENT_BACK;
}

/* `bytes`: of the frame from the IP header on, padding included. */
static __always_inline int find_ipv4(struct xdp_md *context, struct datagram *found, __u32 at,
				     __u32 bytes)
{
	struct iphdr ip;
	__u32 header, total;

	if (bpf_xdp_load_bytes(context, at, &ip, sizeof(ip)) != 0 || ip.version != 4 ||
	    ip.protocol != IPPROTO_UDP)
		return FT_REFLECT_FOREIGN;
	header = ip.ihl * 4u;
	total = bpf_ntohs(ip.tot_len);
	if (header < sizeof(ip) || total < header || total > bytes)
		return FT_REFLECT_LENGTH;
	if (ip.frag_off & bpf_htons(MORE_FRAGMENTS | FRAGMENT_OFFSET))
		return FT_REFLECT_FRAGMENT;
	found->addresses_at = at + offsetof(struct iphdr, saddr);
	found->addresses[0] = ip.saddr;
	found->addresses[1] = ip.daddr;
	return find_udp(context, found, at + header, total - header);
}

/* Datagrams behind extension headers are nobody's test frames. */
static __always_inline int find_ipv6(struct xdp_md *context, struct datagram *found, __u32 at,
				     __u32 bytes)
{
	struct ipv6hdr ip;
	__u32 payload;

	if (bpf_xdp_load_bytes(context, at, &ip, sizeof(ip)) != 0 || ip.version != 6)
		return FT_REFLECT_FOREIGN;
	if (ip.nexthdr == IPPROTO_FRAGMENT)
		return FT_REFLECT_FRAGMENT;
	if (ip.nexthdr != IPPROTO_UDP)
		return FT_REFLECT_FOREIGN;
	payload = bpf_ntohs(ip.payload_len);
	if (payload + sizeof(ip) > bytes)
		return FT_REFLECT_LENGTH;
	found->is_ipv6 = true;
	found->addresses_at = at + offsetof(struct ipv6hdr, saddr);
	__builtin_memcpy(found->addresses, &ip.saddr, 2 * sizeof(ip.saddr));
	return find_udp(context, found, at + sizeof(ip), payload);
}

static __always_inline int find_datagram(struct xdp_md *context, struct datagram *found)
{
	struct ethhdr *ethernet = (void *)(long)context->data;
	__u32 bytes = (__u32)bpf_xdp_get_buff_len(context), at;
	__be16 type;

	if ((void *)(ethernet + 1) > (void *)(long)context->data_end)
		return FT_REFLECT_FOREIGN;
	found->ethernet = ethernet;
	type = ethernet->h_proto;
	at = skip_tags(context, &type);
	if (at == 0)
		return FT_REFLECT_FOREIGN;
	if (type == bpf_htons(ETH_P_IP))
		return find_ipv4(context, found, at, bytes - at);
	if (type == bpf_htons(ETH_P_IPV6))
		return find_ipv6(context, found, at, bytes - at);
	return FT_REFLECT_FOREIGN;
}

static __always_inline __u32 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* One's complement sums do not depend on the byte order (RFC 1071 2). */
static __always_inline bool is_signature(const __u16 *room)
{
	__u8 version = ((const __u8 *)room)[FT_SIGNATURE_VERSION_AT];
	__u32 sum = 0;

	for (unsigned word = 0; word < FT_SIGNATURE_ROOM_BYTES / 2; word++)
		sum += room[word];
	return (version & ~KNOWN_FLAGS) == FT_SIGNATURE_VERSION && fold(sum) == 0xffff;
}

/*
 * Bytes 0 and 1 of the room are the complement of the other words' sum, which the mark makes
 * larger. So neither the sum of all nor the UDP checksum changes.
 */
static __always_inline void mark_reflected(__u16 *room)
{
	__u32 others = (__u16)~room[0];

	((__u8 *)room)[FT_SIGNATURE_VERSION_AT] |= FT_SIGNATURE_REFLECTED;
	room[0] = (__u16)~fold(others + bpf_htons(FT_SIGNATURE_REFLECTED << 8));
}

/* There is no memcmp() to call here. */
static __always_inline bool is_same(const __u8 *one, const __u8 *other)
{
	__u8 differs = 0;

	for (unsigned i = 0; i < ETH_ALEN; i++)
		differs |= one[i] ^ other[i];
	return differs == 0;
}

static __always_inline bool is_nobody_or_group4(__be32 address)
{
	__u32 first = bpf_ntohl(address) >> 24;

	return first == 0 || first >= 224; /* multicast, reserved, broadcast */
}

static __always_inline bool is_nobody_or_group6(const __be32 *address)
{
	return bpf_ntohl(address[0]) >> 24 == 0xff ||
	       (address[0] | address[1] | address[2] | address[3]) == 0;
}

static __always_inline bool is_for_one(const struct datagram *datagram)
{
	const struct ethhdr *ethernet = datagram->ethernet;
	const __be32 *addresses = datagram->addresses;

	if ((ethernet->h_dest[0] | ethernet->h_source[0]) & GROUP_BIT)
		return false;
	if (datagram->is_ipv6)
		return !is_nobody_or_group6(addresses) && !is_nobody_or_group6(addresses + 4);
	return !is_nobody_or_group4(addresses[0]) && !is_nobody_or_group4(addresses[1]);
}

/* What becomes of a whole datagram, the cap aside. `room` is zero where it has none. */
static __always_inline int judge(const struct datagram *datagram, const __u16 *room,
				 const struct ft_reflect_rules *rule)
{
	const struct ethhdr *ethernet = datagram->ethernet;
	const __be16 echo = bpf_htons(FT_REFLECT_ECHO_PORT);
	bool is_signed = datagram->room_at != 0 && is_signature(room);
	bool is_ours = is_same(ethernet->h_dest, rule->own_address);
	bool is_echo = datagram->udp.dest == echo && (is_ours || (ethernet->h_dest[0] & GROUP_BIT));
	bool is_marked = ((const __u8 *)room)[FT_SIGNATURE_VERSION_AT] & FT_SIGNATURE_REFLECTED;

	if (!is_signed && !is_echo)
		return FT_REFLECT_FOREIGN;
	if (!is_for_one(datagram))
		return FT_REFLECT_GROUP;
	if (is_same(ethernet->h_source, rule->own_address) ||
	    (is_signed ? is_marked : datagram->udp.source == echo))
		return FT_REFLECT_LOOP;
	return FT_REFLECT_SENT_BACK;
}

static __always_inline bool is_within_cap(const struct ft_reflect_rules *rule, __u64 now_ns)
{
	__u64 now = now_ns << FT_REFLECT_COST_SHIFT;
	const __u32 first = 0;
	struct pace *pace;
	bool within;

	if (rule->cost == 0)
		return true;
	pace = bpf_map_lookup_elem(&paces, &first);
	if (!pace)
		return false;
	bpf_spin_lock(&pace->lock);
	if (pace->due < now)
		pace->due = now;
	within = pace->due - now <= FT_REFLECT_EARLY_NS << FT_REFLECT_COST_SHIFT;
	if (within)
		pace->due += rule->cost;
	bpf_spin_unlock(&pace->lock);
	return within;
}

static __always_inline void swap_ends(struct xdp_md *context, struct datagram *datagram)
{
	struct ethhdr *ethernet = datagram->ethernet;
	__be32 *addresses = datagram->addresses;
	__be16 ports[2] = {datagram->udp.dest, datagram->udp.source};
	__u8 address[ETH_ALEN];

	__builtin_memcpy(address, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, address, ETH_ALEN);
	if (datagram->is_ipv6) {
		__be32 swapped[8];

		__builtin_memcpy(swapped, addresses + 4, sizeof(swapped) / 2);
		__builtin_memcpy(swapped + 4, addresses, sizeof(swapped) / 2);
		bpf_xdp_store_bytes(context, datagram->addresses_at, swapped, sizeof(swapped));
	} else {
		__be32 swapped[2] = {addresses[1], addresses[0]};

		bpf_xdp_store_bytes(context, datagram->addresses_at, swapped, sizeof(swapped));
	}
	bpf_xdp_store_bytes(context, datagram->udp_at, ports, sizeof(ports));
}

static __always_inline int handle(struct xdp_md *context, const struct ft_reflect_rules *rule,
				  __u64 now_ns)
{
	__u16 room[FT_SIGNATURE_ROOM_BYTES / 2] = {0};
	struct datagram datagram = {0};
	int outcome = find_datagram(context, &datagram);

	if (outcome != FT_REFLECT_SENT_BACK)
		return outcome;
	if (datagram.room_at != 0 &&
	    bpf_xdp_load_bytes(context, datagram.room_at, room, sizeof(room)) != 0)
		return FT_REFLECT_LENGTH;
	outcome = judge(&datagram, room, rule);
	if (outcome != FT_REFLECT_SENT_BACK)
		return outcome;
	if (!is_within_cap(rule, now_ns))
		return FT_REFLECT_CAPPED;
	swap_ends(context, &datagram);
	if (datagram.room_at != 0 && is_signature(room)) {
		mark_reflected(room);
		bpf_xdp_store_bytes(context, datagram.room_at, room, sizeof(room));
	}
	return FT_REFLECT_SENT_BACK;
}

SEC("xdp.frags")
int fieldtap_return(struct xdp_md *context)
{
	const __u32 first = 0;
	const struct ft_reflect_rules *rule = bpf_map_lookup_elem(&rules, &first);
	__u64 now_ns = bpf_ktime_get_ns();
	struct ft_reflect_count *count;
	__u32 outcome;

	if (!rule || now_ns >= rule->end_ns)
		return XDP_PASS;
	outcome = (__u32)handle(context, rule, now_ns);
	count = bpf_map_lookup_elem(&counts, &outcome);
	if (count) {
		count->frames += 1;
		count->bytes += bpf_xdp_get_buff_len(context);
	}
	return outcome == FT_REFLECT_SENT_BACK ? XDP_TX : XDP_PASS;
}

/* Its helpers may be called by programs under the GPL only (bpf_ktime_get_ns, spin locks). */
const char permission[] SEC("license") = "GPL";
