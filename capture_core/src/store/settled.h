/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a capture that did not come to its end a crash cannot have torn. What was written
 * before a later sync of the same file is on the disk as it was written, so there the marks of the
 * chunks are enough: a page a chunk instead of all of it.
 */
#ifndef FT_STORE_SETTLED_H
#define FT_STORE_SETTLED_H

#include <stdint.h>

#include "store/span.h"

/*
 * A sync does not cover what is being written when it is asked for: up to 32 chunks of 4 MiB
 * (FT_DISK_DEPTH). Four times as much is looked at.
 */
#define FT_SETTLED_MARGIN_BYTES (512ull << 20)

/*
 * Where the first chunk begins that may be torn: 0, so that all of the file is to be looked at,
 * unless every mark before it leads to the one before, back to the file's header. At least
 * `margin_bytes` lie between it and what two syncs followed that the marks tell of. Damage to what
 * is not looked at that is not a crash's shows in the verify walk alone.
 */
uint64_t ft_settled_bytes(const struct ft_spans *spans, uint64_t margin_bytes);

#endif
