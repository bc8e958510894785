/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/stream_build.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>

#include "gen/draw.h"

#define MPLS_BOTTOM 0x01u /* of the third byte (RFC 3032 2.1) */
#define IPV4_FIRST  0x45u /* version 4, header of five words */
#define IPV6_FIRST  0x60u
#define TCP_WORDS   0x50u /* header of five words */

#define IPV4_CHECK_AT 10u
#define IPV4_PAIR_AT  12u /* both addresses, which the checksums of UDP and TCP hold too */
#define IPV6_PAIR_AT  8u

static uint64_t ones(unsigned bits)
{
	return bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
}

/*
 * Where a field lies: the 2, 4 or 8 bytes that hold it, from an even place on; of an IPv6 address
 * its lower half.
 */
static struct ft_stream_op place(unsigned header_at, const struct ft_field *field)
{
	unsigned bits = field->bits > 64 ? 64 : field->bits;
	unsigned bit = field->bit + field->bits - bits, at = bit / 16 * 2;
	unsigned needed = bit + bits - at * 8;
	unsigned width = needed <= 16 ? 2 : needed <= 32 ? 4 : 8;
	unsigned shift = width * 8 - needed;

	return (struct ft_stream_op){
		.at = (uint16_t)(header_at + at),
		.width = (uint8_t)width,
		.shift = (uint8_t)shift,
		.keep = ~(ones(bits) << shift),
	};
}

/* Set a field that stays, bit by bit: here is time. */
static void put_constant(uint8_t *header, const struct ft_field *field,
			 const struct ft_value *value)
{
	for (unsigned i = 0; i < field->bits; i++) {
		unsigned from_right = field->bits - 1 - i, bit = field->bit + i;
		uint64_t word = from_right < 64 ? value->first : value->high;

		if (word >> (from_right % 64) & 1)
			header[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	}
}

/* Which checksums hold the field. */
static void set_sums(const struct ft_stream *stream, enum ft_layer_id id, unsigned header_at,
		     struct ft_stream_op *op)
{
	unsigned pair_at = id == FT_LAYER_IPV4 ? IPV4_PAIR_AT : IPV6_PAIR_AT;
	bool address = ft_layer_is_ip(id) && op->at >= header_at + pair_at;
	/* That of ICMP leaves the addresses out, that of ICMPv6 does not. */
	bool pseudo = stream->transport != FT_LAYER_ICMP || stream->ip == FT_LAYER_IPV6;

	if (id == FT_LAYER_IPV4)
		op->in_ip_sum = UINT64_MAX;
	if (stream->transport_check_at != 0 && (ft_layer_is_transport(id) || (address && pseudo)))
		op->in_transport_sum = UINT64_MAX;
}

/* The headers of one stream in the making. */
struct layout {
	const struct ft_stream_file *file;
	const struct ft_stream_plan *plan;
	struct ft_stream *stream;
	struct ft_stream_headers *headers;
	unsigned type_at; /* the EtherType's place, behind the tags */
};

static int add_op(const struct layout *layout, const struct ft_stream_layer *layer, unsigned i,
		  unsigned header_at, const char *what, struct ft_error *error)
{
	struct ft_stream *stream = layout->stream;
	const struct ft_value *value = &layer->values[i];
	struct ft_spot spot = ft_stream_spot(layout->file, layout->plan, what);
	struct ft_stream_op op = place(header_at, &ft_layers[layer->id].fields[i]);

	if (stream->op_count == FT_STREAM_MAX_OPS)
		return ft_spot_fail(
			&spot, error,
			"at most %u fields of a stream may vary; make this one constant",
			FT_STREAM_MAX_OPS);
	set_sums(stream, layer->id, header_at, &op);
	stream->ip_varies |= op.in_ip_sum != 0;
	stream->transport_varies |= op.in_transport_sum != 0;
	op.kind = value->kind;
	op.first = op.value = value->first;
	op.step = value->step;
	op.count = value->count;
	op.list = value->list;
	op.state = ft_draw_begin(layout->file->seed, layout->plan->name, what);
	stream->ops[stream->op_count++] = op;
	return 0;
}

/* `path` is what the file calls this layer: "ipv4", "vlan[1]". */
static int add_layer(const struct layout *layout, const struct ft_stream_layer *layer,
		     const char *path, unsigned at, struct ft_error *error)
{
	const struct ft_layer *type = &ft_layers[layer->id];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < type->field_count; i++) {
		const struct ft_field *field = &type->fields[i];
		bool is_type = layer->id == FT_LAYER_ETHERNET && i == FT_ETHERNET_TYPE;
		unsigned header_at = is_type ? layout->type_at - type->bytes : at;
		struct ft_value value = layer->values[i];
		char what[sizeof(((struct ft_spot *)0)->field)];

		if (value.kind != FT_VALUE_CONSTANT) {
			snprintf(what, sizeof(what), "%s.%s", path, field->name);
			rc = add_op(layout, layer, i, header_at, what, error);
			value.first = 0;
		}
		put_constant(layout->headers->bytes + header_at, field, &value);
	}
	return rc;
}

