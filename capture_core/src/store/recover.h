/* SPDX-License-Identifier: Apache-2.0 */
/* What engines that did not end left beside an output: mended before a new run begins there. */
#ifndef FT_STORE_RECOVER_H
#define FT_STORE_RECOVER_H

#include <stdbool.h>

/*
 * Mend PATH.partial and, where PATH is what ring names are made from, those of its files, unless a
 * running engine holds them. Says on stderr what it did and what it could not.
 */
void ft_recover(const char *path, bool ring);

#endif
