/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/stream_layers.h"

#include <ctype.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAYLOAD_BYTES 65535u

/* Beside its fields: whether UDP carries a checksum at all. */
#define UDP_CHECKSUM "checksum"

static bool has(const json_t *stream, const char *table, const char *key)
{
	return json_object_get(json_object_get(stream, table), key) != NULL;
}

static int check_keys(const json_t *table, const struct ft_layer *layer, const struct ft_spot *spot,
		      struct ft_error *error)
{
	const char *keys[FT_LAYER_MAX_FIELDS + 2] = {0};
	unsigned count = 0;

	while (count < layer->field_count) {
		keys[count] = layer->fields[count].name;
		count++;
	}
	if (layer == &ft_layers[FT_LAYER_UDP])
		keys[count] = UDP_CHECKSUM;
	return ft_spot_check_keys(spot, table, keys, error);
}

/* Add the layer to the plan; `table` NULL: everything as initially. Returns NULL on error. */
static struct ft_stream_layer *add_layer(enum ft_layer_id id, const json_t *table,
					 const struct ft_spot *spot, struct ft_stream_plan *plan,
					 struct ft_error *error)
{
	struct ft_stream_layer *layer = &plan->layers[plan->layer_count++];
	const struct ft_layer *type = &ft_layers[id];

	layer->id = id;
	if (table != NULL && !json_is_object(table)) {
		ft_spot_fail(spot, error, "%s where a table belongs", ft_spot_type(table));
		return NULL;
	}
	if (table != NULL && check_keys(table, type, spot, error) != 0)
		return NULL;
	for (unsigned i = 0; i < type->field_count; i++) {
		const struct ft_field *field = &type->fields[i];
		const json_t *json = json_object_get(table, field->name);
		struct ft_spot at = ft_spot_at(spot, "%s.%s", spot->field, field->name);

		layer->values[i] =
			(struct ft_value){.high = field->initial_high, .first = field->initial};
		if (json != NULL && ft_value_read(json, field, &at, &layer->values[i], error) != 0)
			return NULL;
	}
	return layer;
}

/* Tags or labels: a table, or a list of them with the outermost first. */
static int add_stacked(enum ft_layer_id id, const json_t *stream, const struct ft_spot *spot,
		       struct ft_stream_plan *plan, struct ft_error *error)
{
	const char *name = ft_layers[id].name;
	const json_t *stacked = json_object_get(stream, name);
	struct ft_spot at = ft_spot_at(spot, "%s", name);
	size_t count = json_array_size(stacked);

	if (stacked == NULL)
		return 0;
	if (!json_is_array(stacked))
		return add_layer(id, stacked, &at, plan, error) != NULL ? 0 : -EINVAL;
	if (count > FT_LAYER_MAX_STACKED)
		return ft_spot_fail(&at, error, "%zu of them; give at most %u", count,
				    FT_LAYER_MAX_STACKED);
	for (size_t i = 0; i < count; i++) {
		const json_t *table = json_array_get(stacked, i);
		struct ft_stream_layer *layer;

		at = ft_spot_at(spot, "%s[%zu]", name, i);
		layer = add_layer(id, table, &at, plan, error);
		if (layer == NULL)
			return -EINVAL;
		/* IEEE 802.1ad: a service tag outside, a customer's inside. */
		if (id == FT_LAYER_VLAN && i + 1 < count && json_object_get(table, "type") == NULL)
			layer->values[FT_VLAN_TYPE].first = ETH_P_8021AD;
	}
	return 0;
}

/* Which one of the layers from `first` to `last` the file has; FT_LAYER_COUNT: none. */
static int choose(const json_t *stream, enum ft_layer_id first, enum ft_layer_id last,
		  const struct ft_spot *spot, enum ft_layer_id *chosen, struct ft_error *error)
{
	*chosen = FT_LAYER_COUNT;
	for (enum ft_layer_id id = first; id <= last; id++) {
		struct ft_spot at = ft_spot_at(spot, "%s", ft_layers[id].name);

		if (json_object_get(stream, ft_layers[id].name) == NULL)
			continue;
		if (*chosen != FT_LAYER_COUNT)
			return ft_spot_fail(&at, error, "the stream has %s already; take out one",
					    ft_layers[*chosen].name);
		*chosen = id;
	}
	return 0;
}

static int add_ip(const json_t *stream, const struct ft_spot *spot, struct ft_stream_plan *plan,
		  enum ft_layer_id *chosen, struct ft_error *error)
{
	bool typed = has(stream, "ethernet", "type");
	struct ft_spot at = ft_spot_at(spot, "ethernet.type");
	int rc = choose(stream, FT_LAYER_IPV4, FT_LAYER_IPV6, spot, chosen, error);

