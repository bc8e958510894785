/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream file: what each stream's frames look like and when they go, read from TOML and checked.
 * docs/streams.md is its reference.
 */
#ifndef FT_GEN_STREAM_FILE_H
#define FT_GEN_STREAM_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"
#include "ft/generate.h"
#include "ft/units.h"
#include "gen/layers.h"
#include "gen/sizes.h"
#include "gen/value.h"

#define FT_STREAM_MAX_STREAMS 256u
#define FT_STREAM_NAME_BYTES  64u
/* Addresses, tags, labels, one IP and one transport header. */
#define FT_STREAM_MAX_LAYERS (1u + 2 * FT_LAYER_MAX_STACKED + 2)

enum ft_pattern {
	FT_PATTERN_INCREMENT, /* 0, 1, ... 255, 0, ... */
	FT_PATTERN_ZEROS,
	FT_PATTERN_RANDOM, /* drawn once: the same in each frame of the stream */
	FT_PATTERN_BYTES,  /* those given, then zeros */
};

struct ft_payload {
	enum ft_pattern pattern;
	uint8_t *bytes; /* FT_PATTERN_BYTES */
	uint32_t byte_count;
};

struct ft_stream_layer {
	enum ft_layer_id id;
	struct ft_value values[FT_LAYER_MAX_FIELDS]; /* of ft_layers[id].fields */
};

struct ft_stream_plan {
	char name[FT_STREAM_NAME_BYTES];
	bool rate_given; /* else it shares the file's rate */
	struct ft_rate rate;
	uint64_t share;
	bool poisson;
	uint64_t burst; /* 0: as the command line says */
	uint64_t count; /* frames; 0: no limit of its own */
	bool signature;
	bool udp_checksum;
	struct ft_sizes sizes;
	struct ft_payload payload;
	struct ft_stream_layer layers[FT_STREAM_MAX_LAYERS];
	unsigned layer_count;
};

struct ft_stream_file {
	const char *name; /* NULL: there is no file, the command line says all */
	struct ft_stream_plan *streams;
	unsigned count;
	bool rate_given;
	struct ft_rate rate; /* of all streams together that have none of their own; top speed */
	bool late_given;
	enum ft_late late;
	uint64_t seed;
};

/* -EINVAL, or why the file cannot be read. Free the file in any case. */
int ft_stream_file_read(const char *path, struct ft_stream_file *file, struct ft_error *error);

/* The same from text in memory, which is not trusted. */
int ft_stream_file_parse(const char *text, size_t bytes, const char *name,
			 struct ft_stream_file *file, struct ft_error *error);

/* One stream of everything's defaults, with frames of these sizes. -ENOMEM. */
int ft_stream_file_default(const uint32_t *sizes, unsigned count, struct ft_stream_file *file,
			   struct ft_error *error);

/* A spot in a stream of the file, or without a plan outside any; else the option for that field. */
struct ft_spot ft_stream_spot(const struct ft_stream_file *file, const struct ft_stream_plan *plan,
			      const char *field);

/* Accepts a zeroed one. */
void ft_stream_file_free(struct ft_stream_file *file);

#endif
