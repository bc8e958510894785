/* SPDX-License-Identifier: Apache-2.0 */
/* What tests/test_streams_*.py cannot see from outside: slots, restarts, frames passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ft/clock.h"
#include "gen/stream.h"

#define IN_FLIGHT (FT_TRANSMIT_RING + FT_TRANSMIT_BATCH)

static const struct ft_signature_run run = {.secret = 0x1234, .id = 0x56};

struct made {
	struct ft_transmit transmit;
	struct ft_stream_file file;
	struct ft_stream_set set;
};

static void make(struct made *made, const char *toml)
{
	struct ft_error error;

	*made = (struct made){.transmit = {
				      .device = "nowhere",
				      .max_bytes = 1514,
				      .max_tagged_bytes = 1518,
				      .slots_in_flight = IN_FLIGHT,
			      }};
	assert_int_equal(ft_stream_file_parse(toml, strlen(toml), "test", &made->file, &error), 0);
	assert_int_equal(
		ft_stream_set_create(&made->file, &made->transmit, &run, &made->set, &error), 0);
}

static void unmake(struct made *made)
{
	ft_stream_set_free(&made->set);
	ft_stream_file_free(&made->file);
	ft_transmit_free(&made->transmit);
}

static unsigned fill(struct made *made, uint64_t until_ns, struct iovec *frames, unsigned room)
{
	struct ft_source *source = &made->set.source;

	return source->ops->fill(source, (ft_fine_time)until_ns << FT_FINE_SHIFT, 0, frames, room);
}

static uint64_t pass_over(struct made *made, uint64_t before_ns)
{
	struct ft_source *source = &made->set.source;

	/* In brackets, since cmocka has a macro of that name. */
	return (source->ops->skip)(source, (ft_fine_time)before_ns << FT_FINE_SHIFT, 1000);
}

