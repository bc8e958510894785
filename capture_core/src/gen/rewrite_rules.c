/* SPDX-License-Identifier: Apache-2.0 */
/* Reading rules: a table of names, each with the function that takes its value. */
#include "gen/rewrite_rules.h"

#include <arpa/inet.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ft/units.h"

#define LINKTYPE_ETHERNET 1
#define MAX_VALUE_BYTES	  1024u
#define MIN_MTU_BYTES	  68 /* RFC 791 */
#define SEQUENCE_DRAWS	  5u

/* A rule whose value a function takes, a number (an int of the rules) or a flag (a bool of them).
 */
struct rule {
	const char *name;
	int (*set)(struct ft_rewrite *rules, char *value, struct ft_error *error);
	size_t field;
	int min, max; /* of a number; both 0: a flag */
};

static int refuse(struct ft_error *error, const char *what, const char *value)
{
	return ft_fail(error, -EINVAL, "'%s' is not %s", value, what);
}

static int parse_mac(const char *text, uint8_t *mac, struct ft_error *error)
{
	char rest;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &rest) != ETH_ALEN)
		return refuse(error, "a MAC address: 02:00:00:00:00:01", text);
	return 0;
}

static int parse_macs(char *text, struct ft_rewrite_macs *macs, struct ft_error *error)
{
	const char *one;
	int rc = 0;

	macs->count = 0;
	while (rc == 0 && (one = strsep(&text, ",")) != NULL) {
		if (macs->count == 2)
			return ft_fail(error, -EINVAL, "more than two MAC addresses");
		rc = parse_mac(one, macs->mac[macs->count++], error);
	}
	return rc;
}

static int set_source_mac(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	return parse_macs(value, &rules->source_mac, error);
}

static int set_destination_mac(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	return parse_macs(value, &rules->destination_mac, error);
}

static int add_substitutes(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	const char *from, *to;
	int rc = 0;

	while (rc == 0 && (from = strsep(&value, ",")) != NULL) {
		struct ft_rewrite_substitute *pair = &rules->substitutes[rules->substitute_count];

		to = strsep(&value, ",");
		if (to == NULL)
			return ft_fail(error, -EINVAL, "MAC addresses come in pairs: OLD,NEW");
		if (rules->substitute_count++ == FT_REWRITE_MAX_MAPS)
			return ft_fail(error, -EINVAL, "at most %u pairs", FT_REWRITE_MAX_MAPS);
		rc = parse_mac(from, pair->from, error);
		if (rc == 0)
			rc = parse_mac(to, pair->to, error);
	}
	return rc;
}

/* Six bytes that differ from each other, of the C library's rand_r, as tcprewrite draws them. */
static int set_mac_seed(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	uint64_t number;
	unsigned seed, count = 0;
	int rc = ft_parse_number(value, 0, UINT32_MAX, &number, error);

	if (rc != 0)
		return rc;
	for (seed = (unsigned)number; count < ETH_ALEN;) {
		uint8_t drawn = (uint8_t)rand_r(&seed);

		if (memchr(rules->mac_mask, drawn, count) == NULL)
			rules->mac_mask[count++] = drawn;
	}
	rules->mac_seeded = true;
	return 0;
}

static int set_vlan(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	if (strcmp(value, "add") == 0)
		rules->vlan = FT_VLAN_ADD;
	else if (strcmp(value, "del") == 0)
		rules->vlan = FT_VLAN_DELETE;
	else
		return refuse(error, "add or del", value);
	return 0;
}

static int set_vlan_type(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	if (strcmp(value, "802.1q") == 0)
		rules->vlan_type = ETHERTYPE_VLAN;
	else if (strcmp(value, "802.1ad") == 0)
		rules->vlan_type = 0x88a8;
	else
		return refuse(error, "802.1q or 802.1ad", value);
	return 0;
}

