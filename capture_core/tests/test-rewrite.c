/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ft/rewrite.h"
#include "gen/checksum.h"

#define ROOM_BYTES 256u
#define IP	   14u /* offsets in an untagged frame */
#define IPV4_UDP   (IP + 20u)
#define IPV6_UDP   (IP + 40u)

static struct ft_rewrite *rules;
static struct ft_error error;
static uint8_t bytes[ROOM_BYTES];
static struct ft_rewrite_frame frame;

static int end_test(void **state)
{
	(void)state;
	ft_rewrite_free(rules);
	rules = NULL;
	return 0;
}

static void begin_frame(const uint8_t *data, uint32_t count)
{
	memset(bytes, 0xee, sizeof(bytes));
	memcpy(bytes, data, count);
	frame = (struct ft_rewrite_frame){bytes, count, count, ROOM_BYTES};
}

static void set16(uint32_t at, uint32_t value)
{
	bytes[at] = (uint8_t)(value >> 8);
	bytes[at + 1] = (uint8_t)value;
}

/* The one's complement sum, 0xffff where it includes a correct checksum. */
static uint16_t sum_of(uint64_t sum, uint32_t at, uint32_t count)
{
	return ft_checksum_fold(ft_checksum_add(sum, bytes + at, count));
}

static uint64_t pseudo(uint32_t addresses, uint32_t count, uint32_t length, uint8_t protocol)
{
	const uint8_t tail[4] = {(uint8_t)(length >> 8), (uint8_t)length, 0, protocol};

	return ft_checksum_add(ft_checksum_add(0, tail, sizeof(tail)), bytes + addresses, count);
}

static void put_checksum(uint32_t at, uint16_t sum)
{
	uint16_t value = (uint16_t)~sum;

	memcpy(bytes + at, &value, sizeof(value));
}

/* A UDP datagram of 11 bytes of payload from 10.1.2.3 port 1000 to 10.4.5.6 port 53. */
static void begin_ipv4(void)
{
	static const uint8_t start[] = {
		2, 0,  0,  0,  0, 9,  2,   0,	0,   0,	  0,   8,   8,	 0,   0x45, 0,	 0,  39,
		1, 2,  64, 0,  9, 17, 0,   0,	10,  1,	  2,   3,   10,	 4,   5,    6,	 3,  0xe8,
		0, 53, 0,  19, 0, 0,  'h', 'e', 'l', 'l', 'o', ' ', 'w', 'o', 'r',  'l', 'd'};

	begin_frame(start, sizeof(start));
	put_checksum(IP + 10, sum_of(0, IP, 20));
	put_checksum(IPV4_UDP + 6, sum_of(pseudo(IP + 12, 8, 19, 17), IPV4_UDP, 19));
}

static bool is_ipv4_right(uint32_t ip)
{
	uint32_t udp = ip + 20, length = (uint32_t)(bytes[ip + 2] << 8 | bytes[ip + 3]) - 20;

	return sum_of(0, ip, 20) == 0xffff &&
	       sum_of(pseudo(ip + 12, 8, length, 17), udp, length) == 0xffff;
}

/* The same between 2001:db8::1 and 2001:db8::2. */
static void begin_ipv6(void)
{
	static const uint8_t header[] = {0x86, 0xdd, 0x60, 0, 0, 0, 0, 19, 17, 64};
	static const uint8_t network[] = {0x20, 1, 0xd, 0xb8};
	uint8_t udp[19];

	begin_ipv4();
	memcpy(udp, bytes + IPV4_UDP, sizeof(udp));
	memcpy(bytes + 12, header, sizeof(header));
	memset(bytes + IP + 8, 0, 32);
	for (uint8_t i = 0; i < 2; i++) {
		memcpy(bytes + IP + 8 + 16 * i, network, sizeof(network));
		bytes[IP + 23 + 16 * i] = i + 1;
	}
	memcpy(bytes + IPV6_UDP, udp, sizeof(udp));
	set16(IPV6_UDP + 6, 0);
	put_checksum(IPV6_UDP + 6, sum_of(pseudo(IP + 8, 32, 19, 17), IPV6_UDP, 19));
	frame.captured_bytes = frame.length_bytes = IPV6_UDP + 19;
}

static bool is_ipv6_right(uint32_t ip)
{
	return sum_of(pseudo(ip + 8, 32, 19, 17), ip + 40, 19) == 0xffff;
}

static void add(const char *rule)
{
	assert_int_equal(ft_rewrite_add(&rules, rule, &error), 0);
}

static void apply(void)
{
	assert_int_equal(ft_rewrite_check(rules, &error), 0);
	assert_true(ft_rewrite_frame(rules, 1, &frame));
}

