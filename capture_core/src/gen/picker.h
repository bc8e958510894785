/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of a capture that a replay is to send, rewritten, one after the other. */
#ifndef FT_GEN_PICKER_H
#define FT_GEN_PICKER_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/replay.h"

struct ft_picker;

/* Errors as ft_replay_open. `settings` must live on. */
int ft_picker_open(const struct ft_replay_settings *settings, struct ft_picker **picker,
		   struct ft_error *error);

/*
 * 1 with the next frame, whose bytes stay until the next call; 0 at the end; -EINVAL for a frame
 * that the port cannot send, -EBADMSG where the file is damaged, -EAGAIN when given up.
 */
int ft_picker_next(struct ft_picker *picker, struct ft_replay_frame *frame, struct ft_error *error);

/* Begin the next pass. */
int ft_picker_rewind(struct ft_picker *picker, struct ft_error *error);

/* Ask `given_up` from now on. */
void ft_picker_watch(struct ft_picker *picker, bool (*given_up)(void *context), void *context);

/* What a pass takes: from the first to the last frame picked so far, and the mean gap. */
uint64_t ft_picker_period_ns(const struct ft_picker *picker);

/* Accepts NULL. */
void ft_picker_free(struct ft_picker *picker);

#endif
