/* SPDX-License-Identifier: Apache-2.0 */
/* RUN/<name>/: where an engine is found, and what it keeps there while it runs. */
#ifndef FT_CTL_RUNDIR_H
#define FT_CTL_RUNDIR_H

#include <limits.h>
#include <stddef.h>

#include "ft/error.h"

struct ft_rundir {
	char path[PATH_MAX]; /* RUN/<name>; empty: nothing claimed */
	int lock_fd;	     /* held for as long as the engine lives */
};

/* The first writable RUN; -EACCES when there is none. */
int ft_rundir_choose(char *path, size_t bytes, struct ft_error *error);

/*
 * Take `name` in the first writable RUN of $FIELDTAP_RUN_DIR, /run/fieldtap and
 * $XDG_RUNTIME_DIR/fieldtap. What a dead engine left there is taken over. -EEXIST when a live
 * engine has the name, -EINVAL for a name that is no single path component.
 */
int ft_rundir_claim(const char *name, struct ft_rundir *rundir, struct ft_error *error);

/*
 * Listen, then let control.sock appear, in one step. A descriptor or a negative errno.
 */
int ft_rundir_listen(const struct ft_rundir *rundir, struct ft_error *error);

/* Remove socket and folder. */
void ft_rundir_release(struct ft_rundir *rundir);

#endif
