/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a running engine, and no others (seccomp). */
#ifndef FT_CTL_SYSCALLS_H
#define FT_CTL_SYSCALLS_H

/*
 * From now on, in this thread and all that it starts, any other call fails with EPERM. For good;
 * wants no_new_privs set. Negative errno where the kernel has no seccomp.
 */
int ft_syscalls_restrict(void);

#endif