/* Addresses, tags, EtherType, labels, IP, transport: where each begins. */
static void find_places(const struct ft_stream_plan *plan, struct ft_stream *stream,
			unsigned places[FT_STREAM_MAX_LAYERS], struct layout *layout)
{
	unsigned at = 0;

	stream->ip = stream->transport = FT_LAYER_COUNT;
	for (unsigned i = 0; i < plan->layer_count; i++) {
		enum ft_layer_id id = plan->layers[i].id;

		if (id > FT_LAYER_VLAN && layout->type_at == 0) {
			layout->type_at = at;
			at += sizeof(uint16_t);
		}
		if (ft_layer_is_ip(id)) {
			stream->ip = id;
			stream->ip_at = (uint16_t)at;
		} else if (ft_layer_is_transport(id)) {
			stream->transport = id;
			stream->transport_at = (uint16_t)at;
		}
		places[i] = at;
		at += ft_layers[id].bytes;
	}
	if (layout->type_at == 0) {
		layout->type_at = at;
		at += sizeof(uint16_t);
	}
	layout->headers->count = at;
	stream->payload_at = (uint16_t)at;
}

static void find_checksums(const struct ft_stream_plan *plan, struct ft_stream *stream)
{
	static const uint16_t check_at[FT_LAYER_COUNT] = {
		[FT_LAYER_UDP] = 6, [FT_LAYER_TCP] = 16, [FT_LAYER_ICMP] = 2};

	if (stream->ip == FT_LAYER_IPV4)
		stream->ip_check_at = (uint16_t)(stream->ip_at + IPV4_CHECK_AT);
	stream->zero_is_none = stream->transport == FT_LAYER_UDP;
	if (stream->transport != FT_LAYER_COUNT && (plan->udp_checksum || !stream->zero_is_none))
		stream->transport_check_at =
			(uint16_t)(stream->transport_at + check_at[stream->transport]);
}

static void put_be16(uint8_t *at, uint16_t value)
{
	uint16_t be = htobe16(value);

	memcpy(at, &be, sizeof(be));
}

/* What no field of a file holds: types of what follows, versions, lengths of headers. */
static void put_structure(const struct layout *layout, const unsigned *places)
{
	const struct ft_stream *stream = layout->stream;
	uint8_t *bytes = layout->headers->bytes, *bottom = NULL;

	for (unsigned i = 0; i < layout->plan->layer_count; i++)
		if (layout->plan->layers[i].id == FT_LAYER_MPLS)
			bottom = bytes + places[i] + 2;
	if (bottom != NULL) {
		*bottom |= MPLS_BOTTOM;
		put_be16(bytes + layout->type_at, ETH_P_MPLS_UC);
	} else if (stream->ip != FT_LAYER_COUNT) {
		put_be16(bytes + layout->type_at,
			 stream->ip == FT_LAYER_IPV4 ? ETH_P_IP : ETH_P_IPV6);
	}
	if (stream->ip != FT_LAYER_COUNT)
		bytes[stream->ip_at] |= stream->ip == FT_LAYER_IPV4 ? IPV4_FIRST : IPV6_FIRST;
	if (stream->transport == FT_LAYER_TCP)
		bytes[stream->transport_at + 12] |= TCP_WORDS;
}

int ft_stream_build_headers(const struct ft_stream_file *file, const struct ft_stream_plan *plan,
			    struct ft_stream *stream, struct ft_stream_headers *headers,
			    struct ft_error *error)
{
	struct layout layout = {.file = file, .plan = plan, .stream = stream, .headers = headers};
	unsigned places[FT_STREAM_MAX_LAYERS], stacked = 0;
	int rc = 0;

	memset(headers, 0, sizeof(*headers));
	find_places(plan, stream, places, &layout);
	find_checksums(plan, stream);
	for (unsigned i = 0; rc == 0 && i < plan->layer_count; i++) {
		const struct ft_stream_layer *layer = &plan->layers[i];
		const char *name = ft_layers[layer->id].name;
		char path[32];

		stacked = i > 0 && layer->id == layer[-1].id ? stacked + 1 : 0;
		if (layer->id == FT_LAYER_VLAN || layer->id == FT_LAYER_MPLS)
			snprintf(path, sizeof(path), "%s[%u]", name, stacked);
		else
			snprintf(path, sizeof(path), "%s", name);
		rc = add_layer(&layout, layer, path, places[i], error);
	}
	put_structure(&layout, places);
	return rc;
}
