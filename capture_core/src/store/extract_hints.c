/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet filters that an index can help: "udp and host 192.0.2.1 and port 53 and vlan 7". Whatever
 * is not understood gives no hints, so that nothing is skipped that could match.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ft/units.h"
#include "store/extract_match.h"

#define MAX_WORDS 64u
/* Of a frame's tags a chunk's summary knows so many. */
#define VLANS_NOTED FT_FLOW_MAX_VLANS
#define SEPARATORS  " \t\n"

struct words {
	char *at[MAX_WORDS + 1]; /* NULL at the end */
	unsigned next;
};

static bool take(struct words *words, const char *word)
{
	if (words->at[words->next] == NULL || strcmp(words->at[words->next], word) != 0)
		return false;
	words->next++;
	return true;
}

static bool take_any(struct words *words, const char *const *choice)
{
	for (; *choice != NULL; choice++)
		if (take(words, *choice))
			return true;
	return false;
}

static bool take_number(struct words *words, uint16_t *number)
{
	const char *word = words->at[words->next];
	struct ft_error ignored;
	uint64_t value;

	if (word == NULL || ft_parse_number(word, 0, UINT16_MAX, &value, &ignored) != 0)
		return false;
	words->next++;
	*number = (uint16_t)value;
	return true;
}

static bool take_host(struct words *words, struct ft_filter_hints *hints, bool *four)
{
	const char *word = words->at[words->next];
	uint8_t *address = hints->addresses[hints->address_count].address;

	if (word == NULL || hints->address_count == FT_HINTS_MAX)
		return false;
	*four |= inet_pton(AF_INET, word, address) == 1;
	if (inet_pton(AF_INET, word, address) == 1)
		hints->addresses[hints->address_count].bytes = 4;
	else if (inet_pton(AF_INET6, word, address) == 1)
		hints->addresses[hints->address_count].bytes = 16;
	else
		return false;
	hints->address_count++;
	words->next++;
	return true;
}

static bool take_vlan(struct words *words, struct ft_filter_hints *hints)
{
	uint16_t number;

	if (!take_number(words, &number))
		return false;
	if (hints->vlan_count < VLANS_NOTED)
		hints->vlans[hints->vlan_count++] = number & 0x0fffu;
	return true;
}

/* One of the conjunction's terms. `ip`: it is true of no ARP frame, which has addresses as well. */
static bool take_term(struct words *words, struct ft_filter_hints *hints, bool *ip, bool *four)
{
	static const char *const transports[] = {"tcp", "udp", "sctp", NULL};
	static const char *const networks[] = {"ip", "ip6", NULL};
	static const char *const alone[] = {"icmp", "icmp6", NULL};
	static const char *const sides[] = {"src", "dst", NULL};
	bool network, transport;

	if (take(words, "vlan"))
		return take_vlan(words, hints);
	if (take_any(words, alone)) {
		*ip = true;
		return true;
	}
	network = take_any(words, networks);
	transport = !network && take_any(words, transports);
	*ip |= network || transport;
	if (words->at[words->next] == NULL || strcmp(words->at[words->next], "and") == 0)
		return network || transport;
	take_any(words, sides);
	if (!transport && take(words, "host"))
		return take_host(words, hints, four);
	if (!network && take(words, "port") && hints->port_count < FT_HINTS_MAX) {
		*ip = true;
		return take_number(words, &hints->ports[hints->port_count++]);
	}
	return false;
}

void ft_filter_read_hints(const char *expression, struct ft_filter_hints *hints)
{
	char *copy = strdup(expression), *rest = copy, *word;
	struct words words = {0};
	bool sound = copy != NULL, ip = false, four = false;

	*hints = (struct ft_filter_hints){0};
	for (unsigned count = 0; sound && (word = strsep(&rest, SEPARATORS)) != NULL;) {
		if (*word == '\0')
			continue;
		sound = count < MAX_WORDS;
		if (sound)
			words.at[count++] = strcmp(word, "&&") == 0 ? (char *)"and" : word;
	}
	sound = sound && take_term(&words, hints, &ip, &four);
	while (sound && words.at[words.next] != NULL)
		sound = take(&words, "and") && take_term(&words, hints, &ip, &four);
	free(copy);
	/* An index knows the addresses of IP alone; "host" asks for those of ARP as well. */
	if (sound && four && !ip)
		hints->address_count = 0;
	if (!sound)
		*hints = (struct ft_filter_hints){0};
}