/* "ADDRESS" or "ADDRESS/BITS"; IPv6 in brackets. Returns what follows, NULL where it is neither. */
static char *parse_prefix(char *text, unsigned *address_bytes, uint8_t *address, unsigned *bits)
{
	bool is_ipv6 = text[0] == '[';
	char prefix[INET6_ADDRSTRLEN + 5], *slash, *rest;
	size_t length;
	uint64_t number;
	struct ft_error ignored;

	text += is_ipv6 ? 1 : 0;
	length = strcspn(text, is_ipv6 ? "]" : ":");
	rest = text + length;
	if (length >= sizeof(prefix) || (is_ipv6 && *rest != ']'))
		return NULL;
	memcpy(prefix, text, length);
	prefix[length] = '\0';
	slash = strchr(prefix, '/');
	if (slash != NULL)
		*slash++ = '\0';
	*address_bytes = is_ipv6 ? 16 : 4;
	number = *address_bytes * 8;
	if (inet_pton(is_ipv6 ? AF_INET6 : AF_INET, prefix, address) != 1 ||
	    (slash != NULL && ft_parse_number(slash, 0, number, &number, &ignored) != 0))
		return NULL;
	*bits = (unsigned)number;
	return rest + (is_ipv6 ? 1 : 0);
}

/* "OLD/BITS:NEW/BITS". */
static int parse_network(char *text, struct ft_rewrite_network *map, struct ft_error *error)
{
	unsigned to_bytes;
	char *rest = parse_prefix(text, &map->address_bytes, map->from, &map->from_bits);

	if (rest != NULL && *rest == ':')
		rest = parse_prefix(rest + 1, &to_bytes, map->to, &map->to_bits);
	else
		rest = NULL;
	if (rest == NULL || *rest != '\0' || to_bytes != map->address_bytes)
		return refuse(error,
			      "a pair of networks: 10.0.0.0/8:198.18.0.0/16, or "
			      "[2001:db8::/32]:[2001:2::/48]",
			      text);
	return 0;
}

static int add_networks(struct ft_rewrite_networks *networks, char *value, struct ft_error *error)
{
	char *one;
	int rc = 0;

	while (rc == 0 && (one = strsep(&value, ",")) != NULL) {
		if (networks->count == FT_REWRITE_MAX_MAPS)
			return ft_fail(error, -EINVAL, "at most %u networks", FT_REWRITE_MAX_MAPS);
		rc = parse_network(one, &networks->map[networks->count++], error);
	}
	return rc;
}

static int add_both(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	return add_networks(&rules->both, value, error);
}

static int add_sources(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	return add_networks(&rules->sources, value, error);
}

static int add_destinations(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	return add_networks(&rules->destinations, value, error);
}

/* "CLIENT:SERVER": every address becomes one of the two. */
static int set_endpoints(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	struct ft_rewrite_network ends[2] = {0};
	char *rest = parse_prefix(value, &ends[0].address_bytes, ends[0].to, &ends[0].to_bits);

	if (rest != NULL && *rest == ':')
		rest = parse_prefix(rest + 1, &ends[1].address_bytes, ends[1].to, &ends[1].to_bits);
	else
		rest = NULL;
	if (rest == NULL || *rest != '\0' || ends[0].address_bytes != ends[1].address_bytes)
		return refuse(error, "two addresses: 198.18.0.1:198.19.0.1", value);
	for (unsigned i = 0; i < 2; i++)
		rules->endpoints[i] = (struct ft_rewrite_networks){.count = 1, .map = {ends[i]}};
	rules->has_endpoints = true;
	return 0;
}

/* The mask is the state of the C library's rand_r after some draws, as in tcprewrite. */
static int set_seed(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	uint64_t number;
	unsigned seed;
	int rc = ft_parse_number(value, 1, UINT32_MAX, &number, error);

	seed = (unsigned)number;
	for (unsigned i = 0; i < SEQUENCE_DRAWS; i++)
		rand_r(&seed);
	seed = htonl(seed);
	memcpy(rules->address_mask, &seed, sizeof(seed));
	rules->seeded = rc == 0;
	return rc;
}

