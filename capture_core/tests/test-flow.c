/* SPDX-License-Identifier: Apache-2.0 */
/* The hash of a flow, over captures and tables that nobody here wrote and over frames made here. */
#include <arpa/inet.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "ft/reader.h"
#include "pipe/flow.h"

#define ADDRESSES_BYTES 12u
#define TAG_BYTES	4u
#define PAGE_BYTES	4096u
#define DEEPEST_BYTES	160u /* no header that is read ends beyond */

static const struct ft_flow_key key = {{0x0123456789abcdefull, 0xfedcba9876543210ull}};

static const char *corpora(void)
{
	const char *path = getenv("FIELDTAP_CORPORA");

	path = path != NULL ? path : FT_CORPORA;
	if (access(path, R_OK) == 0)
		return path;
	print_message("no captures in %s; set FIELDTAP_CORPORA\n", path);
	skip();
	return NULL;
}

static struct ft_flow read_frame(const uint8_t *frame, uint32_t bytes)
{
	struct ft_flow flow;

	ft_flow_read(&key, FT_LINKTYPE_ETHERNET, frame, bytes, &flow);
	return flow;
}

/* --- what holds for every Ethernet frame -------------------------------------------------------*/

static uint8_t copy[FT_READER_MAX_FRAME_BYTES + 2 * TAG_BYTES];

static void swap(uint8_t *at, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t byte = at[i];

		at[i] = at[bytes + i];
		at[bytes + i] = byte;
	}
}

static void assert_same_in_the_other_direction(const uint8_t *frame, uint32_t bytes)
{
	struct ft_flow flow = read_frame(frame, bytes);

	memcpy(copy, frame, bytes);
	if (flow.addresses != NULL)
		swap(copy + (flow.addresses - frame), flow.address_bytes);
	if (flow.ports != NULL)
		swap(copy + (flow.ports - frame), 2);
	if (bytes >= ADDRESSES_BYTES)
		swap(copy, ADDRESSES_BYTES / 2);
	assert_int_equal(read_frame(copy, bytes).hash, flow.hash);
}

static void assert_same_with_tags(const uint8_t *frame, uint32_t bytes)
{
	static const uint8_t tags[] = {0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x20, 0x0a};
	struct ft_flow flow = read_frame(frame, bytes);

	if (bytes < ADDRESSES_BYTES + 2)
		return;
	for (uint32_t tagged = TAG_BYTES; tagged <= sizeof(tags); tagged += TAG_BYTES) {
		struct ft_flow with_tags;

		memcpy(copy, frame, ADDRESSES_BYTES);
		memcpy(copy + ADDRESSES_BYTES, tags + sizeof(tags) - tagged, tagged);
		memcpy(copy + ADDRESSES_BYTES + tagged, frame + ADDRESSES_BYTES,
		       bytes - ADDRESSES_BYTES);
		with_tags = read_frame(copy, bytes + tagged);
		assert_int_equal(with_tags.hash, flow.hash);
		assert_int_equal(with_tags.ether_type, flow.ether_type);
	}
}

/* Each beginning of a frame, with memory that cannot be read behind it. */
static void read_every_beginning(const uint8_t *frame, uint32_t bytes)
{
	static uint8_t *page;

	if (page == NULL) {
		page = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(page, MAP_FAILED);
		assert_int_equal(mprotect(page + PAGE_BYTES, PAGE_BYTES, PROT_NONE), 0);
	}
	for (uint32_t cut = 0; cut <= bytes && cut <= DEEPEST_BYTES; cut++) {
		uint8_t *begin = page + PAGE_BYTES - cut;
		struct ft_flow flow;

		memcpy(begin, frame, cut);
		flow = read_frame(begin, cut);
		if (flow.addresses != NULL)
			assert_true(flow.addresses + 2 * flow.address_bytes <= page + PAGE_BYTES);
		if (flow.ports != NULL)
			assert_true(flow.ports + 4 <= page + PAGE_BYTES);
	}
}