	if (rc != 0)
		return rc;
	if (typed && (*chosen != FT_LAYER_COUNT || json_object_get(stream, "mpls") != NULL))
		return ft_spot_fail(&at, error,
				    "it follows from the headers behind it; take it out");
	if (*chosen == FT_LAYER_COUNT && !typed)
		*chosen = FT_LAYER_IPV4;
	if (*chosen == FT_LAYER_COUNT)
		return 0;
	at = ft_spot_at(spot, "%s", ft_layers[*chosen].name);
	return add_layer(*chosen, json_object_get(stream, at.field), &at, plan, error) != NULL
		       ? 0
		       : -EINVAL;
}

static const char *protocol_key(enum ft_layer_id ip)
{
	return ip == FT_LAYER_IPV4 ? ft_layers[ip].fields[FT_IPV4_PROTOCOL].name
				   : ft_layers[ip].fields[FT_IPV6_NEXT_HEADER].name;
}

static uint64_t protocol_of(enum ft_layer_id transport, enum ft_layer_id ip)
{
	switch (transport) {
	case FT_LAYER_UDP:
		return IPPROTO_UDP;
	case FT_LAYER_TCP:
		return IPPROTO_TCP;
	default:
		return ip == FT_LAYER_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	}
}

static int check_transport(const json_t *stream, const struct ft_spot *spot, enum ft_layer_id ip,
			   enum ft_layer_id transport, struct ft_error *error)
{
	struct ft_spot at = ft_spot_at(spot, "%s", ft_layers[transport].name);

	if (ip == FT_LAYER_COUNT)
		return ft_spot_fail(&at, error,
				    "with ethernet.type the frame has no IP header to carry it; "
				    "take out one");
	if (has(stream, ft_layers[ip].name, protocol_key(ip))) {
		at = ft_spot_at(spot, "%s.%s", ft_layers[ip].name, protocol_key(ip));
		return ft_spot_fail(&at, error, "it follows from %s; take it out",
				    ft_layers[transport].name);
	}
	return 0;
}

static int read_udp_checksum(const json_t *stream, const struct ft_spot *spot, enum ft_layer_id ip,
			     struct ft_stream_plan *plan, struct ft_error *error)
{
	const json_t *json = json_object_get(json_object_get(stream, "udp"), UDP_CHECKSUM);
	struct ft_spot at = ft_spot_at(spot, "udp." UDP_CHECKSUM);

	if (json == NULL)
		return 0;
	if (!json_is_boolean(json))
		return ft_spot_fail(&at, error, "%s where true or false belongs",
				    ft_spot_type(json));
	plan->udp_checksum = json_is_true(json);
	if (!plan->udp_checksum && ip == FT_LAYER_IPV6) /* RFC 8200 8.1 */
		return ft_spot_fail(&at, error, "over IPv6 a checksum is required; take it out");
	return 0;
}

static int add_transport(const json_t *stream, const struct ft_spot *spot, enum ft_layer_id ip,
			 struct ft_stream_plan *plan, struct ft_error *error)
{
	unsigned place = ip == FT_LAYER_IPV4 ? FT_IPV4_PROTOCOL : FT_IPV6_NEXT_HEADER;
	struct ft_stream_layer *below = &plan->layers[plan->layer_count - 1], *layer;
	enum ft_layer_id id;
	struct ft_spot at;
	int rc = choose(stream, FT_LAYER_UDP, FT_LAYER_ICMP, spot, &id, error);

	if (rc == 0 && id != FT_LAYER_COUNT)
		rc = check_transport(stream, spot, ip, id, error);
	if (rc != 0)
		return rc;
	if (id == FT_LAYER_COUNT) {
		if (ip == FT_LAYER_COUNT || has(stream, ft_layers[ip].name, protocol_key(ip)))
			return 0;
		id = FT_LAYER_UDP;
	}
	below->values[place].first = protocol_of(id, ip);
	at = ft_spot_at(spot, "%s", ft_layers[id].name);
	layer = add_layer(id, json_object_get(stream, at.field), &at, plan, error);
	if (layer == NULL)
		return -EINVAL;
	if (id == FT_LAYER_ICMP && ip == FT_LAYER_IPV6 && !has(stream, "icmp", "type"))
		layer->values[FT_ICMP_TYPE].first = ICMP6_ECHO_REQUEST;
	return read_udp_checksum(stream, spot, ip, plan, error);
}

/* Whether the field is anything but always 0. */
static bool is_set(const struct ft_value *value)
{
	return value->kind != FT_VALUE_CONSTANT || value->first != 0;
}

/* Fragments carry no signature that a receiver would find, and only the first a transport header.
 */
