/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Makes frames out of a template, each with a number and a time of its own, and sends them. Run by
 * the kernel for each frame of a test run that is live (Documentation/bpf/bpf_prog_run.rst).
 *
 * The kernel uses a frame's memory again once whoever received it is done, without writing the
 * template anew. The receiver may have turned the addresses round, so the head is always written.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "gen/live.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ft_live);
} live SEC(".maps");

/* Whole words, since the compiler knows no alignment of a frame and would copy bytes. */
static __always_inline void copy8(void *to, const void *from)
{
	*(__u64 *)to = *(const __u64 *)from;
}

/* Also of the shortest frame all but the signature, which is written whole. */
static __always_inline void write_head(const struct ft_live *state, void *data, void *end)
{
#pragma unroll
	for (unsigned at = 0; at < FT_LIVE_HEAD_BYTES; at += 8)
		if (data + at + 8 <= end)
			copy8(data + at, state->head + at);
}

static __always_inline void write_signature(struct ft_live *state, void *room, __u64 sent_ns)
{
	__u8 made[sizeof(state->room)] __attribute__((aligned(8)));

#pragma unroll
	for (unsigned at = 0; at < sizeof(made); at += 8)
		copy8(made + at, state->room + at);
	ft_signature_stamp(made + FT_LIVE_ROOM_AT, state->number++, sent_ns);
	*(__u16 *)room = *(__u16 *)(made + FT_LIVE_ROOM_AT);
	copy8(room + 2, made + FT_LIVE_ROOM_AT + 2);
	copy8(room + 10, made + FT_LIVE_ROOM_AT + 10);
}

static __always_inline void tell_time(struct ft_live *state, __u64 sent_ns)
{
	__u32 at = state->made++;

	if (state->tells_time && at < FT_LIVE_TOLD_FRAMES)
		state->sent_ns[at] = sent_ns;
}

SEC("xdp")
int fieldtap_make(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	const __u32 first = 0;
	struct ft_live *state = bpf_map_lookup_elem(&live, &first);
	__u64 sent_ns;
	void *room;

	if (!state)
		return XDP_DROP;
	sent_ns = bpf_ktime_get_ns() + state->utc_ns;
	tell_time(state, sent_ns);
	write_head(state, data, end);
	room = data + (state->room_at & 0xfff);
	if (room + FT_SIGNATURE_ROOM_BYTES > end)
		return XDP_DROP;
	write_signature(state, room, sent_ns);
	return (int)bpf_redirect(state->ifindex, 0);
}

const char permission[] SEC("license") = "GPL";
