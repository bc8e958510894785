/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: the source of all frames that are made, not replayed. Each frame of a stream lies in a
 * slot that was filled once; what a frame changes of it is a few fields, by a list of operations
 * made from the stream file (stream_build.c), its number and its time.
 */
#ifndef FT_GEN_STREAM_H
#define FT_GEN_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/ledger.h"
#include "ft/pacing.h"
#include "ft/signature.h"
#include "ft/source.h"
#include "gen/stream_file.h"
#include "gen/transmit.h"

/* Fields of a stream that vary. */
#define FT_STREAM_MAX_OPS 16u
/* Addresses, tags and labels, EtherType, IPv6, TCP. */
#define FT_STREAM_MAX_HEADER_BYTES (12u + 2 * 4u * FT_LAYER_MAX_STACKED + 2u + 40u + 20u)

/* Puts the next value of a field into the 2, 4 or 8 bytes that hold it. */
struct ft_stream_op {
	enum ft_value_kind kind;
	uint16_t at; /* in the frame; even where a checksum looks at it */
	uint8_t width;
	uint8_t shift;
	uint64_t keep;			      /* the bits of those bytes that are not the field's */
	uint64_t in_ip_sum, in_transport_sum; /* all ones where the checksum holds it, else 0 */

	uint64_t value; /* next: counted; the least: drawn */
	uint64_t first, step, count;
	uint64_t index; /* of those counted or listed */
	uint64_t state; /* of the generator (gen/draw.h) */
	const uint64_t *list;
};

/* What depends on a frame's size. Sums leave out the fields that vary. */
struct ft_stream_shape {
	uint32_t bytes; /* without FCS */
	uint32_t tail_bytes;
	uint32_t ip_sum, transport_sum;
	ft_fine_time cost;  /* of the schedule */
	ft_fine_time least; /* of it: the frame's own time on the wire; 0: unknown */
	/* The last bytes of the payload: the signature, in front of it what covers the rest. */
	uint8_t tail[FT_SIGNATURE_CRC_BYTES + FT_SIGNATURE_ROOM_BYTES];
};

struct ft_stream_slot {
	uint8_t *frame;
	const struct ft_stream_shape *shape; /* that the frame has now */
};

/* Owned by the sender's thread, except `number`. */
struct ft_stream {
	const char *name; /* the place in the set is its id */
	ft_count number;  /* of the next frame; frames made so far */
	uint64_t turns;	  /* places in the schedule so far: frames made or passed over */
	uint64_t limit;	  /* of turns */
	ft_fine_time due; /* of the next frame */

	/* The schedule. */
	bool poisson;
	uint64_t burst, in_burst;
	ft_fine_time owed, owed_least; /* by the frames of the burst so far */
	uint64_t gap_state;

	/* The frames. */
	struct ft_stream_shape *shapes;
	unsigned shape_count, next_shape;
	bool shapes_random;
	uint64_t shape_state;
	struct ft_stream_slot *slots;
	unsigned slot_count, next_slot;
	struct ft_stream_op ops[FT_STREAM_MAX_OPS];
	unsigned op_count;
	bool signature;
	bool zero_is_none;		  /* a UDP checksum of 0 would say that there is none */
	bool ip_varies, transport_varies; /* a field in that checksum does */
	uint16_t payload_at, ip_at, transport_at;
	uint16_t ip_check_at, transport_check_at; /* 0: there is none */
	enum ft_layer_id ip, transport;		  /* FT_LAYER_COUNT: none */
	uint8_t *payload;			  /* of the longest frame, without a signature */
};

struct ft_stream_set {
	struct ft_source source;
	struct ft_stream *streams; /* in the order of the file */
	unsigned count;
	bool is_signed;	      /* some stream is */
	bool top_speed;	      /* every frame is due at once; `due` of streams is only their order */
	uint64_t asked;	      /* frames of all streams together; 0: no limit */
	double requested_pps; /* of all together while none has ended; 0: top speed */
	struct ft_stream **due; /* a heap, the next one first */
	unsigned due_count;
	uint32_t longest_bytes; /* of a frame, without FCS */
	uint8_t *memory;	/* of the slots, where it is not the port's */
};

extern const struct ft_source_ops ft_stream_ops;

/*
 * Make the streams of `file`, which must outlive them, in memory of the port's. -EINVAL with stream
 * and field, -ENOMEM.
 */
int ft_stream_set_create(const struct ft_stream_file *file, struct ft_transmit *transmit,
			 const struct ft_signature_run *run, struct ft_stream_set *set,
			 struct ft_error *error);

/* Frames made so far of streams without a signature. */
uint64_t ft_stream_set_unsigned(const struct ft_stream_set *set);

/* Accepts a zeroed one. */
void ft_stream_set_free(struct ft_stream_set *set);

#endif
