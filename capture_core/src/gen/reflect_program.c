/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/reflect_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "port/ethtool.h"
#include "port/xdp_program.h"

#include "reflect.bpf.h" /* made from bpf/reflect.bpf.c when building */

#define MAX_CPUS 1024

static const char native[] = "native";
static const char generic[] = "generic";

static int load(struct ft_reflect_program *program, const struct ft_reflect_rules *rules)
{
	const __u32 first = 0;
	struct bpf_program *only;
	int rc;

	libbpf_set_print(NULL); /* what it has to say is in the code that it returns */
	program->object = bpf_object__open_mem(reflect_bpf, sizeof(reflect_bpf), NULL);
	if (program->object == NULL)
		return -errno;
	rc = bpf_object__load(program->object);
	if (rc != 0)
		return rc;
	only = bpf_object__next_program(program->object, NULL);
	program->program_fd = bpf_program__fd(only);
	program->counts_fd = bpf_object__find_map_fd_by_name(program->object, "counts");
	return bpf_map_update_elem(bpf_object__find_map_fd_by_name(program->object, "rules"),
				   &first, rules, BPF_ANY);
}

/*
 * A veth port hands over what its own XDP program sends back only where the peer has GRO or an XDP
 * program (drivers/net/veth.c veth_xdp_xmit), which cannot be seen from here and may end at any
 * time. Else the frames vanish. In generic mode they always arrive.
 */
static bool is_native_unsafe(const char *device)
{
	char driver[32];

	ft_ethtool_driver(device, driver, sizeof(driver));
	return strcmp(driver, "veth") == 0;
}

static int attach(struct ft_reflect_program *program, const char *device, int ifindex,
		  const char *mode, struct ft_error *error)
{
	int fd = ft_xdp_attach(program->program_fd, device, ifindex, mode == generic, error);

	if (fd < 0)
		return fd;
	program->link_fd = fd;
	program->mode = mode;
	return 0;
}

static int attach_best(struct ft_reflect_program *program, const char *device, int ifindex,
		       enum ft_reflect_mode wanted, struct ft_error *error)
{
	const char *why = "native mode returns nothing to a veth peer without GRO";
	int rc;

	if (wanted == FT_REFLECT_GENERIC)
		return attach(program, device, ifindex, generic, error);
	if (wanted == FT_REFLECT_NATIVE || !is_native_unsafe(device)) {
		rc = attach(program, device, ifindex, native, error);
		if (rc == 0 || rc == -EBUSY || rc == -EPERM || wanted == FT_REFLECT_NATIVE)
			return rc;
		why = strerror(-rc);
	}
	rc = attach(program, device, ifindex, generic, error);
	if (rc == 0)
		fprintf(stderr, "%s: port '%s': reflects in generic mode (native: %s)\n",
			program_invocation_short_name, device, why);
	return rc;
}

static int explain(const char *device, int rc, struct ft_error *error)
{
	if (rc == -EBUSY) /* told already */
		return rc;
	if (rc == -EPERM || rc == -EACCES)
		return ft_fail(error, rc,
			       "port '%s': cannot load or attach an XDP program: %s; run as root "
			       "or give the program cap_net_raw, cap_net_admin and cap_bpf",
			       device, strerror(-rc));
	return ft_fail(error, rc,
		       "port '%s': no XDP program can be attached: %s; try --mode generic", device,
		       strerror(-rc));
}

int ft_reflect_program_start(struct ft_reflect_program *program, const char *device,
			     const struct ft_xdp_device *about,
			     const struct ft_reflect_rules *rules, enum ft_reflect_mode wanted,
			     struct ft_error *error)
{
	int rc;

	*program = (struct ft_reflect_program){.link_fd = -1};
	rc = load(program, rules);
	if (rc == 0)
		rc = attach_best(program, device, about->ifindex, wanted, error);
	return rc == 0 ? 0 : explain(device, rc, error);
}

void ft_reflect_program_stop(struct ft_reflect_program *program)
{
	if (program->object != NULL && program->link_fd >= 0)
		close(program->link_fd);
	program->link_fd = -1;
}

void ft_reflect_program_read(const struct ft_reflect_program *program,
			     struct ft_reflect_count *counts)
{
	struct ft_reflect_count of_cpu[MAX_CPUS];
	int cpus = libbpf_num_possible_cpus();

	memset(counts, 0, FT_REFLECT_OUTCOMES * sizeof(*counts));
	for (__u32 i = 0; i < FT_REFLECT_OUTCOMES && cpus <= MAX_CPUS; i++) {
		if (bpf_map_lookup_elem(program->counts_fd, &i, of_cpu) != 0)
			continue;
		for (int cpu = 0; cpu < cpus; cpu++) {
			counts[i].frames += of_cpu[cpu].frames;
			counts[i].bytes += of_cpu[cpu].bytes;
		}
	}
}

void ft_reflect_program_free(struct ft_reflect_program *program)
{
	ft_reflect_program_stop(program);
	bpf_object__close(program->object);
	program->object = NULL;
}