static int set_sequence(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	uint64_t number;
	unsigned seed;
	int rc = ft_parse_number(value, 1, UINT32_MAX, &number, error);

	seed = (unsigned)number;
	for (unsigned i = 0; i < SEQUENCE_DRAWS; i++)
		rules->sequence_offset = (uint32_t)rand_r(&seed);
	rules->sequenced = rc == 0;
	return rc;
}

static int set_ttl(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	uint64_t ttl;
	int rc;

	rules->ttl = FT_TTL_SET;
	if (*value == '+' || *value == '-')
		rules->ttl = *value++ == '+' ? FT_TTL_ADD : FT_TTL_SUBTRACT;
	rc = ft_parse_number(value, 1, 255, &ttl, error);
	rules->ttl_value = (unsigned)ttl;
	return rc;
}

/* "80", "80-90". */
static int parse_ports(char *text, struct ft_rewrite_ports *ports, struct ft_error *error)
{
	const char *first = strsep(&text, "-");
	uint64_t from, to;
	int rc = ft_parse_number(first, 0, UINT16_MAX, &from, error);

	to = from;
	if (rc == 0 && text != NULL)
		rc = ft_parse_number(text, from, UINT16_MAX, &to, error);
	ports->first = (uint16_t)from;
	ports->last = (uint16_t)to;
	return rc;
}

/* "80:8080", "80,8000-8999:443". */
static int add_ports(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	char *colon = strchr(value, ':');
	const char *whole = value;
	uint64_t to;
	char *one;
	int rc;

	if (colon == NULL)
		return refuse(error, "a pair of ports: 80:8080", whole);
	*colon = '\0';
	rc = ft_parse_number(colon + 1, 0, UINT16_MAX, &to, error);
	while (rc == 0 && (one = strsep(&value, ",")) != NULL) {
		struct ft_rewrite_ports *ports = &rules->ports[rules->ports_count];

		if (rules->ports_count++ == FT_REWRITE_MAX_MAPS)
			return ft_fail(error, -EINVAL, "at most %u ports", FT_REWRITE_MAX_MAPS);
		rc = parse_ports(one, ports, error);
		ports->to = (uint16_t)to;
	}
	return rc;
}

static int set_length(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	if (strcmp(value, "pad") == 0)
		rules->length = FT_LENGTH_PAD;
	else if (strcmp(value, "trunc") == 0)
		rules->length = FT_LENGTH_CUT;
	else if (strcmp(value, "del") == 0)
		rules->length = FT_LENGTH_DELETE;
	else
		return refuse(error, "pad, trunc or del", value);
	return 0;
}

static int set_client(struct ft_rewrite *rules, char *value, struct ft_error *error)
{
	ft_filter_free(rules->client);
	rules->client = NULL;
	return ft_filter_compile(value, LINKTYPE_ETHERNET, &rules->client, error);
}

#define NUMBER(name, min, max) NULL, offsetof(struct ft_rewrite, name), min, max
#define FLAG(name)	       NUMBER(name, 0, 0)

static const struct rule known[] = {
	{"client", set_client},
	{"dstipmap", add_destinations},
	{"efcs", FLAG(cut_fcs)},
	{"endpoints", set_endpoints},
	{"enet-dmac", set_destination_mac},
	{"enet-mac-seed", set_mac_seed},
	{"enet-mac-seed-keep-bytes", NUMBER(mac_keep_bytes, 1, ETH_ALEN)},
	{"enet-smac", set_source_mac},
	{"enet-subsmac", add_substitutes},
	{"enet-vlan", set_vlan},
	{"enet-vlan-cfi", NUMBER(vlan_cfi, 0, 1)},
	{"enet-vlan-pri", NUMBER(vlan_priority, 0, 7)},
	{"enet-vlan-proto", set_vlan_type},
	{"enet-vlan-tag", NUMBER(vlan_id, 0, 4095)},
	{"fixcsum", FLAG(fix_checksums)},
	{"fixhdrlen", FLAG(fix_header_length)},
	{"fixlen", set_length},
	{"mtu", NUMBER(mtu_bytes, MIN_MTU_BYTES, UINT16_MAX)},
	{"mtu-trunc", FLAG(cut_to_mtu)},
	{"pnat", add_both},
	{"portmap", add_ports},
	{"seed", set_seed},
	{"skipbroadcast", FLAG(skip_groups)},
	{"skipl2broadcast", FLAG(skip_mac_groups)},
	{"srcipmap", add_sources},
	{"tcp-sequence", set_sequence},
	{"tos", NUMBER(tos, 0, 255)},
	{"ttl", set_ttl},
	{"unique-ip", FLAG(unique)},
};

