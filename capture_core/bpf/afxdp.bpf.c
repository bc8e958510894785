/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Counts the frames of each receive queue, writes down when they came, and hands them to the
 * queue's AF_XDP socket. Run by the kernel for each frame, before it makes an skb of it.
 *
 * Frames count, and are taken from the host, while `window` holds the map of counts. Taking that
 * out is what closes it: the kernel then waits for programs that still run (kernel/bpf/syscall.c
 * maybe_wait_bpf_programs), so that the counts are final when it returns.
 */
#include <linux/bpf.h>

#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "port/xdp_meta.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, FT_XDP_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct frame_counts {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FT_XDP_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u64);
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct frame_counts);
} window SEC(".maps");

/* Since Linux 6.8, for drivers that offer it (Documentation/networking/xdp-rx-metadata.rst). */
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *context,
					 __u64 *timestamp) __ksym __weak;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *context, __be16 *tpid,
					__u16 *tci) __ksym __weak;

static __always_inline bool count_frame(__u32 queue)
{
	const __u32 first = 0;
	void *counts = bpf_map_lookup_elem(&window, &first);
	__u64 *count = counts ? bpf_map_lookup_elem(counts, &queue) : (void *)0;

	if (!count)
		return false;
	*count += 1;
	return true;
}

static __always_inline void write_meta(struct xdp_md *context, bool adapter_knows)
{
	struct ft_xdp_meta *meta;
	__u64 adapter_ns = 0;
	__be16 tpid = 0;
	__u16 tci = 0;

	if (bpf_xdp_adjust_meta(context, -(int)sizeof(*meta)) != 0)
		return;
	if (adapter_knows) {
		if (bpf_xdp_metadata_rx_timestamp(context, &adapter_ns) != 0)
			adapter_ns = 0;
		if (bpf_xdp_metadata_rx_vlan_tag(context, &tpid, &tci) != 0)
			tpid = 0;
	}
	meta = (void *)(long)context->data_meta;
	if ((void *)(meta + 1) > (void *)(long)context->data)
		return;
	meta->tai_ns = bpf_ktime_get_tai_ns();
	meta->adapter_ns = adapter_ns;
	meta->vlan_tpid = bpf_ntohs(tpid);
	meta->vlan_tci = tci;
	meta->unused = 0;
}

static __always_inline int take(struct xdp_md *context, bool adapter_knows)
{
	__u32 queue = context->rx_queue_index;

	if (!count_frame(queue))
		return XDP_PASS;
	write_meta(context, adapter_knows);
	return (int)bpf_redirect_map(&sockets, queue, XDP_PASS);
}

/* For every driver. */
SEC("xdp.frags")
int fieldtap_take(struct xdp_md *context)
{
	return take(context, false);
}

/* For drivers that tell the adapter's stamp or the tag that it took out. */
SEC("xdp.frags")
int fieldtap_ask(struct xdp_md *context)
{
	return take(context, true);
}

/* Functions of the kernel may be called by programs under the GPL only. */
const char permission[] SEC("license") = "GPL";