static void checksums_stay_right_whatever_the_rule(void **state)
{
	static const char *const each[] = {
		"pnat=10.0.0.0/8:198.18.0.0/15,[2001:db8::/32]:[2001:2::/48]",
		"srcipmap=10.1.2.3:255.255.255.255",
		"dstipmap=0.0.0.0/0:0.0.0.0/32",
		"seed=1",
		"seed=4294967295",
		"unique-ip",
		"portmap=1-65535:0",
		"portmap=53,1000:65535",
		"ttl=+255",
		"ttl=-255",
		"tos=255",
		"fixcsum",
		"fixhdrlen",
		"enet-dmac=02:00:00:00:00:77",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		add(each[i]);
		begin_ipv4();
		assert_true(is_ipv4_right(IP));
		apply();
		assert_true(is_ipv4_right(IP));
		begin_ipv6();
		assert_true(is_ipv6_right(IP));
		apply();
		assert_true(is_ipv6_right(IP));
		end_test(NULL);
	}
}

static void a_wrong_checksum_stays_as_wrong_until_it_is_fixed(void **state)
{
	(void)state;
	begin_ipv4();
	bytes[IPV4_UDP + 6] ^= 0x55;
	add("pnat=10.0.0.0/8:198.18.0.0/15");
	apply();
	assert_false(is_ipv4_right(IP));
	add("fixcsum");
	apply();
	assert_true(is_ipv4_right(IP));
}

static void a_datagram_without_a_checksum_gets_none(void **state)
{
	(void)state;
	begin_ipv4();
	set16(IPV4_UDP + 6, 0);
	add("pnat=10.0.0.0/8:198.18.0.0/15");
	add("fixcsum");
	apply();
	assert_int_equal(bytes[IPV4_UDP + 6] | bytes[IPV4_UDP + 7], 0);
	assert_int_equal(bytes[IP + 12], 198);
}

static void of_a_later_fragment_only_the_header_is_rewritten(void **state)
{
	uint8_t payload[19];

	(void)state;
	begin_ipv4();
	set16(IP + 6, 0x2001);
	memcpy(payload, bytes + IPV4_UDP, sizeof(payload));
	add("pnat=10.0.0.0/8:198.18.0.0/15");
	add("portmap=0-65535:9");
	add("fixcsum");
	apply();
	assert_memory_equal(bytes + IPV4_UDP, payload, sizeof(payload));
	assert_int_equal(bytes[IP + 12], 198);
	assert_int_equal(sum_of(0, IP, 20), 0xffff);
}

static void a_tag_goes_in_first_and_comes_out_first(void **state)
{
	static const uint8_t tags[] = {0x88, 0xa8, 0xb0, 0x2d, 0x81, 0, 0, 7, 8, 0};

	(void)state;
	begin_ipv4();
	add("enet-vlan=add");
	add("enet-vlan-tag=7");
	apply();
	add("enet-vlan-tag=45");
	add("enet-vlan-pri=5");
	add("enet-vlan-cfi=1");
	add("enet-vlan-proto=802.1ad");
	add("ttl=3"); /* found behind both */
	apply();
	assert_int_equal(frame.captured_bytes, 53 + 8);
	assert_memory_equal(bytes + 12, tags, sizeof(tags));
	assert_int_equal(bytes[IP + 8 + 8], 3);
	assert_true(is_ipv4_right(IP + 8));
	end_test(NULL);
	add("enet-vlan=del");
	apply();
	assert_memory_equal(bytes + 12, tags + 4, 6);
	apply();
	apply(); /* there is none any more */
	assert_int_equal(frame.captured_bytes, 53);
	assert_true(is_ipv4_right(IP));
}

static void a_tag_needs_room(void **state)
{
	(void)state;
	begin_ipv4();
	frame.room_bytes = frame.captured_bytes + 3;
	add("enet-vlan=add");
	add("enet-vlan-tag=7");
	apply();
	assert_int_equal(frame.captured_bytes, 53);
}

