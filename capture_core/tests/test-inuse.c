/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "port/inuse.h"

#define PORT  7
#define OTHER 9
#define VLAN  5 /* numbers do not tell what lies on what */

/* A datagram that grows message by message, attribute by attribute. */
struct datagram {
	_Alignas(struct nlmsghdr) char bytes[4096];
	size_t used;
	size_t message;
};

static void begin(struct datagram *d, uint16_t type, const void *fixed, size_t bytes)
{
	struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_len = (uint32_t)NLMSG_LENGTH(bytes)};

	d->message = d->used;
	memcpy(d->bytes + d->used, &header, sizeof(header));
	memcpy(d->bytes + d->used + NLMSG_HDRLEN, fixed, bytes);
	d->used += NLMSG_SPACE(bytes);
}

static void add(struct datagram *d, uint16_t type, const void *value, size_t bytes)
{
	struct rtattr attribute = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(bytes)};
	struct nlmsghdr *message = (void *)(d->bytes + d->message);

	memcpy(d->bytes + d->used, &attribute, sizeof(attribute));
	memcpy(d->bytes + d->used + RTA_LENGTH(0), value, bytes);
	d->used += RTA_SPACE(bytes);
	message->nlmsg_len = (uint32_t)(d->used - d->message);
}

static void add_kind(struct datagram *d, const char *kind)
{
	struct {
		struct rtattr header;
		char value[16];
	} info = {.header = {.rta_type = IFLA_INFO_KIND}};

	strcpy(info.value, kind);
	info.header.rta_len = (uint16_t)RTA_LENGTH(strlen(kind) + 1);
	add(d, IFLA_LINKINFO, &info, RTA_SPACE(strlen(kind) + 1));
}

static void add_link(struct datagram *d, int ifindex, int below, const char *kind)
{
	struct ifinfomsg link = {.ifi_index = ifindex};

	begin(d, RTM_NEWLINK, &link, sizeof(link));
	add(d, IFLA_LINK, &below, sizeof(below));
	add_kind(d, kind);
}

static void add_address(struct datagram *d, int ifindex, uint8_t family, uint8_t scope)
{
	struct ifaddrmsg address = {.ifa_family = family,
				    .ifa_prefixlen = 24,
				    .ifa_scope = scope,
				    .ifa_index = (uint32_t)ifindex};
	const uint8_t value[16] = {192, 0, 2, 1};

	begin(d, RTM_NEWADDR, &address, sizeof(address));
	add(d, IFA_ADDRESS, value, family == AF_INET ? 4 : 16);
}

static void add_route(struct datagram *d, uint8_t prefix_bits, uint8_t type, int out)
{
	struct rtmsg route = {.rtm_family = AF_INET, .rtm_dst_len = prefix_bits, .rtm_type = type};

	begin(d, RTM_NEWROUTE, &route, sizeof(route));
	add(d, RTA_OIF, &out, sizeof(out));
}

/* A copy of the very size, so that a byte too far is seen. */
static int take(struct ft_inuse *use, const struct datagram *d)
{
	char *copy = malloc(d->used + 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, d->bytes, d->used);
	rc = ft_inuse_take(use, copy, d->used);
	free(copy);
	return rc;
}

static struct ft_inuse of_port(void)
{
	return (struct ft_inuse){.count = 1, .stacked = {PORT}};
}

static void a_vlan_on_the_port_belongs_to_it_and_what_lies_on_that_too(void **state)
{
	struct ft_inuse use = of_port();
	struct datagram d = {0};

	(void)state;
	add_link(&d, VLAN - 1, VLAN, "vlan");
	add_link(&d, VLAN, PORT, "vlan");
	add_link(&d, OTHER, 0, "dummy");
	assert_int_equal(take(&use, &d), 0);
	assert_int_equal(take(&use, &d), 0);
	assert_int_equal(use.count, 3);
	d = (struct datagram){0};
	add_address(&d, VLAN - 1, AF_INET, RT_SCOPE_UNIVERSE);
	take(&use, &d);
	assert_int_equal(use.addressed, VLAN - 1);
	assert_string_equal(use.address, "192.0.2.1/24");
}

static void the_other_end_of_a_veth_pair_is_not_on_the_port(void **state)
{
	struct ft_inuse use = of_port();
	struct datagram d = {0};

	(void)state;
	add_link(&d, OTHER, PORT, "veth");
	take(&use, &d);
	assert_int_equal(use.count, 1);
}

