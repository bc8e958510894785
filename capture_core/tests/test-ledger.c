/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ft/ledger.h"

/* Every counter another power of two, so that no sum comes out right by chance. */
static struct ft_ledger distinct(void)
{
	return (struct ft_ledger){
		.offered = 1 + 2 + 4 + 8 + 16 + 32,
		.stored = 1,
		.filtered = 2,
		.excess = 4,
		.dropped_kernel = 8,
		.dropped_ring = 16,
		.dropped_disk = 32,
		.dropped_adapter = 64,
		.coalesced = 128,
		.stored_bytes = 256,
		.unstamped = 512,
	};
}

static void an_unused_ledger_balances_and_lost_nothing(void **state)
{
	const struct ft_ledger ledger = {0};

	(void)state;
	assert_true(ft_ledger_balanced(&ledger));
	assert_int_equal(ft_ledger_lost(&ledger), 0);
}

static void a_ledger_balances_when_every_offered_frame_has_one_place(void **state)
{
	const struct ft_ledger ledger = distinct();

	(void)state;
	assert_true(ft_ledger_balanced(&ledger));
}

static void one_frame_too_many_or_too_few_anywhere_breaks_the_balance(void **state)
{
	struct ft_ledger ledger = distinct();
	ft_count *const places[] = {
		&ledger.offered,	&ledger.stored,	      &ledger.filtered,	   &ledger.excess,
		&ledger.dropped_kernel, &ledger.dropped_ring, &ledger.dropped_disk};

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint64_t right = ft_count_read(places[i]);

		ft_count_set(places[i], right + 1);
		assert_false(ft_ledger_balanced(&ledger));
		ft_count_set(places[i], right - 1);
		assert_false(ft_ledger_balanced(&ledger));
		ft_count_set(places[i], right);
	}
	assert_true(ft_ledger_balanced(&ledger));
}

static void drops_of_the_adapter_are_lost_but_were_never_offered(void **state)
{
	struct ft_ledger ledger = distinct();

	(void)state;
	ft_count_add(&ledger.dropped_adapter, 1000);
	assert_true(ft_ledger_balanced(&ledger));
	assert_int_equal(ft_ledger_lost(&ledger), 8 + 16 + 32 + 64 + 1000);
}

static void a_report_names_every_count_under_its_own_name(void **state)
{
	const struct ft_ledger ledger = distinct();
	json_t *report = json_object();
	json_t *expected = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:{s:i, s:i, s:i, s:i}, s:i}",
				     "offered", 63, "stored", 1, "filtered", 2, "excess", 4,
				     "coalesced", 128, "unstamped", 512, "dropped", "adapter", 64,
				     "kernel", 8, "ring", 16, "disk", 32, "bytes_stored", 256);

	(void)state;
	ft_ledger_report(&ledger, report);
	assert_true(json_equal(report, expected));
	json_decref(expected);
	json_decref(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unused_ledger_balances_and_lost_nothing),
		cmocka_unit_test(a_ledger_balances_when_every_offered_frame_has_one_place),
		cmocka_unit_test(one_frame_too_many_or_too_few_anywhere_breaks_the_balance),
		cmocka_unit_test(drops_of_the_adapter_are_lost_but_were_never_offered),
		cmocka_unit_test(a_report_names_every_count_under_its_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