static unsigned frames, with_addresses, with_ports;

static int visit(const char *path, const struct stat *status, int type, struct FTW *place)
{
	struct ft_reader *reader;
	struct ft_record record;
	struct ft_error error;

	(void)status;
	(void)place;
	if (type != FTW_F || ft_reader_open(path, NULL, &reader, &error) != 0)
		return 0;
	while (ft_reader_next(reader, &record, &error) == 1) {
		struct ft_flow flow;

		if (record.link_type != FT_LINKTYPE_ETHERNET)
			continue;
		assert_same_in_the_other_direction(record.data, record.captured_bytes);
		assert_same_with_tags(record.data, record.captured_bytes);
		read_every_beginning(record.data, record.captured_bytes);
		flow = read_frame(record.data, record.captured_bytes);
		frames++;
		with_addresses += flow.addresses != NULL;
		with_ports += flow.ports != NULL;
	}
	ft_reader_close(reader);
	return 0;
}

static void
frames_of_others_hash_alike_both_ways_and_tagged_and_cut_short_read_no_further(void **state)
{
	(void)state;
	nftw(corpora(), visit, 16, FTW_PHYS);
	print_message("%u frames, %u with addresses, %u with ports\n", frames, with_addresses,
		      with_ports);
	assert_true(with_ports > 0 && with_addresses > with_ports && frames > with_addresses);
}

/* --- tables of tuples --------------------------------------------------------------------------*/

struct tuple {
	uint8_t protocol;
	unsigned address_bytes;
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port;
	char id[64]; /* Community ID, where the table has it */
};

static void read_addresses(struct tuple *tuple, const char *source, const char *destination)
{
	int family = strchr(source, ':') != NULL ? AF_INET6 : AF_INET;

	tuple->address_bytes = family == AF_INET6 ? 16 : 4;
	assert_int_equal(inet_pton(family, source, tuple->source), 1);
	assert_int_equal(inet_pton(family, destination, tuple->destination), 1);
}

static uint64_t hash_of(const struct tuple *t, bool reversed)
{
	bool has_ports = ft_flow_has_ports(t->protocol);
	uint16_t from = has_ports ? t->source_port : 0, to = has_ports ? t->destination_port : 0;

	return reversed ? ft_flow_hash_of(&key, t->protocol, t->address_bytes, t->destination, to,
					  t->source, from)
			: ft_flow_hash_of(&key, t->protocol, t->address_bytes, t->source, from,
					  t->destination, to);
}

static void the_tuples_of_the_rss_suite_hash_alike_both_ways_and_all_differ(void **state)
{
	uint64_t hashes[16];
	unsigned count = 0;
	char path[4096], line[256];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/flow-hash/toeplitz_rss_verification.tsv", corpora());
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file)); /* names of columns */
	while (count < 16 && fgets(line, sizeof(line), file) != NULL) {
		struct tuple tuple = {.protocol = 6};
		char source[64], destination[64];

		assert_int_equal(sscanf(line, "%63s %63s %hu %hu", source, destination,
					&tuple.source_port, &tuple.destination_port),
				 4);
		read_addresses(&tuple, source, destination);
		hashes[count] = hash_of(&tuple, false);
		assert_int_equal(hash_of(&tuple, true), hashes[count]);
		for (unsigned i = 0; i < count; i++)
			assert_int_not_equal(hashes[i], hashes[count]);
		count++;
	}
	fclose(file);
	assert_int_equal(count, 8);
}

static struct tuple tuples[512];

