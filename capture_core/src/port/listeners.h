/* SPDX-License-Identifier: Apache-2.0 */
/* Who captures from a port by a packet socket. */
#ifndef FT_PORT_LISTENERS_H
#define FT_PORT_LISTENERS_H

#include <stdbool.h>

/* Whether a packet socket of this network namespace takes all that the interface carries. */
bool ft_port_has_listener(int ifindex);

#endif
