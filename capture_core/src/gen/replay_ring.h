/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of a capture that is read while it is sent: a thread reads ahead, the sender takes.
 * One producer, one consumer, no lock; memory is reserved once.
 */
#ifndef FT_GEN_REPLAY_RING_H
#define FT_GEN_REPLAY_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/replay.h"
#include "gen/picker.h"

struct ft_replay_ring;

enum ft_ring_state { FT_RING_FRAME, FT_RING_EMPTY, FT_RING_END };

/* How much has been read so far, over all passes. */
struct ft_ring_ahead {
	uint64_t frames, bytes;
	uint64_t due_ns; /* of the last one */
	bool is_all;	 /* there is no more, or half of the memory is full */
};

/* Takes `picker`. `memory_bytes` is an upper bound. -ENOMEM. */
int ft_replay_ring_create(struct ft_picker *picker, uint64_t loops, uint64_t memory_bytes,
			  struct ft_replay_ring **ring, struct ft_error *error);

/* Start the reading thread. */
int ft_replay_ring_start(struct ft_replay_ring *ring, struct ft_error *error);

/*
 * The next frame, its due_ns counted over all passes. Its bytes stay until FT_TRANSMIT_BATCH
 * further ones were taken. For the consumer only.
 */
enum ft_ring_state ft_replay_ring_take(struct ft_replay_ring *ring, struct ft_replay_frame *frame);

/* From any thread, once the reading thread has been started. */
struct ft_ring_ahead ft_replay_ring_ahead(const struct ft_replay_ring *ring);

/* What reading came to, once FT_RING_END was seen; 0 before that. */
int ft_replay_ring_result(const struct ft_replay_ring *ring, struct ft_error *error);

/* Ends the thread first. Accepts NULL. */
void ft_replay_ring_free(struct ft_replay_ring *ring);

#endif