static unsigned read_baseline(void)
{
	unsigned count = 0;
	json_t *table, *row;
	char path[4096];
	size_t index;

	snprintf(path, sizeof(path), "%s/community-id-spec/baseline/baseline_deflt.json",
		 corpora());
	table = json_load_file(path, 0, NULL);
	assert_non_null(table);
	json_array_foreach(table, index, row)
	{
		const char *source, *destination, *id;
		int protocol, from = 0, to = 0;
		struct tuple *tuple = &tuples[count++];

		assert_in_range(count, 1, 512);
		assert_int_equal(json_unpack(row, "{s:i, s:s, s:s, s:s}", "proto", &protocol,
					     "saddr", &source, "daddr", &destination, "communityid",
					     &id),
				 0);
		json_unpack(row, "{s:i, s:i}", "sport", &from, "dport", &to);
		*tuple = (struct tuple){.protocol = (uint8_t)protocol,
					.source_port = (uint16_t)from,
					.destination_port = (uint16_t)to};
		snprintf(tuple->id, sizeof(tuple->id), "%s", id);
		read_addresses(tuple, source, destination);
	}
	json_decref(table);
	return count;
}

/* Of ICMP messages the Community ID also covers type and code, the hash only addresses. */
static bool is_icmp(const struct tuple *tuple)
{
	return tuple->protocol == 1 || tuple->protocol == 58;
}

static void tuples_have_one_hash_where_they_have_one_community_id(void **state)
{
	unsigned count = read_baseline();

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = 0; j < i; j++) {
			bool same_id = strcmp(tuples[i].id, tuples[j].id) == 0;
			bool same_hash = hash_of(&tuples[i], false) == hash_of(&tuples[j], false);

			assert_true(same_hash || !same_id);
			if (!is_icmp(&tuples[i]) || !is_icmp(&tuples[j]))
				assert_true(same_hash == same_id);
		}
	}
	assert_true(count > 10);
}

static bool is_of(const struct ft_flow *flow, const struct tuple *tuple)
{
	unsigned bytes = flow->address_bytes;

	return flow->protocol == tuple->protocol && bytes == tuple->address_bytes &&
	       memcmp(flow->addresses, tuple->source, bytes) == 0 &&
	       memcmp(flow->addresses + bytes, tuple->destination, bytes) == 0 &&
	       (flow->ports == NULL ||
		(FT_FLOW_BE16(ft_flow_u16(flow->ports)) == tuple->source_port &&
		 FT_FLOW_BE16(ft_flow_u16(flow->ports + 2)) == tuple->destination_port));
}

static void frames_have_the_hash_of_their_tuple(void **state)
{
	static const char *const names[] = {"tcp", "udp", "sctp", "icmp", "icmp6", "ipv6", "rsvp"};
	unsigned count = read_baseline(), matched = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct ft_reader *reader;
		struct ft_record record;
		struct ft_error error;
		char path[4096];

		snprintf(path, sizeof(path), "%s/community-id-spec/pcaps/%s.pcap", corpora(),
			 names[i]);
		assert_int_equal(ft_reader_open(path, NULL, &reader, &error), 0);
		while (ft_reader_next(reader, &record, &error) == 1) {
			struct ft_flow flow;

			ft_flow_read(&key, record.link_type, record.data, record.captured_bytes,
				     &flow);
			for (unsigned j = 0; flow.addresses != NULL && j < count; j++) {
				if (!is_of(&flow, &tuples[j]))
					continue;
				assert_int_equal(flow.hash, hash_of(&tuples[j], false));
				matched++;
				break;
			}
		}
		ft_reader_close(reader);
	}
	print_message("%u frames are in the table\n", matched);
	assert_true(matched > 20);
}

/* --- frames made here --------------------------------------------------------------------------*/

#define MACS  "\x02\0\0\0\0\x02\x02\0\0\0\0\x01"
#define IPV4  MACS "\x08\x00\x45\0\0\x30\0\0"
#define REST  "\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\x02"
#define PORTS "\x30\x39\x00\x35"
#define OTHER "\x30\x3a\x00\x35"

static uint64_t hash_text(const char *bytes, size_t count)
{
	return read_frame((const uint8_t *)bytes, (uint32_t)count).hash;
}

