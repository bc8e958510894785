/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ft/clock.h"
#include "ft/port.h"
#include "gen/checksum.h"

#define FROM_ADDRESS 0xc6120000u /* 198.18.0.0 */
#define ENOUGH	     (1u << 20)

static struct ft_error error;

static struct ft_port *start(const char *spec)
{
	const struct ft_port_options options = {.directions = FT_DIRECTION_IN};
	struct ft_port *port;

	if (ft_port_create(spec, &options, &port, &error) != 0 || ft_port_open(port, &error) != 0 ||
	    ft_port_start(port, &error) != 0)
		fail_msg("%s: %s", spec, error.text);
	return port;
}

static uint32_t flow_of(const struct ft_frame *frame)
{
	uint32_t address;

	memcpy(&address, frame->data + 26, sizeof(address));
	return ntohl(address) - FROM_ADDRESS;
}

/* The flow of each frame and its stamp, up to `max` frames or the end. */
static unsigned take(struct ft_port *port, uint32_t *flows, uint64_t *stamps, unsigned max)
{
	struct ft_frame frames[FT_BATCH_FRAMES];
	unsigned count = 0;
	int got;

	while (count + FT_BATCH_FRAMES <= max &&
	       (got = ft_port_receive(port, 0, frames, 1000, &error)) >= 0) {
		for (int i = 0; i < got; i++, count++) {
			flows[count] = flow_of(&frames[i]);
			stamps[count] = frames[i].stamp_ns;
		}
		if (got > 0)
			ft_port_release(port, 0);
	}
	return count;
}

static uint32_t flows[ENOUGH], others[ENOUGH];
static uint64_t stamps[ENOUGH];

static unsigned take_all(const char *spec, uint32_t *into)
{
	struct ft_port *port = start(spec);
	unsigned count = take(port, into, stamps, ENOUGH);

	ft_port_free(port);
	return count;
}

static bool adds_up(uint64_t sum, const uint8_t *data, size_t bytes)
{
	return ft_checksum_fold(ft_checksum_add(sum, data, bytes)) == 0xffff;
}

static void assert_valid(const struct ft_frame *frame, uint32_t size_bytes)
{
	const uint8_t *ip = frame->data + 14, *udp = ip + 20;
	uint32_t flow = flow_of(frame), udp_bytes = size_bytes - 4 - 14 - 20;
	uint64_t pseudo =
		ft_checksum_add(htons(IPPROTO_UDP) + htons((uint16_t)udp_bytes), ip + 12, 8);

	assert_int_equal(frame->captured_bytes, size_bytes - 4);
	assert_int_equal(frame->length_bytes, size_bytes - 4);
	assert_memory_equal(frame->data + 12, "\x08\x00\x45", 3);
	assert_int_equal(ip[2] << 8 | ip[3], size_bytes - 4 - 14);
	assert_int_equal(ip[9], IPPROTO_UDP);
	assert_memory_equal(ip + 16, "\xc6\x13\x00\x01", 4); /* 198.19.0.1 */
	assert_true(adds_up(0, ip, 20));
	assert_int_equal(udp[0] << 8 | udp[1], 1024 + flow % 60000);
	assert_memory_equal(udp + 2, "\x00\x09", 2);
	assert_int_equal(udp[4] << 8 | udp[5], udp_bytes);
	assert_memory_not_equal(udp + 6, "\x00\x00", 2);
	assert_true(adds_up(pseudo, udp, udp_bytes));
}

static void every_frame_is_valid_udp_of_its_flow(void **state)
{
	static const uint32_t sizes[] = {64, 65, 1518, 9218};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct ft_frame frames[FT_BATCH_FRAMES];
		struct ft_port *port;
		char spec[80];
		int got;

		snprintf(spec, sizeof(spec), "synth:size=%u,flows=70000,count=70000", sizes[i]);
		port = start(spec);
		while ((got = ft_port_receive(port, 0, frames, 1000, &error)) >= 0) {
			for (int j = 0; j < got; j++)
				assert_valid(&frames[j], sizes[i]);
			ft_port_release(port, 0);
		}
		assert_int_equal(got, -ENODATA);
		ft_port_free(port);
	}
}

