/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XDP program of a reflector (bpf/reflect.bpf.c), held by a link: it is off the port as soon as
 * the process ends, however it ends.
 */
#ifndef FT_GEN_REFLECT_PROGRAM_H
#define FT_GEN_REFLECT_PROGRAM_H

#include <stdint.h>

#include "ft/reflect.h"
#include "gen/reflect_rules.h"
#include "port/xdp_device.h"

struct bpf_object;

struct ft_reflect_program {
	struct bpf_object *object;
	int program_fd;
	int counts_fd;
	int link_fd;
	const char *mode; /* what was obtained, in words; NULL: nothing yet */
};

/*
 * Load it with its rules and put it on the port, by the mode that is wanted or the best there is;
 * what was not possible is said on stderr. -EBUSY when the port has a program, -EPERM.
 */
int ft_reflect_program_start(struct ft_reflect_program *program, const char *device,
			     const struct ft_xdp_device *about,
			     const struct ft_reflect_rules *rules, enum ft_reflect_mode wanted,
			     struct ft_error *error);

/* Off the port, so that counts are final a moment later. */
void ft_reflect_program_stop(struct ft_reflect_program *program);

/* Counted so far by all processors: FT_REFLECT_OUTCOMES of them. Needs no privilege. */
void ft_reflect_program_read(const struct ft_reflect_program *program,
			     struct ft_reflect_count *counts);

/* Accepts one that was never started, if zeroed. */
void ft_reflect_program_free(struct ft_reflect_program *program);

#endif
