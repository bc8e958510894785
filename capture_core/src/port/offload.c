/* SPDX-License-Identifier: Apache-2.0 */
#include "port/offload.h"

#include <net/if.h> /* before the kernel's own */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <jansson.h>

#include "ctl/rundir.h"
#include "port/ethtool.h"

/*
 * Everything by which a driver or the stack joins received frames (net/ethtool/common.c), and what
 * takes their tags out.
 */
static const char *const features[] = {
	"rx-gro", "rx-gro-hw", "rx-lro", "rx-gro-list", "rx-udp-gro-forwarding", FT_OFFLOAD_VLAN};
#define FEATURE_COUNT (sizeof(features) / sizeof(features[0]))
#define JOINING_COUNT (FEATURE_COUNT - 1)

/* Attach `return XDP_PASS`; a link, so that it is gone when its descriptor is. */
static int attach_xdp_pass(int ifindex)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr load = {0}, link = {0};
	int program_fd, link_fd;

	load.prog_type = BPF_PROG_TYPE_XDP;
	load.expected_attach_type = BPF_XDP;
	load.prog_flags = BPF_F_XDP_HAS_FRAGS; /* jumbo frames span pages */
	load.insns = (uintptr_t)program;
	load.insn_cnt = sizeof(program) / sizeof(program[0]);
	load.license = (uintptr_t)"Apache-2.0";
	snprintf(load.prog_name, sizeof(load.prog_name), "fieldtap_pass");
	program_fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	if (program_fd < 0)
		return -errno;
	link.link_create.prog_fd = (uint32_t)program_fd;
	link.link_create.target_ifindex = (uint32_t)ifindex;
	link.link_create.attach_type = BPF_XDP;
	link.link_create.flags = XDP_FLAGS_DRV_MODE;
	link_fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link));
	if (link_fd < 0)
		link_fd = -errno;
	close(program_fd);
	return link_fd;
}

static int segment_veth_peer(const char *device, int ifindex, struct ft_offload *offload,
			     struct ft_error *error)
{
	char driver[32];
	int fd;

	ft_ethtool_driver(device, driver, sizeof(driver));
	if (strcmp(driver, "veth") != 0)
		return 0;
	fd = attach_xdp_pass(ifindex);
	if (fd == -EBUSY || fd == -EEXIST) /* another XDP program: the same effect */
		return 0;
	if (fd < 0)
		return ft_fail(error, fd,
			       "%s: its veth peer may send frames above the MTU, and the XDP "
			       "program that prevents it cannot be attached: %s; run as root, or "
			       "accept such frames with --allow-coalesced",
			       device, strerror(-fd));
	offload->xdp_link_fd = fd;
	return 0;
}

