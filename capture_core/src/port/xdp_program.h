/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XDP program of a capture (bpf/afxdp.bpf.c), held by a link: it is off the device as soon as
 * the process ends, however it ends. Nothing is pinned, so no bpffs is needed.
 */
#ifndef FT_PORT_XDP_PROGRAM_H
#define FT_PORT_XDP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

struct bpf_object;

/*
 * Put a program on a device, natively or (`generic`) behind its driver. Returns the link's
 * descriptor: the program is off when that is closed. -EBUSY when the device has one already:
 * `error` says which. Others are left to the caller.
 */
int ft_xdp_attach(int program_fd, const char *device, int ifindex, bool generic,
		  struct ft_error *error);

struct ft_xdp_program {
	struct bpf_object *object;
	int program_fd;
	int link_fd;
	int sockets_fd, frames_fd, window_fd; /* its maps */
};

/* `adapter_knows`: it asks the driver for each frame's stamp and tag; then only for `ifindex`. */
int ft_xdp_program_load(struct ft_xdp_program *program, int ifindex, bool adapter_knows);

/* -EBUSY when the device has a program: `error` says which. Others are left to the caller. */
int ft_xdp_program_attach(struct ft_xdp_program *program, const char *device, int ifindex,
			  bool generic, struct ft_error *error);

int ft_xdp_program_add_socket(struct ft_xdp_program *program, unsigned queue, int socket_fd);

/* While open, frames are counted and taken. On return no program runs that saw it otherwise. */
int ft_xdp_program_open_window(struct ft_xdp_program *program);
int ft_xdp_program_close_window(struct ft_xdp_program *program);

/* Counted for a queue so far, by all processors. */
uint64_t ft_xdp_program_frames(const struct ft_xdp_program *program, unsigned queue);

/* Off the device; accepts one that was never loaded, if zeroed. */
void ft_xdp_program_free(struct ft_xdp_program *program);

#endif
