/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reflector from first to last: it sends test frames that a port receives back to where they come
 * from, so that one end alone can test a link. The kernel does it for each frame, before it makes
 * anything else of it (bpf/reflect.bpf.c); here is what puts that in place, watches and accounts.
 */
#ifndef FT_REFLECT_H
#define FT_REFLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/units.h"

enum ft_reflect_mode {
	FT_REFLECT_ANY,	    /* native where that is known to work, else generic */
	FT_REFLECT_NATIVE,  /* in the driver */
	FT_REFLECT_GENERIC, /* behind the driver: slower, and works with every one */
};

struct ft_reflect_settings {
	const char *port; /* an interface */
	enum ft_reflect_mode mode;
	struct ft_rate cap; /* frames a second, or FT_RATE_MAX: none */
	uint64_t duration_ns;
	const char *force;  /* this port may be in use; NULL: none may */
	const char *report; /* NULL: none */
	const char *name;   /* NULL: PROGRAM-PID */
	bool quiet;
};

/*
 * Run until the end time, a signal or a client. Returns the exit code of the command contract;
 * everything the user must know has been said on stderr by then.
 */
int ft_reflect_run(const struct ft_reflect_settings *settings);

#endif
