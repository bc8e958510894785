/* SPDX-License-Identifier: Apache-2.0 */
/* The queueing discipline through which a port's frames go out (tc(8)). */
#ifndef FT_PORT_QDISC_H
#define FT_PORT_QDISC_H

#define FT_QDISC_NAME_BYTES 16u

/* The name of the root discipline, as `ip link` shows it. -ENODEV, -EPROTO. */
int ft_qdisc_read(int ifindex, char name[FT_QDISC_NAME_BYTES]);

#endif
