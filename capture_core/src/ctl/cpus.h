/* SPDX-License-Identifier: Apache-2.0 */
/* Processors that the administrator has set apart. */
#ifndef FT_CTL_CPUS_H
#define FT_CTL_CPUS_H

/* The `n`-th isolated processor, from 0; -1: there are not so many. */
int ft_cpu_isolated(unsigned n);

#endif