static void what_lies_on_a_port_of_that_number_elsewhere_is_not_on_the_port(void **state)
{
	struct ft_inuse use = of_port();
	struct datagram d = {0};
	int32_t elsewhere = 3;

	(void)state;
	add_link(&d, OTHER, PORT, "vlan");
	add(&d, IFLA_LINK_NETNSID, &elsewhere, sizeof(elsewhere));
	take(&use, &d);
	assert_int_equal(use.count, 1);
}

static void only_a_unicast_route_to_everywhere_is_the_default_route(void **state)
{
	static const struct {
		uint8_t prefix_bits, type;
		int out, routed;
	} cases[] = {
		{0, RTN_UNICAST, PORT, PORT},
		{0, RTN_UNICAST, OTHER, 0},
		{1, RTN_UNICAST, PORT, 0},
		{0, RTN_UNREACHABLE, PORT, 0},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ft_inuse use = of_port();
		struct datagram d = {0};

		add_route(&d, cases[i].prefix_bits, cases[i].type, cases[i].out);
		assert_int_equal(take(&use, &d), 0);
		assert_int_equal(use.routed, cases[i].routed);
	}
}

static void each_port_of_a_default_route_over_several_carries_it(void **state)
{
	const struct rtnexthop hops[2] = {
		{.rtnh_len = sizeof(struct rtnexthop), .rtnh_ifindex = OTHER},
		{.rtnh_len = sizeof(struct rtnexthop), .rtnh_ifindex = PORT},
	};
	struct rtmsg route = {.rtm_family = AF_INET6, .rtm_type = RTN_UNICAST};
	struct ft_inuse use = of_port();
	struct datagram d = {0};

	(void)state;
	begin(&d, RTM_NEWROUTE, &route, sizeof(route));
	add(&d, RTA_MULTIPATH, hops, sizeof(hops));
	take(&use, &d);
	assert_int_equal(use.routed, PORT);
}

static void only_ipv6_link_local_addresses_do_not_count(void **state)
{
	struct ft_inuse use = of_port();
	struct datagram d = {0};

	(void)state;
	add_address(&d, PORT, AF_INET6, RT_SCOPE_LINK);
	add_address(&d, OTHER, AF_INET6, RT_SCOPE_UNIVERSE);
	take(&use, &d);
	assert_int_equal(use.addressed, 0);
	add_address(&d, PORT, AF_INET, RT_SCOPE_LINK);
	take(&use, &d);
	assert_int_equal(use.addressed, PORT);
}

static void the_end_and_a_refusal_are_told(void **state)
{
	const struct nlmsgerr refusal = {.error = -EPERM};
	struct ft_inuse use = of_port();
	struct datagram d = {0};

	(void)state;
	begin(&d, NLMSG_ERROR, &refusal, sizeof(refusal));
	assert_int_equal(take(&use, &d), -EPERM);
	d = (struct datagram){0};
	begin(&d, NLMSG_DONE, &refusal, sizeof(int));
	assert_int_equal(take(&use, &d), 1);
}

static void an_answer_cut_anywhere_is_read_within_its_bounds(void **state)
{
	struct datagram d = {0};

	(void)state;
	add_link(&d, VLAN, PORT, "vlan");
	add_route(&d, 0, RTN_UNICAST, PORT);
	add_address(&d, PORT, AF_INET, RT_SCOPE_UNIVERSE);
	for (size_t bytes = d.used; bytes > 0; bytes--) {
		struct ft_inuse use = of_port();

		d.used = bytes;
		take(&use, &d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vlan_on_the_port_belongs_to_it_and_what_lies_on_that_too),
		cmocka_unit_test(the_other_end_of_a_veth_pair_is_not_on_the_port),
		cmocka_unit_test(what_lies_on_a_port_of_that_number_elsewhere_is_not_on_the_port),
		cmocka_unit_test(only_a_unicast_route_to_everywhere_is_the_default_route),
		cmocka_unit_test(each_port_of_a_default_route_over_several_carries_it),
		cmocka_unit_test(only_ipv6_link_local_addresses_do_not_count),
		cmocka_unit_test(the_end_and_a_refusal_are_told),
		cmocka_unit_test(an_answer_cut_anywhere_is_read_within_its_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
