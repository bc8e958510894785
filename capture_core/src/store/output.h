/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where blocks go: a file (written as NAME.partial, renamed when complete), a stream (stdout, a
 * FIFO, a device), or nowhere (`null:`, to time everything before it).
 */
#ifndef FT_STORE_OUTPUT_H
#define FT_STORE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/error.h"

/* A stream whose reader has taken nothing for so long can be abandoned. */
#define FT_OUTPUT_PATIENCE_MS 1000

struct ft_output;

/*
 * Make ready to write. A file of that name is not lost: it is renamed to NAME.1 (or the next free
 * number), as is a NAME.partial that no running engine holds. `hashed`: keep a SHA-256. -ENXIO for
 * a FIFO that nobody reads yet.
 */
int ft_output_open(const char *path, bool hashed, struct ft_output **output,
		   struct ft_error *error);

/*
 * Append. Returns how many of `bytes` are in the output: fewer mean that it failed for good, with
 * the reason in `error`, and what does not belong can be cut off by ft_output_cut.
 */
size_t ft_output_write(struct ft_output *output, const void *data, size_t bytes,
		       struct ft_error *error);

/* Whether the next small write need not wait for a reader. */
bool ft_output_is_ready(const struct ft_output *output);

/*
 * From any thread: let no write wait for longer than FT_OUTPUT_PATIENCE_MS for a reader that takes
 * nothing; it fails then, for good.
 */
void ft_output_abandon(struct ft_output *output);

/*
 * After a short write: let the output end with the first `keep` bytes of `data`, as far as that is
 * possible (a stream has been read already). From here on writes are refused, except of what the
 * file system still has room for.
 */
void ft_output_cut(struct ft_output *output, const void *data, size_t wrote, size_t keep);

/* Data and directory to stable storage. */
int ft_output_sync(struct ft_output *output, struct ft_error *error);

/* Sync, rename to the final name. The output is complete, or keeps its .partial name. */
int ft_output_finish(struct ft_output *output, struct ft_error *error);

/* Nothing was captured: leave no file behind. */
void ft_output_discard(struct ft_output *output);

const char *ft_output_path(const struct ft_output *output); /* the final name */
/* False for `null:`, which leaves no file to report. */
bool ft_output_is_kept(const struct ft_output *output);
/* True for a file, false for a stream and `null:`. */
bool ft_output_is_file(const struct ft_output *output);
uint64_t ft_output_bytes(const struct ft_output *output);
/* 64 hexadecimal digits, valid after ft_output_finish; NULL when not asked for. */
const char *ft_output_sha256(const struct ft_output *output);

/* Accepts NULL. */
void ft_output_free(struct ft_output *output);

#endif