static void a_client_and_a_server_get_addresses_of_their_own(void **state)
{
	static const uint8_t clients[] = {2, 0, 0, 0, 0, 0xdd, 2, 0, 0, 0, 0, 0xaa};
	static const uint8_t servers[] = {2, 0, 0, 0, 0, 0xcc, 2, 0, 0, 0, 0, 0xbb};
	static const uint8_t ends[] = {198, 19, 0, 1, 198, 18, 0, 1};

	(void)state;
	add("enet-smac=02:00:00:00:00:aa,02:00:00:00:00:bb");
	add("enet-dmac=02:00:00:00:00:dd,02:00:00:00:00:cc");
	add("endpoints=198.18.0.1:198.19.0.1");
	assert_int_equal(ft_rewrite_check(rules, &error), -EINVAL);
	add("client=src host 10.1.2.3");
	begin_ipv4();
	apply();
	assert_memory_equal(bytes, clients, sizeof(clients));
	assert_memory_equal(bytes + IP + 12, ends + 4, 4);
	assert_memory_equal(bytes + IP + 16, ends, 4);
	assert_true(is_ipv4_right(IP));
	begin_ipv4();
	bytes[IP + 15] = 4;
	apply();
	assert_memory_equal(bytes, servers, sizeof(servers));
	assert_memory_equal(bytes + IP + 12, ends, sizeof(ends));
}

static void a_group_gets_its_own_mac_and_broadcast_can_be_left(void **state)
{
	static const uint8_t group[] = {1, 0, 0x5e, 1, 2, 3},
			     none[] = {255, 255, 255, 255, 255, 255};

	(void)state;
	begin_ipv4();
	add("dstipmap=10.4.5.6:239.129.2.3");
	apply();
	assert_memory_equal(bytes, group, sizeof(group));
	end_test(NULL);
	begin_ipv4();
	memcpy(bytes, none, sizeof(none));
	add("enet-dmac=02:00:00:00:00:77");
	add("skipl2broadcast");
	apply();
	assert_memory_equal(bytes, none, sizeof(none));
}

static void a_datagram_is_cut_to_the_mtu(void **state)
{
	uint8_t padding[40] = {0};

	(void)state;
	begin_ipv4();
	memcpy(bytes + frame.captured_bytes, padding, sizeof(padding));
	frame.captured_bytes += sizeof(padding);
	frame.length_bytes += sizeof(padding);
	set16(IP + 2, 79);
	set16(IPV4_UDP + 4, 59);
	add("mtu=70");
	add("mtu-trunc");
	apply();
	assert_int_equal(frame.captured_bytes, IP + 70);
	assert_int_equal(frame.length_bytes, IP + 70);
	assert_int_equal(bytes[IP + 3], 70);
	assert_true(is_ipv4_right(IP));
}

static void frames_with_a_length_in_place_of_a_type_stay(void **state)
{
	uint8_t before[ROOM_BYTES];

	(void)state;
	begin_ipv4();
	set16(12, 39);
	memcpy(before, bytes, sizeof(before));
	add("enet-dmac=02:00:00:00:00:77");
	add("enet-vlan=add");
	add("enet-vlan-tag=7");
	apply();
	assert_memory_equal(bytes, before, sizeof(before));
}

static void what_is_no_rule_is_refused_by_name(void **state)
{
	static const char *const bad[] = {
		"",
		"nat=1",
		"ttl",
		"ttl=0",
		"ttl=256",
		"ttl=+",
		"tos=256",
		"fixcsum=1",
		"enet-dmac=02:00:00:00:00",
		"enet-dmac=02:00:00:00:00:01,02:00:00:00:00:02,02:00:00:00:00:03",
		"enet-smac=02:00:00:00:00:01x",
		"enet-subsmac=02:00:00:00:00:01",
		"enet-vlan=change",
		"enet-vlan-tag=4096",
		"enet-vlan-proto=802.1x",
		"enet-mac-seed-keep-bytes=7",
		"pnat=10.0.0.0/33:10.0.0.0/8",
		"pnat=10.0.0.0/8",
		"pnat=10.0.0.0/8:[2001:db8::/32]",
		"pnat=[2001:db8::/32:[2001:db8::/32]",
		"pnat=10.0.0.0/8:198.18.0.0/15,",
		"endpoints=10.0.0.1",
		"portmap=80",
		"portmap=80:65536",
		"portmap=90-80:1",
		"mtu=67",
		"fixlen=some",
		"seed=0",
		"client=host",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ft_rewrite_add(&rules, bad[i], &error), -EINVAL);
		assert_non_null(strstr(error.text, "--rewrite"));
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, end_test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(checksums_stay_right_whatever_the_rule),
		TEST(a_wrong_checksum_stays_as_wrong_until_it_is_fixed),
		TEST(a_datagram_without_a_checksum_gets_none),
		TEST(of_a_later_fragment_only_the_header_is_rewritten),
		TEST(a_tag_goes_in_first_and_comes_out_first),
		TEST(a_tag_needs_room),
		TEST(a_client_and_a_server_get_addresses_of_their_own),
		TEST(a_group_gets_its_own_mac_and_broadcast_can_be_left),
		TEST(a_datagram_is_cut_to_the_mtu),
		TEST(frames_with_a_length_in_place_of_a_type_stay),
		TEST(what_is_no_rule_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
