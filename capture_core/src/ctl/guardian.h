/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guardian does for an engine what the engine, without privileges, no longer can. It is a small
 * process of the engine's own, and does two things:
 *
 * - when the engine has ended, however that came about, it gives ports back what was switched off
 *   on them (port/offload.h);
 * - it signs a session's receipt when the engine asks, because an engine may start no program.
 *
 * It is forked before any port is opened: a ring that it had mapped would keep its socket, and so
 * the port promiscuous, beyond the engine's end. It keeps no descriptor of the engine's, so that
 * locks and pipes end with the engine, and it ignores what a terminal or a supervisor sends to all
 * processes of a run.
 */
#ifndef FT_CTL_GUARDIAN_H
#define FT_CTL_GUARDIAN_H

#include <stdbool.h>

#include "ft/error.h"

struct ft_guardian;

/*
 * Call it after ft_manager_open, before any port is opened and before any thread starts. `signs`:
 * make the device's key where there is none yet (ctl/device_key.h).
 */
int ft_guardian_start(bool signs, struct ft_guardian **guardian, struct ft_error *error);

/* Write the signature of the file at `path` to `path`.sig. The sentence says why it cannot. */
int ft_guardian_sign(struct ft_guardian *guardian, const char *path, struct ft_error *error);

/*
 * Have it restore the ports, and wait until that is done: call it after the last ft_port_free.
 * Accepts NULL.
 */
void ft_guardian_free(struct ft_guardian *guardian);

#endif