#define HASH(text) hash_text(text, sizeof(text) - 1)

static void fragments_hash_by_addresses_all_alike(void **state)
{
	uint64_t first = HASH(IPV4 "\x20\x00" REST PORTS "\0\0\0\0");
	uint64_t last = HASH(IPV4 "\x00\xb9" REST OTHER "\0\0\0\0");
	static const uint8_t from[] = {10, 0, 0, 1}, to[] = {10, 0, 0, 2};

	(void)state;
	assert_int_equal(first, last);
	assert_int_equal(first, ft_flow_hash_of(&key, 17, 4, from, 0, to, 0));
	assert_int_not_equal(first, HASH(IPV4 "\x00\x00" REST PORTS "\0\0\0\0"));
}

static void ports_and_protocol_make_another_flow(void **state)
{
	uint64_t hash = HASH(IPV4 "\x40\x00" REST PORTS "\0\0\0\0");

	(void)state;
	assert_int_not_equal(hash, HASH(IPV4 "\x40\x00" REST OTHER "\0\0\0\0"));
	assert_int_not_equal(
		hash, HASH(IPV4 "\x40\x00\x40\x06\0\0\x0a\0\0\x01\x0a\0\0\x02" PORTS "\0\0\0\0"));
}

static void options_before_the_ports_are_stepped_over(void **state)
{
	(void)state;
	assert_int_equal(HASH(IPV4 "\x40\x00" REST PORTS "\0\0\0\0"),
			 HASH(MACS "\x08\x00\x46\0\0\x34\0\0\x40\x00" REST "\x01\x01\x01\x01" PORTS
				   "\0\0\0\0"));
}

#define IPV6(next)                                                                                 \
	MACS "\x86\xdd\x60\0\0\0\0\x10" next "\x40"                                                \
	     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                          \
	     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"

static void extension_headers_of_ipv6_are_stepped_over(void **state)
{
	uint64_t plain = HASH(IPV6("\x11") PORTS "\0\0\0\0");

	(void)state;
	assert_int_equal(plain, HASH(IPV6("\x00") "\x11\0\0\0\0\0\0\0" PORTS "\0\0\0\0"));
	assert_int_equal(plain, HASH(IPV6("\x3c") "\x2c\0\0\0\0\0\0\0"
						  "\x11\0\0\0\0\0\0\1" PORTS "\0\0\0\0"));
	assert_int_not_equal(plain, HASH(IPV6("\x2c") "\x11\0\0\1\0\0\0\1" PORTS "\0\0\0\0"));
}

static void another_key_makes_other_hashes(void **state)
{
	static const char frame[] = IPV4 "\x40\x00" REST PORTS "\0\0\0\0";
	const struct ft_flow_key other = {{1, 2}};
	struct ft_flow flow;

	(void)state;
	ft_flow_read(&other, FT_LINKTYPE_ETHERNET, (const uint8_t *)frame, sizeof(frame) - 1,
		     &flow);
	assert_int_not_equal(flow.hash, HASH(IPV4 "\x40\x00" REST PORTS "\0\0\0\0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			frames_of_others_hash_alike_both_ways_and_tagged_and_cut_short_read_no_further),
		cmocka_unit_test(the_tuples_of_the_rss_suite_hash_alike_both_ways_and_all_differ),
		cmocka_unit_test(tuples_have_one_hash_where_they_have_one_community_id),
		cmocka_unit_test(frames_have_the_hash_of_their_tuple),
		cmocka_unit_test(fragments_hash_by_addresses_all_alike),
		cmocka_unit_test(ports_and_protocol_make_another_flow),
		cmocka_unit_test(options_before_the_ports_are_stepped_over),
		cmocka_unit_test(extension_headers_of_ipv6_are_stepped_over),
		cmocka_unit_test(another_key_makes_other_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
