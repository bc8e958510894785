/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One engine at a time sends by a port: the port's counter, by which frames are confirmed, cannot
 * tell whose they were. Known among engines with the same RUN directory.
 */
#ifndef FT_PORT_SENDING_H
#define FT_PORT_SENDING_H

#include "ft/error.h"

/*
 * Claim the port for a run, until the descriptor returned is closed or the process ends. -EEXIST
 * while another run has it, which the sentence names. `option` gave the port: "-o"; `program` and
 * `name` are this run's, for whom it keeps out. To be called after the last fork.
 */
int ft_sending_claim(const char *option, const char *device, int ifindex, const char *program,
		     const char *name, struct ft_error *error);

#endif