static void flows_share_the_count_and_the_first_ones_send_what_is_left_over(void **state)
{
	unsigned sent[300] = {0};
	unsigned count = take_all("synth:flows=300,count=1000", flows);

	(void)state;
	assert_int_equal(count, 1000);
	for (unsigned i = 0; i < count; i++)
		sent[flows[i]]++;
	for (unsigned flow = 0; flow < 300; flow++)
		assert_int_equal(sent[flow], flow < 100 ? 4 : 3);
}

static void fewer_frames_than_flows_are_one_of_each_of_the_first(void **state)
{
	unsigned sent[10] = {0};
	unsigned count = take_all("synth:flows=5000000,live=3,count=10", flows);

	(void)state;
	assert_int_equal(count, 10);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(sent[flows[i]]++, 0);
}

static void a_cohort_lives_only_once_the_one_before_has_sent_all(void **state)
{
	unsigned count = take_all("synth:flows=1000,live=16,count=50000", flows);

	(void)state;
	assert_int_equal(count, 50000);
	for (unsigned i = 1; i < count; i++)
		assert_true(flows[i] / 16 == flows[i - 1] / 16 ||
			    flows[i] / 16 == flows[i - 1] / 16 + 1);
}

static void flows_of_a_cohort_take_turns_at_random(void **state)
{
	unsigned repeated = 0, count = take_all("synth:flows=16,count=16000", flows);

	(void)state;
	for (unsigned i = 1; i < count; i++)
		repeated += flows[i] == flows[i - 1];
	assert_in_range(repeated, 500, 3000); /* one in sixteen: 1000 */
}

static void the_seed_alone_decides_the_order(void **state)
{
	static const char spec[] = "synth:flows=500,live=64,count=10000,seed=7";
	unsigned count = take_all(spec, flows);

	(void)state;
	assert_int_equal(take_all(spec, others), count);
	assert_memory_equal(flows, others, count * sizeof(flows[0]));
	assert_int_equal(take_all("synth:flows=500,live=64,count=10000,seed=8", others), count);
	assert_memory_not_equal(flows, others, count * sizeof(flows[0]));
}

static void stamps_are_utc_and_strictly_increase(void **state)
{
	uint64_t before_ns = ft_clock_utc_ns();
	unsigned count = take_all("synth:count=100000", flows);

	(void)state;
	assert_true(stamps[0] >= before_ns);
	for (unsigned i = 1; i < count; i++)
		assert_true(stamps[i] > stamps[i - 1]);
}

static void with_a_rate_stamps_follow_the_schedule(void **state)
{
	struct ft_port *port = start("synth:rate=3Mpps,count=20000");
	unsigned count = take(port, flows, stamps, ENOUGH);

	(void)state;
	assert_int_equal(count, 20000);
	assert_false(ft_port_waits(port));
	for (unsigned i = 1; i < count; i++)
		assert_in_range(stamps[i] - stamps[0], i * 1000ull / 3 - 1, i * 1000ull / 3);
	ft_port_free(port);
}

static double rate_of(const char *spec)
{
	struct ft_port *port = start(spec);
	json_t *object = ft_port_describe(port);
	double rate_pps = json_real_value(json_object_get(object, "rate_pps"));

	json_decref(object);
	ft_port_free(port);
	return rate_pps;
}

static void a_rate_in_bits_counts_the_fcs_and_on_layer_1_the_gap(void **state)
{
	(void)state;
	assert_true(rate_of("synth:size=125,rate=1Mbps") == 1000);
	assert_true(rate_of("synth:size=105,rate=1MbpsL1") == 1000);
	assert_true(rate_of("synth:rate=2kpps") == 2000);
	assert_true(rate_of("synth:rate=max") == 0);
}