int ft_offload_directory(char *path, size_t bytes, struct ft_error *error)
{
	char run[PATH_MAX - 80];
	int rc = ft_rundir_choose(run, sizeof(run), error);

	if (rc != 0)
		return rc;
	snprintf(path, bytes, "%s/.ports", run);
	if (mkdir(path, 02775) == 0)
		chmod(path, 02775); /* past the umask: the next engine may be another user's */
	else if (errno != EEXIST)
		return ft_fail(error, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

/*
 * Starting and ending take turns, or one engine would switch on what another has just switched off.
 * Held for a moment; returns what ends the turn when it is closed.
 */
static int take_turn(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

unsigned long ft_offload_namespace(void)
{
	struct stat status;

	return stat("/proc/self/ns/net", &status) == 0 ? (unsigned long)status.st_ino : 0;
}

/*
 * Have the driver stamp what it stamped before, if it now stamps every received frame as engines
 * have it do, and not what somebody else has asked for since. False for want of privileges.
 */
static bool restore_stamped(const char *device, const json_t *found)
{
	struct hwtstamp_config config;
	int tx, rx;

	if (json_unpack((json_t *)found, "[i, i]", &tx, &rx) != 0 ||
	    ft_ethtool_get_stamped(device, &config) != 0 || config.tx_type != tx ||
	    config.rx_filter != HWTSTAMP_FILTER_ALL || rx == HWTSTAMP_FILTER_ALL)
		return true;
	config.rx_filter = rx;
	return ft_ethtool_set_stamped(device, &config) != -EPERM;
}

/*
 * Switch on what the state file names, if the port is still the one it speaks of. False when
 * something stays off for want of privileges: it is then left for who has them.
 */
static bool restore_from(int fd, int ifindex)
{
	char device[IF_NAMESIZE];
	json_t *state, *name;
	bool permitted = true;
	size_t index;

	lseek(fd, 0, SEEK_SET);
	state = json_loadfd(fd, 0, NULL);
	if (if_indextoname((unsigned)ifindex, device) != NULL) {
		json_array_foreach(json_object_get(state, "on"), index, name)
		{
			if (json_is_string(name) &&
			    ft_ethtool_set_feature(device, json_string_value(name), true) == -EPERM)
				permitted = false;
		}
		permitted &= restore_stamped(device, json_object_get(state, "stamped"));
	}
	json_decref(state);
	return permitted;
}

/* A lock that can be had alone belongs to nobody alive: restore and forget. */
static void restore_unless_used(int fd, const char *path, int ifindex)
{
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return;
	if (restore_from(fd, ifindex))
		unlink(path);
}

static void restore_after_crashes(const char *directory)
{
	DIR *entries = opendir(directory);
	const struct dirent *entry;

	if (entries == NULL)
		return;
	while ((entry = readdir(entries)) != NULL) {
		char path[PATH_MAX + 256];
		unsigned long namespace;
		int ifindex, fd;

		if (sscanf(entry->d_name, "%lu-%d", &namespace, &ifindex) != 2 ||
		    namespace != ft_offload_namespace())
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		restore_unless_used(fd, path, ifindex);
		close(fd);
	}
	closedir(entries);
}

/* Write down what is on, before anything is switched off. */
static int write_state(const struct ft_offload *offload, struct ft_error *error)
{
	json_t *on = json_array(), *state;
	struct hwtstamp_config stamped;
	int rc = 0;

	for (unsigned i = 0; i < FEATURE_COUNT; i++)
		if (ft_ethtool_feature(offload->device, features[i]) == 1)
			json_array_append_new(on, json_string(features[i]));
	state = json_pack("{s:s, s:o}", "device", offload->device, "on", on);
	if (ft_ethtool_get_stamped(offload->device, &stamped) == 0)
		json_object_set_new(state, "stamped",
				    json_pack("[i, i]", stamped.tx_type, stamped.rx_filter));
	if (ftruncate(offload->state_fd, 0) != 0 ||
	    json_dumpfd(state, offload->state_fd, JSON_COMPACT) != 0 ||
	    fsync(offload->state_fd) != 0)
		rc = ft_fail(error, -EIO, "%s: cannot be written; free space there", offload->path);
	json_decref(state);
	return rc;
}

static int stop_joining(const char *device, struct ft_error *error)
{
	for (unsigned i = 0; i < JOINING_COUNT; i++) {
		int rc;

		if (ft_ethtool_feature(device, features[i]) != 1)
			continue;
		rc = ft_ethtool_set_feature(device, features[i], false);
		if (rc != 0)
			return ft_fail(error, rc,
				       "%s: %s joins received frames and cannot be switched off: "
				       "%s; switch it off by hand, or accept joined frames with "
				       "--allow-coalesced",
				       device, features[i], strerror(-rc));
	}
	return 0;
}

static int keep_tags(const char *device, struct ft_error *error)
{
	int rc = ft_ethtool_set_feature(device, FT_OFFLOAD_VLAN, false);

	if (rc == 0)
		return 0;
	return ft_fail(error, rc,
		       "%s: the adapter takes VLAN tags out of frames, and that cannot be switched "
		       "off: %s; switch it off by hand: ethtool -K %s rxvlan off",
		       device, strerror(-rc), device);
}

/* In our turn. */
static void let_go(struct ft_offload *offload)
{
	if (offload->xdp_link_fd >= 0)
		close(offload->xdp_link_fd);
	restore_unless_used(offload->state_fd, offload->path, (int)if_nametoindex(offload->device));
	close(offload->state_fd);
	*offload = (struct ft_offload){.state_fd = -1, .xdp_link_fd = -1};
}

/* In our turn. */
static int take(const char *directory, int ifindex, bool joining, bool tags,
		struct ft_offload *offload, struct ft_error *error)
{
	int rc = 0;

	restore_after_crashes(directory);
	snprintf(offload->path, sizeof(offload->path), "%s/%lu-%d", directory,
		 ft_offload_namespace(), ifindex);
	offload->state_fd = open(offload->path, O_RDWR | O_CREAT | O_CLOEXEC, 0664);
	if (offload->state_fd < 0) {
		rc = ft_fail(error, -errno, "%s: %s", offload->path, strerror(errno));
		offload->path[0] = '\0';
		return rc;
	}
	fchmod(offload->state_fd, 0664); /* past the umask, as above */
	if (flock(offload->state_fd, LOCK_EX | LOCK_NB) == 0)
		rc = write_state(offload, error);
	if (rc == 0 && tags)
		rc = keep_tags(offload->device, error);
	if (rc == 0 && joining)
		rc = stop_joining(offload->device, error);
	if (rc == 0 && joining)
		rc = segment_veth_peer(offload->device, ifindex, offload, error);
	if (rc != 0)
		let_go(offload);
	else
		flock(offload->state_fd, LOCK_SH);
	return rc;
}

int ft_offload_stop_some(const char *device, int ifindex, bool joining, bool tags,
			 struct ft_offload *offload, struct ft_error *error)
{
	char directory[PATH_MAX - 64];
	int rc, turn;

	*offload = (struct ft_offload){.state_fd = -1, .xdp_link_fd = -1};
	snprintf(offload->device, sizeof(offload->device), "%s", device);
	rc = ft_offload_directory(directory, sizeof(directory), error);
	if (rc != 0)
		return rc;
	turn = take_turn(directory);
	if (turn < 0)
		return ft_fail(error, -errno, "%s: %s", directory, strerror(errno));
	rc = take(directory, ifindex, joining, tags, offload, error);
	close(turn);
	return rc;
}

int ft_offload_stop(const char *device, int ifindex, struct ft_offload *offload,
		    struct ft_error *error)
{
	return ft_offload_stop_some(device, ifindex, true, false, offload, error);
}

int ft_offload_record(const char *device, int ifindex, struct ft_offload *offload,
		      struct ft_error *error)
{
	return ft_offload_stop_some(device, ifindex, false, false, offload, error);
}

void ft_offload_restore(struct ft_offload *offload)
{
	char path[sizeof(offload->path)];
	int turn;

	if (offload->path[0] == '\0')
		return;
	memcpy(path, offload->path, sizeof(path));
	turn = take_turn(dirname(path));
	let_go(offload);
	if (turn >= 0)
		close(turn);
}

void ft_offload_restore_ended(void)
{
	char directory[PATH_MAX - 64];
	struct ft_error error;
	int turn;

	if (ft_offload_directory(directory, sizeof(directory), &error) != 0)
		return;
	turn = take_turn(directory);
	restore_after_crashes(directory);
	if (turn >= 0)
		close(turn);
}
