/* SPDX-License-Identifier: Apache-2.0 */
#include "port/xdp_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include "afxdp.bpf.h" /* made from bpf/afxdp.bpf.c when building */

#define MAX_CPUS 1024

#ifndef BPF_F_XDP_DEV_BOUND_ONLY /* since Linux 6.3 */
#define BPF_F_XDP_DEV_BOUND_ONLY (1u << 6)
#endif

/* Load the one of the object's two programs that is wanted. */
static int load_one(struct ft_xdp_program *program, int ifindex, bool adapter_knows)
{
	const char *wanted_name = adapter_knows ? "fieldtap_ask" : "fieldtap_take";
	struct bpf_program *each, *wanted = NULL;
	int rc;

	bpf_object__for_each_program(each, program->object)
	{
		bool is_wanted = strcmp(bpf_program__name(each), wanted_name) == 0;

		bpf_program__set_autoload(each, is_wanted);
		if (is_wanted)
			wanted = each;
	}
	if (adapter_knows) { /* its questions are compiled into calls of this driver */
		bpf_program__set_ifindex(wanted, (__u32)ifindex);
		bpf_program__set_flags(wanted,
				       bpf_program__flags(wanted) | BPF_F_XDP_DEV_BOUND_ONLY);
	}
	rc = bpf_object__load(program->object);
	if (rc != 0)
		return rc;
	program->program_fd = bpf_program__fd(wanted);
	program->sockets_fd = bpf_object__find_map_fd_by_name(program->object, "sockets");
	program->frames_fd = bpf_object__find_map_fd_by_name(program->object, "frames");
	program->window_fd = bpf_object__find_map_fd_by_name(program->object, "window");
	return 0;
}

int ft_xdp_program_load(struct ft_xdp_program *program, int ifindex, bool adapter_knows)
{
	int rc;

	*program = (struct ft_xdp_program){.link_fd = -1};
	libbpf_set_print(NULL); /* what it has to say is in the code that it returns */
	program->object = bpf_object__open_mem(afxdp_bpf, sizeof(afxdp_bpf), NULL);
	if (program->object == NULL)
		return -errno;
	rc = load_one(program, ifindex, adapter_knows);
	if (rc != 0)
		ft_xdp_program_free(program);
	return rc;
}

/* Name what is on the device already. */
static int tell_other(const char *device, int ifindex, int rc, struct ft_error *error)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {0};
	__u32 bytes = sizeof(info), id = 0;
	int fd;

	if (bpf_xdp_query(ifindex, 0, &query) == 0)
		id = query.drv_prog_id != 0   ? query.drv_prog_id
		     : query.skb_prog_id != 0 ? query.skb_prog_id
					      : query.hw_prog_id;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd >= 0) {
		bpf_obj_get_info_by_fd(fd, &info, &bytes);
		close(fd);
	}
	return ft_fail(error, rc,
		       "port '%s': an XDP program is attached already ('%s', id %u), and there is "
		       "room for one; end what holds it",
		       device, info.name, id);
}

int ft_xdp_attach(int program_fd, const char *device, int ifindex, bool generic,
		  struct ft_error *error)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
		    .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	int fd = bpf_link_create(program_fd, ifindex, BPF_XDP, &options);

	if (fd == -EBUSY || fd == -EEXIST)
		return tell_other(device, ifindex, -EBUSY, error);
	return fd;
}

int ft_xdp_program_attach(struct ft_xdp_program *program, const char *device, int ifindex,
			  bool generic, struct ft_error *error)
{
	int fd = ft_xdp_attach(program->program_fd, device, ifindex, generic, error);
	struct ft_error said = *error;

	if (fd == -EBUSY)
		return ft_fail(error, fd, "%.400s, or capture with afpacket:%s", said.text, device);
	if (fd < 0)
		return fd;
	program->link_fd = fd;
	return 0;
}

int ft_xdp_program_add_socket(struct ft_xdp_program *program, unsigned queue, int socket_fd)
{
	return bpf_map_update_elem(program->sockets_fd, &queue, &socket_fd, BPF_ANY);
}

int ft_xdp_program_open_window(struct ft_xdp_program *program)
{
	const __u32 first = 0;

	return bpf_map_update_elem(program->window_fd, &first, &program->frames_fd, BPF_ANY);
}

int ft_xdp_program_close_window(struct ft_xdp_program *program)
{
	const __u32 first = 0;

	return bpf_map_delete_elem(program->window_fd, &first);
}

uint64_t ft_xdp_program_frames(const struct ft_xdp_program *program, unsigned queue)
{
	uint64_t of_cpu[MAX_CPUS], frames = 0;
	int cpus = libbpf_num_possible_cpus();

	if (cpus > MAX_CPUS || bpf_map_lookup_elem(program->frames_fd, &queue, of_cpu) != 0)
		return 0;
	for (int cpu = 0; cpu < cpus; cpu++)
		frames += of_cpu[cpu];
	return frames;
}

void ft_xdp_program_free(struct ft_xdp_program *program)
{
	if (program->object == NULL)
		return;
	if (program->link_fd >= 0)
		close(program->link_fd);
	bpf_object__close(program->object);
	*program = (struct ft_xdp_program){.link_fd = -1};
}
