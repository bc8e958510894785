/* SPDX-License-Identifier: Apache-2.0 */
/* Captures as the engine writes them, made block by block: for tests of what reads them. */
#ifndef FT_TESTS_CHUNKED_H
#define FT_TESTS_CHUNKED_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ft/index.h"
#include "ft/pcapng.h"
#include "pipe/epb.h"
#include "pipe/summary.h"

#define CHUNKED_MAX_BYTES (5u << 20)
#define CHUNKED_BASE_NS	  1700000000000000000ull

struct chunked {
	FILE *file;
	struct ft_index_writer *index; /* NULL: none */
	struct ft_flow_key key;
	struct ft_chunk_mark mark; /* of the next chunk */
	struct ft_index_chunk is;
	struct ft_summary summary;
	struct ft_flow_table table;
	size_t alignment; /* of chunks: 4 in a stream */
	uint64_t offset;
	uint64_t delivered;
	size_t used; /* of the chunk being made */
	_Alignas(8) uint8_t chunk[CHUNKED_MAX_BYTES];
};

static inline void chunked_end(struct chunked *c, uint32_t source)
{
	const struct ft_pcapng_statistics statistics = {
		.interface = 0,
		.now_ns = CHUNKED_BASE_NS,
		.delivered = c->delivered,
		.counts_port = true,
		.received = c->delivered + 7,
		.os_drops = 7,
	};
	struct ft_error error;
	size_t bytes;

	c->mark.source = source;
	bytes = c->used + ft_pcapng_write_chunk_end(c->chunk + c->used, CHUNKED_MAX_BYTES - c->used,
						    &statistics, c->used, c->alignment, &c->mark);
	ft_pcapng_seal_chunk(c->chunk, bytes, &c->mark);
	if (fwrite(c->chunk, bytes, 1, c->file) != 1)
		abort();
	c->is.offset = c->offset;
	c->is.sequence = c->mark.sequence;
	c->is.length_bytes = (uint32_t)bytes;
	c->is.source = source;
	if (c->index != NULL &&
	    ft_index_add(c->index, &c->is, c->is.packets > 0 ? &c->summary : NULL, &error) != 0)
		abort();
	c->mark.sequence++;
	c->offset += bytes;
	c->used = 0;
	c->is = (struct ft_index_chunk){0};
	ft_summary_begin(&c->summary, &c->table);
}

/* A file with one interface, or two. `session` is the first byte of the session's identity. */
static inline struct chunked *chunked_begin_aligned(const char *path, uint8_t session, bool indexed,
						    size_t alignment)
{
	const struct ft_port_interface interface = {
		.name = "eth2:rx",
		.link_type = 1,
		.timestamps = "host",
	};
	struct chunked *c = calloc(1, sizeof(*c));
	struct ft_error error;
	char name[512];

	c->alignment = alignment;
	c->file = fopen(path, "we");
	if (c->file == NULL)
		abort();
	c->key = (struct ft_flow_key){{0x1234567890abcdefu, 0xfedcba0987654321u}};
	snprintf(name, sizeof(name), "%s.idx", path);
	if (indexed && ft_index_create(name, &c->key, &c->index, &error) != 0)
		abort();
	memset(c->mark.session, session, sizeof(c->mark.session));
	c->used = ft_pcapng_write_section(c->chunk, CHUNKED_MAX_BYTES, "test");
	c->used += ft_pcapng_write_interface(c->chunk + c->used, 8192, &interface, 262144, NULL);
	chunked_end(c, FT_CHUNK_NO_SOURCE);
	return c;
}

static inline struct chunked *chunked_begin(const char *path, uint8_t session, bool indexed)
{
	return chunked_begin_aligned(path, session, indexed, FT_CHUNK_ALIGNMENT);
}

static inline void chunked_put_frame(struct chunked *c, uint64_t stamp_ns, const uint8_t *bytes,
				     uint32_t count)
{
	const struct ft_frame frame = {
		.data = bytes,
		.stamp_ns = stamp_ns,
		.captured_bytes = count,
		.length_bytes = count,
		.epb_flags = 1,
	};
	struct ft_flow flow;

	c->used += ft_epb_write(c->chunk + c->used, 0, &frame, count, 0);
	ft_flow_read(&c->key, 1, bytes, count, &flow);
	ft_summary_note(&c->summary, &c->table, &c->key, &flow);
	if (c->is.packets == 0 || stamp_ns < c->is.first_ns)
		c->is.first_ns = stamp_ns;
	if (stamp_ns > c->is.last_ns)
		c->is.last_ns = stamp_ns;
	c->is.packets++;
	c->is.bytes += count;
	c->delivered++;
}

/* UDP from 10.0.0.0+`flow` port 1024+`flow` to 10.1.0.1 port 53; `number` is in its payload. */
static inline uint32_t chunked_make_frame(uint8_t *frame, uint32_t bytes, uint32_t flow,
					  uint32_t number)
{
	static const uint8_t begin[] = {
		2,    0, 0, 0, 0, 1, 2, 0, 0,  0,  0, 2, 8, 0, /* Ethernet */
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0,       /* IPv4 */
	};
	uint32_t from = htonl(0x0a000000u + flow), to = htonl(0x0a010001u);
	uint16_t length = htons((uint16_t)(bytes - 14)), udp = htons((uint16_t)(bytes - 34));
	uint16_t from_port = htons((uint16_t)(1024 + flow % 60000)), to_port = htons(53);

	memset(frame, 0xa5, bytes);
	memcpy(frame, begin, sizeof(begin));
	memcpy(frame + 16, &length, 2);
	memcpy(frame + 26, &from, 4);
	memcpy(frame + 30, &to, 4);
	memcpy(frame + 34, &from_port, 2);
	memcpy(frame + 36, &to_port, 2);
	memcpy(frame + 38, &udp, 2);
	memcpy(frame + 40, "\0\0", 2);
	memcpy(frame + 42, &number, 4);
	return bytes;
}

static inline void chunked_put_udp(struct chunked *c, uint64_t stamp_ns, uint32_t bytes,
				   uint32_t flow, uint32_t number)
{
	uint8_t frame[9018];

	chunked_put_frame(c, stamp_ns, frame, chunked_make_frame(frame, bytes, flow, number));
}

/* The last words and the end; returns the file's length. */
static inline uint64_t chunked_finish(struct chunked *c)
{
	struct ft_error error;
	uint64_t bytes;

	chunked_end(c, FT_CHUNK_NO_SOURCE);
	bytes = c->offset;
	if (fclose(c->file) != 0 ||
	    (c->index != NULL && ft_index_close(c->index, bytes, &error) != 0))
		abort();
	free(c);
	return bytes;
}

#endif
