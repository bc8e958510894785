/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine needs privileges to open its ports, and none to run. Once they are open it gives up
 * every capability, for itself and for whatever it may start, and every system call that a running
 * engine does not make (seccomp). A call that was forgotten in that list fails with EPERM: it
 * cannot end a capture.
 *
 * Capabilities belong to a thread: drop them before the first thread is created. What needs them
 * must be done by then:
 *
 * - ft_port_start too, since back ends open sockets there; rings and promiscuity keep working.
 * - io_uring_setup: the kernel decides at that moment, by CAP_IPC_LOCK, whether buffers that are
 *   registered at any later time count against RLIMIT_MEMLOCK (io_uring/io_uring.c: ctx->user).
 * - loading XDP programs and making maps. Maps that are open can be read and changed, and a link
 *   goes when its descriptor is closed.
 * - priorities above normal. Lower ones, and affinity, can be set by each thread for itself.
 *
 * What was switched off on a port is given back by the guardian (ctl/guardian.h).
 */
#ifndef FT_CTL_PRIVILEGES_H
#define FT_CTL_PRIVILEGES_H

#include <stdbool.h>

#include <jansson.h>

#include "ft/error.h"

struct ft_privileges {
	bool dropped;
	bool dac_override; /* kept, because root writes into directories of others */
	bool seccomp;
};

/*
 * For good: the process can open no port any more. `directories` are those in which the engine
 * creates, renames or removes files later; where root may do so only as root, CAP_DAC_OVERRIDE is
 * kept, and nothing else. -EBUSY when there are other threads. A kernel without seccomp is no
 * error: `kept` says so.
 */
int ft_privileges_drop(const char *const *directories, unsigned count, struct ft_privileges *kept,
		       struct ft_error *error);

/* {capabilities: [...], no_new_privs, seccomp}, for the report. */
json_t *ft_privileges_describe(const struct ft_privileges *kept);

#endif