static int check_fragments(const struct ft_spot *spot, const struct ft_stream_plan *plan,
			   struct ft_error *error)
{
	const struct ft_stream_layer *last = &plan->layers[plan->layer_count - 1], *ip = last;
	struct ft_spot at = ft_spot_at(spot, "ipv4.fragment_offset");
	bool later, more;

	if (ft_layer_is_transport(last->id))
		ip--;
	if (ip->id != FT_LAYER_IPV4)
		return 0;
	later = is_set(&ip->values[FT_IPV4_FRAGMENT_OFFSET]);
	more = is_set(&ip->values[FT_IPV4_MORE_FRAGMENTS]);
	if (later && ip != last)
		return ft_spot_fail(&at, error,
				    "a later fragment has no %s header; set ipv4.protocol instead "
				    "of it",
				    ft_layers[last->id].name);
	at = ft_spot_at(spot, "signature");
	if ((later || more) && plan->signature)
		return ft_spot_fail(&at, error,
				    "fragments carry none; set signature = false for this stream");
	return 0;
}

int ft_stream_read_layers(const json_t *stream, const struct ft_spot *spot,
			  struct ft_stream_plan *plan, struct ft_error *error)
{
	struct ft_spot at = ft_spot_at(spot, "ethernet");
	enum ft_layer_id ip;
	int rc;

	if (add_layer(FT_LAYER_ETHERNET, json_object_get(stream, "ethernet"), &at, plan, error) ==
	    NULL)
		return -EINVAL;
	rc = add_stacked(FT_LAYER_VLAN, stream, spot, plan, error);
	if (rc == 0)
		rc = add_stacked(FT_LAYER_MPLS, stream, spot, plan, error);
	if (rc == 0)
		rc = add_ip(stream, spot, plan, &ip, error);
	if (rc == 0)
		rc = add_transport(stream, spot, ip, plan, error);
	return rc == 0 ? check_fragments(spot, plan, error) : rc;
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Pairs of digits, with blanks between them where the user likes. */
static int read_hex(const char *text, const struct ft_spot *spot, struct ft_payload *payload,
		    struct ft_error *error)
{
	while (*text != '\0') {
		if (isspace((unsigned char)*text)) {
			text++;
			continue;
		}
		if (hex_digit(text[0]) < 0 || hex_digit(text[1]) < 0)
			return ft_spot_fail(spot, error,
					    "'%.8s...' is not pairs of hexadecimal digits", text);
		payload->bytes[payload->byte_count++] =
			(uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
		text += 2;
	}
	return 0;
}

static int read_bytes(const json_t *json, const struct ft_spot *spot, struct ft_payload *payload,
		      struct ft_error *error)
{
	static const char *const keys[] = {"hex", "text", NULL};
	const json_t *hex = json_object_get(json, "hex"), *text = json_object_get(json, "text");
	const json_t *given = hex != NULL ? hex : text;
	size_t length = json_string_length(given);
	int rc = ft_spot_check_keys(spot, json, keys, error);

	if (rc != 0)
		return rc;
	if (!json_is_string(given) || (hex != NULL && text != NULL))
		return ft_spot_fail(spot, error, "give hex = \"...\" or text = \"...\"");
	if (length > MAX_PAYLOAD_BYTES)
		return ft_spot_fail(spot, error, "%zu characters; give at most %u", length,
				    MAX_PAYLOAD_BYTES);
	payload->pattern = FT_PATTERN_BYTES;
	payload->bytes = malloc(length + 1);
	if (payload->bytes == NULL)
		return ft_fail(error, -ENOMEM, "%s: out of memory", spot->file);
	if (hex != NULL)
		return read_hex(json_string_value(hex), spot, payload, error);
	memcpy(payload->bytes, json_string_value(text), length);
	payload->byte_count = (uint32_t)length;
	return 0;
}

int ft_payload_read(const json_t *json, const struct ft_spot *spot, struct ft_payload *payload,
		    struct ft_error *error)
{
	static const char *const patterns[] = {
		[FT_PATTERN_INCREMENT] = "increment",
		[FT_PATTERN_ZEROS] = "zeros",
		[FT_PATTERN_RANDOM] = "random",
	};

	if (json_is_object(json))
		return read_bytes(json, spot, payload, error);
	for (unsigned i = 0; json_is_string(json) && i < FT_PATTERN_BYTES; i++) {
		if (strcmp(json_string_value(json), patterns[i]) == 0) {
			payload->pattern = (enum ft_pattern)i;
			return 0;
		}
	}
	return ft_spot_fail(spot, error,
			    "give \"increment\", \"zeros\", \"random\", { hex = \"...\" } or { "
			    "text = \"...\" }");
}