static uint32_t number_of(const struct iovec *frame)
{
	const uint8_t *at = (const uint8_t *)frame->iov_base + frame->iov_len - 10;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void frames_passed_over_use_up_no_numbers(void **state)
{
	struct iovec frames[2];
	struct made made;

	(void)state;
	make(&made, "[[stream]]\nrate = \"1kpps\"\n");
	assert_int_equal(fill(&made, 0, frames, 2), 1);
	assert_int_equal(number_of(&frames[0]), 0);
	assert_int_equal(pass_over(&made, 10 * FT_NS_PER_MS), 9);
	assert_int_equal(ft_fine_ns(made.set.source.due), 10 * FT_NS_PER_MS);
	assert_int_equal(fill(&made, 10 * FT_NS_PER_MS, frames, 2), 1);
	assert_int_equal(number_of(&frames[0]), 1);
	unmake(&made);
}

static void frames_passed_over_count_for_a_streams_end(void **state)
{
	struct made made;

	(void)state;
	make(&made, "[[stream]]\nrate = \"1kpps\"\ncount = 4\n");
	assert_int_equal(pass_over(&made, FT_NS_PER_SECOND), 4);
	assert_true(made.set.source.due == FT_SOURCE_END);
	unmake(&made);
}

static void no_slot_is_used_again_while_its_frame_is_under_way(void **state)
{
	const uint8_t *recent[IN_FLIGHT] = {0};
	struct iovec frames[FT_TRANSMIT_BATCH];
	struct made made;

	(void)state;
	make(&made, "[[stream]]\nsize = \"imix\"\n[[stream]]\nsize = { random = [64, 200] }\n");
	for (unsigned n = 0; n < 5 * IN_FLIGHT;) {
		unsigned count = fill(&made, 0, frames, FT_TRANSMIT_BATCH);

		for (unsigned i = 0; i < count; i++, n++) {
			for (unsigned j = 0; j < IN_FLIGHT - FT_TRANSMIT_BATCH; j++)
				assert_ptr_not_equal(frames[i].iov_base,
						     recent[(n + IN_FLIGHT - 1 - j) % IN_FLIGHT]);
			recent[n % IN_FLIGHT] = frames[i].iov_base;
		}
	}
	unmake(&made);
}

static void no_frame_that_fits_a_chunk_straddles_two(void **state)
{
	struct iovec frames[FT_TRANSMIT_BATCH];
	struct made made;

	(void)state;
	make(&made, "[[stream]]\nsize = [64, 1518]\n[[stream]]\nsize = 700\n");
	for (unsigned n = 0; n < 2 * IN_FLIGHT; n += FT_TRANSMIT_BATCH) {
		assert_int_equal(fill(&made, 0, frames, FT_TRANSMIT_BATCH), FT_TRANSMIT_BATCH);
		for (unsigned i = 0; i < FT_TRANSMIT_BATCH; i++) {
			uintptr_t at = (uintptr_t)frames[i].iov_base;

			assert_true(at % 4096 + frames[i].iov_len <= 4096);
			assert_int_equal(at % 64, 0);
		}
	}
	unmake(&made);
}

static void a_restart_goes_on_with_the_next_number_at_once(void **state)
{
	struct iovec frames[8];
	struct made made;

	(void)state;
	make(&made, "[[stream]]\nrate = \"1kpps\"\nburst = 4\n");
	assert_int_equal(fill(&made, 0, frames, 3), 3);
	made.set.source.ops->restart(&made.set.source);
	assert_int_equal(ft_fine_ns(made.set.source.due), 0);
	assert_int_equal(fill(&made, 0, frames, 8), 4);
	assert_int_equal(number_of(&frames[0]), 3);
	unmake(&made);
}

static void a_thousand_days_drift_by_less_than_a_microsecond(void **state)
{
	const uint64_t day_s = 86400, days = 1000;
	struct made made;
	struct iovec frame;

	(void)state;
	make(&made, "[[stream]]\nrate = \"0.007pps\"\n");
	for (uint64_t n = 0; n < day_s * days * 7 / 1000; n++)
		assert_int_equal(fill(&made, UINT64_MAX, &frame, 1), 1);
	assert_in_range(ft_fine_ns(made.set.source.due), day_s * days * FT_NS_PER_SECOND - 1000,
			day_s * days * FT_NS_PER_SECOND + 1000);
	unmake(&made);
}

static bool repeats(const char *toml)
{
	struct ft_repeated repeated;
	struct made made;
	bool one;

	make(&made, toml);
	one = made.set.source.ops->repeats(&made.set.source, &repeated);
	unmake(&made);
	return one;
}

static void only_one_frame_over_and_over_is_for_the_port_to_make(void **state)
{
	(void)state;
	assert_true(repeats("[[stream]]\n"));
	assert_true(repeats("[[stream]]\nvlan = {}\nsize = 200\n"));
	assert_false(repeats("[[stream]]\nrate = \"1kpps\"\n"));
	assert_false(repeats("[[stream]]\n[[stream]]\n"));
	assert_false(repeats("[[stream]]\nsize = [64, 65]\n"));
	assert_false(repeats("[[stream]]\nipv4.ttl = [1, 2]\n"));
	assert_false(repeats("[[stream]]\ncount = 3\n"));
	assert_false(repeats("[[stream]]\nsignature = false\n"));
}

static void what_needs_too_much_of_the_ports_memory_lies_elsewhere(void **state)
{
	char toml[256 * 32] = "";
	struct iovec frames[FT_TRANSMIT_BATCH];
	struct made made;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		strcat(toml, "[[stream]]\nsize = 1518\n");
	make(&made, toml);
	assert_non_null(made.set.memory);
	assert_int_equal(fill(&made, 0, frames, FT_TRANSMIT_BATCH), FT_TRANSMIT_BATCH);
	unmake(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_passed_over_use_up_no_numbers),
		cmocka_unit_test(frames_passed_over_count_for_a_streams_end),
		cmocka_unit_test(no_slot_is_used_again_while_its_frame_is_under_way),
		cmocka_unit_test(no_frame_that_fits_a_chunk_straddles_two),
		cmocka_unit_test(a_restart_goes_on_with_the_next_number_at_once),
		cmocka_unit_test(a_thousand_days_drift_by_less_than_a_microsecond),
		cmocka_unit_test(only_one_frame_over_and_over_is_for_the_port_to_make),
		cmocka_unit_test(what_needs_too_much_of_the_ports_memory_lies_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