static void without_a_count_it_goes_round_until_it_is_closed(void **state)
{
	struct ft_port *port = start("synth:flows=64,live=16");
	struct ft_frame frames[FT_BATCH_FRAMES];
	struct ft_port_counts counts;
	unsigned cohorts[4] = {0}, count = take(port, flows, stamps, 500000);

	(void)state;
	assert_true(ft_port_waits(port));
	for (unsigned i = 0; i < count; i++)
		cohorts[flows[i] / 16] += i == 0 || flows[i] / 16 != flows[i - 1] / 16;
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(cohorts[i], 2, count);
	ft_port_read_counts(port, 0, &counts);
	assert_int_equal(counts.offered, count);
	assert_int_equal(counts.dropped_kernel, 0);
	assert_int_equal(ft_port_close_input(port, &error), 0);
	assert_int_equal(ft_port_receive(port, 0, frames, 0, &error), -ENODATA);
	ft_port_free(port);
}

static void a_frame_that_is_not_due_is_a_time_out(void **state)
{
	struct ft_port *port = start("synth:rate=1pps");
	struct ft_frame frames[FT_BATCH_FRAMES];

	(void)state;
	assert_int_equal(ft_port_receive(port, 0, frames, 0, &error), 1);
	ft_port_release(port, 0);
	assert_int_equal(ft_port_receive(port, 0, frames, 1, &error), 0);
	ft_port_free(port);
}

static void keys_may_be_left_out(void **state)
{
	struct ft_port *port = start("synth:");

	(void)state;
	assert_string_equal(ft_port_name(port), "synth");
	assert_string_equal(ft_port_mode(port), "memory");
	assert_string_equal(ft_port_interface(port, 0)->timestamps, "monotonic");
	ft_port_free(port);
}

static void assert_refused(const char *spec, const char *word)
{
	const struct ft_port_options options = {.directions = FT_DIRECTION_IN};
	struct ft_port *port;

	assert_int_equal(ft_port_create(spec, &options, &port, &error), -EINVAL);
	if (strstr(error.text, word) == NULL)
		fail_msg("%s: said '%s', without '%s'", spec, error.text, word);
}

static void wrong_keys_are_refused_with_what_is_allowed(void **state)
{
	(void)state;
	assert_refused("synth:size=63", "'63' is not a number from 64 to 9218");
	assert_refused("synth:flows=0", "from 1 to");
	assert_refused("synth:rate=40%", "link speed");
	assert_refused("synth:rate=2", "'2' is not a rate");
	assert_refused("synth:rate=5000Mpps", "1 Gpps");
	assert_refused("synth:eth0", "'eth0' is not key=value");
	assert_refused("synth:speed=1", "size, flows, live, rate, count, seed, blocks");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_is_valid_udp_of_its_flow),
		cmocka_unit_test(flows_share_the_count_and_the_first_ones_send_what_is_left_over),
		cmocka_unit_test(fewer_frames_than_flows_are_one_of_each_of_the_first),
		cmocka_unit_test(a_cohort_lives_only_once_the_one_before_has_sent_all),
		cmocka_unit_test(flows_of_a_cohort_take_turns_at_random),
		cmocka_unit_test(the_seed_alone_decides_the_order),
		cmocka_unit_test(stamps_are_utc_and_strictly_increase),
		cmocka_unit_test(with_a_rate_stamps_follow_the_schedule),
		cmocka_unit_test(a_rate_in_bits_counts_the_fcs_and_on_layer_1_the_gap),
		cmocka_unit_test(without_a_count_it_goes_round_until_it_is_closed),
		cmocka_unit_test(a_frame_that_is_not_due_is_a_time_out),
		cmocka_unit_test(keys_may_be_left_out),
		cmocka_unit_test(wrong_keys_are_refused_with_what_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
