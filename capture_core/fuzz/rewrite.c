/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: any bytes taken for a captured frame and rewritten, by rules that the first
 * bytes choose. What comes before the first frame of a pcap file is skipped, so that any such file
 * is a seed. A checksum that was right must be right afterwards.
 */
#include <netinet/in.h>

#include <linux/if_ether.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ft/rewrite.h"
#include "gen/checksum.h"
#include "gen/rewrite_view.h"

#define PCAP_HEADERS_BYTES (24u + 16u)
#define CHOICE_AT	   4u /* version and zone of the file header: nobody reads them */
#define LONGEST_BYTES	   (256u * 1024u)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Those that keep every checksum as right as it was, then those that do not. */
static const char *const rules[] = {
	"enet-dmac=02:00:00:00:00:01",
	"enet-mac-seed=42",
	"enet-vlan=del",
	"pnat=0.0.0.0/1:198.18.0.0/15,[::/0]:[2001:2::/48]",
	"seed=55",
	"unique-ip",
	"skipbroadcast",
	"portmap=0-1023:49152",
	"ttl=-58",
	"tos=50",
	"tcp-sequence=42",
	"enet-vlan=add",
	/* from here on lengths change */
	"fixlen=pad",
	"fixlen=trunc",
	"mtu-trunc",
	"efcs",
	"fixhdrlen",
	"fixcsum",
};

#define RULE_COUNT   (sizeof(rules) / sizeof(rules[0]))
#define FIRST_LENGTH 12u

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Whether the header checksum of an IPv4 datagram is there and right. */
static bool is_right(const uint8_t *data, uint32_t bytes)
{
	uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
	struct ft_rewrite_view view;
	bool right = false;

	memcpy(copy, data, bytes);
	if (ft_rewrite_view(copy, bytes, &view) && view.network != 0 &&
	    view.network_type == ETH_P_IP)
		right = ft_checksum_fold(ft_checksum_add(
				0, copy + view.network, (copy[view.network] & 15u) * 4u)) == 0xffff;
	free(copy);
	return right;
}

static struct ft_rewrite *choose(uint32_t choice)
{
	struct ft_rewrite *chosen = NULL;
	struct ft_error error;

	must(ft_rewrite_add(&chosen, "enet-vlan-tag=7", &error) == 0);
	must(ft_rewrite_add(&chosen, "mtu=300", &error) == 0);
	for (unsigned i = 0; i < RULE_COUNT; i++)
		if ((choice >> i & 1) != 0)
			must(ft_rewrite_add(&chosen, rules[i], &error) == 0);
	must(ft_rewrite_check(chosen, &error) == 0);
	return chosen;
}

static void rewrite(const uint8_t *bytes, uint32_t captured, uint32_t choice)
{
	bool keeps_lengths = choice >> FIRST_LENGTH == 0;
	uint32_t room = captured + choice % 7;
	struct ft_rewrite_frame frame = {
		/* Exactly as long, so that a byte touched beyond is seen. */
		.data = malloc(room > 0 ? room : 1),
		.captured_bytes = captured,
		.length_bytes = captured + (choice >> 20) % 100,
		.room_bytes = room,
	};
	struct ft_rewrite *chosen = choose(choice);
	bool was_right = is_right(bytes, captured);

	memcpy(frame.data, bytes, captured);
	ft_rewrite_frame(chosen, choice % 3, &frame);
	must(frame.captured_bytes <= frame.room_bytes);
	if (was_right && keeps_lengths)
		must(is_right(frame.data, frame.captured_bytes));
	ft_rewrite_free(chosen);
	free(frame.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	uint32_t choice;

	if (count < PCAP_HEADERS_BYTES || count > PCAP_HEADERS_BYTES + LONGEST_BYTES)
		return 0;
	memcpy(&choice, bytes + CHOICE_AT, sizeof(choice));
	rewrite(bytes + PCAP_HEADERS_BYTES, (uint32_t)(count - PCAP_HEADERS_BYTES), choice);
	return 0;
}
