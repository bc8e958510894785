/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream looked at through a buffer of fixed size: a file, a FIFO or stdin, plain or gzip.
 * Reads take what is there, so a live FIFO is not held back until the buffer is full.
 */
#ifndef FT_STORE_INPUT_H
#define FT_STORE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/reader.h"

/* The most that ft_input_need can be asked for. */
#define FT_INPUT_MAX_BYTES (1024u * 1024u)

struct ft_input;

/* `path` "-" is stdin; `wait` as in ft_reader_open. A negative errno with a sentence. */
int ft_input_open(const char *path, const struct ft_reader_wait *wait, struct ft_input **input,
		  struct ft_error *error);

/*
 * Make `bytes` contiguous bytes available at ft_input_data(). 1: they are; 0: the stream ends
 * before; a negative errno when it cannot be read (-EBADMSG: damaged gzip data; -EAGAIN: not now,
 * nothing is taken). May move the data.
 */
int ft_input_need(struct ft_input *input, size_t bytes, struct ft_error *error);

const uint8_t *ft_input_data(const struct ft_input *input);
size_t ft_input_available(const struct ft_input *input);

/* Go past bytes that are available. */
void ft_input_take(struct ft_input *input, size_t bytes);

/* Go past bytes that need not be available: the next ft_input_need passes over them first. */
void ft_input_skip(struct ft_input *input, uint64_t bytes);

/* Go on at byte `offset` of a file that is not packed. */
int ft_input_seek(struct ft_input *input, uint64_t offset, struct ft_error *error);

/* Begin again, packed or not. -ESPIPE where the input cannot be read twice. */
int ft_input_rewind(struct ft_input *input, struct ft_error *error);

/* Where ft_input_data() lies in the (decompressed) stream. */
uint64_t ft_input_offset(const struct ft_input *input);

bool ft_input_is_packed(const struct ft_input *input);

const char *ft_input_path(const struct ft_input *input);

/* Accepts NULL. */
void ft_input_close(struct ft_input *input);

#endif
