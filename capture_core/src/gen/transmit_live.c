/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back end `live` of the generator: an XDP program (bpf/live.bpf.c) makes the frames within the
 * kernel and redirects them to the port, so that no skb is made of them
 * (Documentation/bpf/bpf_prog_run.rst, live packet mode). It cannot pace, and a port that has no
 * room drops frames without telling us; only the port's counter knows.
 *
 * To run a program that is loaded takes no privilege, so that the engine has none by then.
 *
 * flood() runs on the sender's thread, which the kernel keeps busy until all frames of a call are
 * made.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ft/clock.h"
#include "gen/frame_file.h"
#include "gen/live.h"
#include "gen/transmit.h"
#include "port/ethtool.h"
#include "port/xdp_device.h"
#include "port/xdp_program.h"

#include "live.bpf.h" /* made from bpf/live.bpf.c when building */

/* A page, less what the kernel puts before and after a frame (net/bpf/test_run.c). */
#define MAX_FRAME_BYTES 3000u

struct live {
	struct bpf_object *object;
	struct ft_xdp_program
		program;	/* on the port, where its driver sends XDP frames only then */
	struct ft_live *shared; /* the map of the program that makes frames */
	int program_fd;
};

static size_t shared_bytes(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (sizeof(struct ft_live) + page - 1) / page * page;
}

static int load(struct live *l)
{
	void *shared;
	int rc;

	libbpf_set_print(NULL); /* what it has to say is in the code that it returns */
	l->object = bpf_object__open_mem(live_bpf, sizeof(live_bpf), NULL);
	if (l->object == NULL)
		return -errno;
	rc = bpf_object__load(l->object);
	if (rc != 0)
		return rc;
	l->program_fd =
		bpf_program__fd(bpf_object__find_program_by_name(l->object, "fieldtap_make"));
	shared = mmap(NULL, shared_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_object__find_map_fd_by_name(l->object, "live"), 0);
	if (shared == MAP_FAILED)
		return -errno;
	l->shared = shared;
	return 0;
}

/* Whether the driver sends XDP frames; a kernel that does not tell leaves it to the probe. */
static bool sends(int ifindex)
{
	uint64_t features;

	return ft_xdp_device_read_features(ifindex, &features) != 0 ||
	       (features & FT_XDP_FEATURE_SENDS);
}

/*
 * A veth's answer follows what its peer does with XDP frames (drivers/net/veth.c
 * veth_set_xdp_features), and it counts those that the peer took. With others nobody knows.
 */
static bool tells_truth(const struct ft_transmit *t)
{
	uint64_t features;
	char driver[32];

	ft_ethtool_driver(t->device, driver, sizeof(driver));
	return strcmp(driver, "veth") == 0 &&
	       ft_xdp_device_read_features(t->ifindex, &features) == 0;
}

/* Many drivers have queues for XDP frames only while a program is attached. */
static int get_queues(struct ft_transmit *t, struct live *l, struct ft_error *error)
{
	struct ft_error ignored;

	if (sends(t->ifindex))
		return 0;
	if (ft_xdp_program_load(&l->program, t->ifindex, false) == 0)
		ft_xdp_program_attach(&l->program, t->device, t->ifindex, false, &ignored);
	if (sends(t->ifindex))
		return 0;
	ft_xdp_program_free(&l->program);
	return ft_fail(error, -EOPNOTSUPP,
		       "-o: port '%s': its driver sends no XDP frames (a veth does where its peer "
		       "has GRO on, or an XDP program); send by afpacket:%s",
		       t->device, t->device);
}

static int live_open(struct ft_transmit *t, struct ft_error *error)
{
	struct live *l = t->state = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	l->program.link_fd = -1;
	if (t->longest_bytes > MAX_FRAME_BYTES)
		return ft_fail(error, -EMSGSIZE,
			       "-o: port '%s': live sends frames of up to %u bytes, not of %u; "
			       "send by afpacket:%s",
			       t->device, MAX_FRAME_BYTES, t->longest_bytes, t->device);
	rc = load(l);
	if (rc != 0)
		return ft_fail(error, rc,
			       "-o: port '%s': cannot load the program that makes frames: %s; it "
			       "takes root, or cap_bpf and cap_net_admin",
			       t->device, strerror(-rc));
	rc = get_queues(t, l, error);
	if (rc != 0)
		return rc;
	t->unproven = !tells_truth(t);
	l->shared->ifindex = (uint32_t)t->ifindex;
	l->shared->tells_time = t->tap != NULL;
	t->unseen = t->takes_all = true;
	snprintf(t->mode, sizeof(t->mode), "live frames");
	return ft_transmit_wait_for_link(t, error);
}

static void begin_call(struct ft_live *shared, const struct ft_repeated *repeated)
{
	uint32_t head = repeated->bytes < FT_LIVE_HEAD_BYTES ? repeated->bytes : FT_LIVE_HEAD_BYTES;

	memcpy(shared->head, repeated->frame, head);
	memcpy(shared->room + FT_LIVE_ROOM_AT, repeated->frame + repeated->room_at,
	       FT_SIGNATURE_ROOM_BYTES);
	shared->room_at = repeated->room_at;
	shared->number = (uint32_t)ft_count_read(repeated->number);
	shared->made = 0;
	shared->utc_ns = (uint64_t)ft_clock_utc_offset_ns();
}

/* The frames of the last call, made once more: all that differs is known. */
static int tap(struct ft_transmit *t, const struct ft_live *shared,
	       const struct ft_repeated *repeated, struct ft_error *error)
{
	uint64_t began_ns = ft_clock_monotonic_ns();
	uint8_t frame[MAX_FRAME_BYTES];
	int rc = 0;

	memcpy(frame, repeated->frame, repeated->bytes);
	for (uint32_t i = 0; rc == 0 && i < shared->made; i++) {
		ft_signature_stamp(frame + repeated->room_at,
				   (uint32_t)ft_count_read(repeated->number) + i,
				   shared->sent_ns[i]);
		rc = ft_frame_file_add(t->tap, frame, repeated->bytes, shared->sent_ns[i], error);
	}
	t->tap_waited_ns += ft_clock_monotonic_ns() - began_ns;
	return rc;
}

static int live_flood(struct ft_transmit *t, struct ft_repeated *repeated, uint32_t count,
		      struct ft_error *error)
{
	struct live *l = t->state;
	uint32_t most = t->tap != NULL ? FT_LIVE_TOLD_FRAMES : INT_MAX;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = repeated->frame,
		    .data_size_in = repeated->bytes, .repeat = (int)(count < most ? count : most),
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int rc, made;

	begin_call(l->shared, repeated);
	rc = bpf_prog_test_run_opts(l->program_fd, &options);
	if (rc != 0 && rc != -EINTR && rc != -EAGAIN)
		return ft_fail(error, rc, "-o: port '%s': live frames: %s", t->device,
			       strerror(-rc));
	made = (int)l->shared->made;
	if (t->tap != NULL && tap(t, l->shared, repeated, error) != 0)
		return -EIO;
	ft_count_add(repeated->number, (uint64_t)made);
	return made;
}

static void live_close(struct ft_transmit *t)
{
	struct live *l = t->state;

	if (l == NULL)
		return;
	if (l->shared != NULL)
		munmap(l->shared, shared_bytes());
	bpf_object__close(l->object);
	ft_xdp_program_free(&l->program);
	free(l);
}

const struct ft_transmit_ops ft_transmit_live = {
	.name = "live",
	.open = live_open,
	.flood = live_flood,
	.close = live_close,
};
