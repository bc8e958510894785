/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/stream_shape.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

static void put_lengths(const struct ft_stream *stream, uint32_t bytes, uint8_t *frame)
{
	uint8_t *ip = frame + stream->ip_at, *transport = frame + stream->transport_at;
	uint32_t packet_bytes = bytes - stream->ip_at;

	if (stream->ip == FT_LAYER_IPV4)
		ft_stream_put_be16(ip + offsetof(struct iphdr, tot_len), (uint16_t)packet_bytes);
	else if (stream->ip == FT_LAYER_IPV6)
		ft_stream_put_be16(ip + offsetof(struct ip6_hdr, ip6_plen),
				   (uint16_t)(packet_bytes - sizeof(struct ip6_hdr)));
	if (stream->transport == FT_LAYER_UDP)
		ft_stream_put_be16(transport + offsetof(struct udphdr, len),
				   (uint16_t)(bytes - stream->transport_at));
}

void ft_stream_put_shape(const struct ft_stream *stream, const struct ft_stream_shape *shape,
			 uint8_t *frame)
{
	memcpy(frame + shape->bytes - shape->tail_bytes, shape->tail, shape->tail_bytes);
	put_lengths(stream, shape->bytes, frame);
	if (stream->ip_check_at != 0)
		ft_stream_put_be16(frame + stream->ip_check_at,
				   (uint16_t)~ft_checksum_fold(shape->ip_sum));
	if (stream->transport_check_at != 0)
		ft_stream_put_transport_sum(stream, frame, shape->transport_sum);
}

static void clear_checksums(const struct ft_stream *stream, uint8_t *frame)
{
	if (stream->ip_check_at != 0)
		ft_stream_put_be16(frame + stream->ip_check_at, 0);
	if (stream->transport_check_at != 0)
		ft_stream_put_be16(frame + stream->transport_check_at, 0);
}

/* The addresses, protocol and length that the checksum holds beside the datagram. */
static uint64_t add_pseudo_header(const struct ft_stream *stream, uint32_t datagram_bytes,
				  const uint8_t *frame)
{
	const uint8_t *ip = frame + stream->ip_at;
	uint64_t sum = htons((uint16_t)datagram_bytes);

	if (stream->ip == FT_LAYER_IPV6) {
		sum += htons(ip[offsetof(struct ip6_hdr, ip6_nxt)]);
		return ft_checksum_add(sum, ip + offsetof(struct ip6_hdr, ip6_src),
				       2 * sizeof(struct in6_addr));
	}
	if (stream->transport == FT_LAYER_ICMP)
		return 0;
	sum += htons(ip[offsetof(struct iphdr, protocol)]);
	return ft_checksum_add(sum, ip + offsetof(struct iphdr, saddr), 2 * sizeof(struct in_addr));
}

void ft_stream_make_shape(const struct ft_stream *stream, const struct ft_signature_run *run,
			  uint16_t id, uint8_t *frame, struct ft_stream_shape *shape)
{
	uint32_t datagram_bytes = shape->bytes - stream->transport_at;
	uint8_t *room = frame + shape->bytes - FT_SIGNATURE_ROOM_BYTES;
	uint8_t *payload = frame + stream->payload_at;
	uint64_t sum;

	memcpy(payload, stream->payload, shape->bytes - stream->payload_at);
	put_lengths(stream, shape->bytes, frame);
	clear_checksums(stream, frame);
	if (stream->signature) {
		ft_signature_prepare(room, run, id);
		shape->tail_bytes = FT_SIGNATURE_ROOM_BYTES + ft_signature_cover(payload, room);
		ft_signature_stamp(room, 0, 0); /* from now on it adds up to nothing */
		memcpy(shape->tail, frame + shape->bytes - shape->tail_bytes, shape->tail_bytes);
	}
	if (stream->ip_check_at != 0) {
		sum = ft_checksum_add(0, frame + stream->ip_at, sizeof(struct iphdr));
		shape->ip_sum = ntohs(ft_checksum_fold(sum));
	}
	if (stream->transport_check_at != 0) {
		sum = add_pseudo_header(stream, datagram_bytes, frame);
		sum = ft_checksum_add(sum, frame + stream->transport_at, datagram_bytes);
		shape->transport_sum = ntohs(ft_checksum_fold(sum));
	}
}
