/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of ft-extract that ft_extract_run puts together. */
#ifndef FT_STORE_EXTRACT_RUN_H
#define FT_STORE_EXTRACT_RUN_H

#include <signal.h>
#include <stddef.h>

#include "ft/extract.h"

/* Let an interruption wait until it is asked for, so that a half-made file can be removed. */
static inline void ft_interruption_hold(void)
{
	sigset_t both;

	sigemptyset(&both);
	sigaddset(&both, SIGINT);
	sigaddset(&both, SIGTERM);
	sigprocmask(SIG_BLOCK, &both, NULL);
}

static inline bool ft_interruption_came(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1;
}

/* The captures that are named, and those in the folders that are. */
struct ft_names {
	size_t count;
	char **at;
};

int ft_names_find(struct ft_names *names, const struct ft_extract_settings *settings,
		  struct ft_error *error);
/* Mend a file; its name becomes what it is called then. One that held nothing is dropped. */
int ft_names_repair(struct ft_names *names, size_t index, struct ft_error *error);
void ft_names_free(struct ft_names *names);

/* Make PATH.idx anew. */
int ft_reindex_file(const char *path, struct ft_error *error);

/* `is_damaged`: not all of the inputs could be read; what could be is in the output. */
int ft_extract_frames(const struct ft_extract_settings *settings, const struct ft_names *names,
		      bool *is_damaged, struct ft_error *error);

#endif