static struct ft_rewrite *create(void)
{
	struct ft_rewrite *rules = calloc(1, sizeof(*rules));

	if (rules == NULL)
		return NULL;
	rules->tos = -1;
	rules->vlan_id = -1;
	rules->vlan_type = ETHERTYPE_VLAN;
	rules->mtu_bytes = ETHERMTU;
	return rules;
}

static const struct rule *find_rule(const char *name)
{
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return &known[i];
	return NULL;
}

static bool is_flag(const struct rule *rule)
{
	return rule->set == NULL && rule->max == 0;
}

static int set_value(struct ft_rewrite *rules, const struct rule *rule, char *value,
		     struct ft_error *error)
{
	char *field = (char *)rules + rule->field;
	uint64_t number;
	int rc;

	if (rule->set != NULL)
		return rule->set(rules, value, error);
	if (is_flag(rule)) {
		*(bool *)field = true;
		return 0;
	}
	rc = ft_parse_number(value, (uint64_t)rule->min, (uint64_t)rule->max, &number, error);
	if (rc == 0)
		*(int *)field = (int)number;
	return rc;
}

int ft_rewrite_add(struct ft_rewrite **rewrite, const char *text, struct ft_error *error)
{
	char copy[MAX_VALUE_BYTES], *value = copy;
	struct ft_error why;
	const struct rule *rule;
	const char *name;

	if (*rewrite == NULL)
		*rewrite = create();
	if (*rewrite == NULL)
		return ft_fail(error, -ENOMEM, "--rewrite: out of memory");
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return ft_fail(error, -EINVAL, "--rewrite: a rule has at most %u characters",
			       MAX_VALUE_BYTES - 1);
	name = strsep(&value, "=");
	rule = find_rule(name);
	if (rule == NULL)
		return ft_fail(error, -EINVAL, "--rewrite: no rule '%s'; --help lists them", name);
	if (is_flag(rule) != (value == NULL))
		return ft_fail(error, -EINVAL, "--rewrite %s: takes %s", name,
			       is_flag(rule) ? "no value" : "a value: NAME=VALUE");
	if (set_value(*rewrite, rule, value, &why) != 0)
		return ft_fail(error, -EINVAL, "--rewrite %s: %s", name, why.text);
	return 0;
}

int ft_rewrite_check(const struct ft_rewrite *rules, struct ft_error *error)
{
	if (rules == NULL)
		return 0;
	if (rules->vlan == FT_VLAN_ADD && rules->vlan_id < 0)
		return ft_fail(error, -EINVAL, "--rewrite enet-vlan=add: needs enet-vlan-tag=ID");
	if (rules->client == NULL && (rules->source_mac.count == 2 ||
				      rules->destination_mac.count == 2 || rules->has_endpoints))
		return ft_fail(error, -EINVAL,
			       "--rewrite: which frames are the client's? say client=FILTER, as in "
			       "client='src net 10.0.0.0/8'");
	return 0;
}

void ft_rewrite_free(struct ft_rewrite *rules)
{
	if (rules == NULL)
		return;
	ft_filter_free(rules->client);
	free(rules);
}
