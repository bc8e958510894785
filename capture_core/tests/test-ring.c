/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipe/ring.h"

#define HANDED_OVER 10000000u

static void *item(uintptr_t number)
{
	return (void *)(number + 1); /* NULL says empty */
}

static int make_ring(void **state)
{
	*state = aligned_alloc(64, sizeof(struct ft_ring));
	if (*state == NULL)
		return -1;
	*(struct ft_ring *)*state = (struct ft_ring){0};
	return 0;
}

static int free_ring(void **state)
{
	free(*state);
	return 0;
}

static void an_empty_ring_gives_nothing(void **state)
{
	assert_null(ft_ring_pop(*state));
}

static void items_come_out_in_the_order_they_went_in(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		assert_true(ft_ring_push(*state, item(i)));
	for (unsigned i = 0; i < 3; i++)
		assert_ptr_equal(ft_ring_pop(*state), item(i));
	assert_null(ft_ring_pop(*state));
}

static void a_full_ring_refuses_and_keeps_what_it_holds(void **state)
{
	for (unsigned i = 0; i < FT_RING_SLOTS; i++)
		assert_true(ft_ring_push(*state, item(i)));
	assert_false(ft_ring_push(*state, item(FT_RING_SLOTS)));
	for (unsigned i = 0; i < FT_RING_SLOTS; i++)
		assert_ptr_equal(ft_ring_pop(*state), item(i));
	assert_null(ft_ring_pop(*state));
}

static void a_full_ring_takes_one_more_for_each_taken_out(void **state)
{
	for (unsigned i = 0; i < FT_RING_SLOTS; i++)
		ft_ring_push(*state, item(i));
	for (unsigned i = 0; i < 3 * FT_RING_SLOTS; i++) {
		assert_ptr_equal(ft_ring_pop(*state), item(i));
		assert_true(ft_ring_push(*state, item(FT_RING_SLOTS + i)));
		assert_false(ft_ring_push(*state, item(0)));
	}
}

static void indices_that_overflow_32_bits_lose_nothing(void **state)
{
	struct ft_ring *ring = *state;

	ring->head = ring->tail = ring->tail_seen = ring->head_seen = UINT32_MAX - 1;
	for (unsigned i = 0; i < FT_RING_SLOTS; i++)
		assert_true(ft_ring_push(ring, item(i)));
	assert_false(ft_ring_push(ring, item(0)));
	for (unsigned i = 0; i < FT_RING_SLOTS; i++)
		assert_ptr_equal(ft_ring_pop(ring), item(i));
	assert_null(ft_ring_pop(ring));
}

static void *push_all(void *ring)
{
	for (uintptr_t i = 0; i < HANDED_OVER; i++)
		while (!ft_ring_push(ring, item(i)))
			sched_yield();
	return NULL;
}

static void ten_million_items_cross_between_two_threads_in_order(void **state)
{
	pthread_t producer;

	assert_int_equal(pthread_create(&producer, NULL, push_all, *state), 0);
	for (uintptr_t i = 0; i < HANDED_OVER; i++) {
		void *got;

		while ((got = ft_ring_pop(*state)) == NULL)
			sched_yield();
		if (got != item(i))
			fail_msg("item %zu came where %zu was due", (uintptr_t)got - 1, i);
	}
	pthread_join(producer, NULL);
	assert_null(ft_ring_pop(*state));
}

/* Boxes go round as chunks do: filled in one thread, emptied in the other, and back. */
struct round_trip {
	struct ft_ring filled, empty;
	uint64_t boxes[FT_RING_SLOTS];
};

#define BOXES_SENT 1000000u

static void *fill_boxes(void *argument)
{
	struct round_trip *trip = argument;

	for (uint64_t i = 0; i < BOXES_SENT; i++) {
		uint64_t *box;

		while ((box = ft_ring_pop(&trip->empty)) == NULL)
			sched_yield();
		*box = i;
		ft_ring_push(&trip->filled, box);
	}
	return NULL;
}

static void what_an_item_points_to_crosses_with_it_in_both_directions(void **state)
{
	struct round_trip *trip = aligned_alloc(64, sizeof(*trip));
	pthread_t filler;

	(void)state;
	assert_non_null(trip);
	*trip = (struct round_trip){0};
	for (unsigned i = 0; i < FT_RING_SLOTS; i++)
		ft_ring_push(&trip->empty, &trip->boxes[i]);
	assert_int_equal(pthread_create(&filler, NULL, fill_boxes, trip), 0);
	for (uint64_t i = 0; i < BOXES_SENT; i++) {
		uint64_t *box;

		while ((box = ft_ring_pop(&trip->filled)) == NULL)
			sched_yield();
		if (*box != i)
			fail_msg("a box held %ju where %ju was due", *box, i);
		*box = 0;
		ft_ring_push(&trip->empty, box);
	}
	pthread_join(filler, NULL);
	free(trip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_ring_gives_nothing, make_ring, free_ring),
		cmocka_unit_test_setup_teardown(items_come_out_in_the_order_they_went_in, make_ring,
						free_ring),
		cmocka_unit_test_setup_teardown(a_full_ring_refuses_and_keeps_what_it_holds,
						make_ring, free_ring),
		cmocka_unit_test_setup_teardown(a_full_ring_takes_one_more_for_each_taken_out,
						make_ring, free_ring),
		cmocka_unit_test_setup_teardown(indices_that_overflow_32_bits_lose_nothing,
						make_ring, free_ring),
		cmocka_unit_test_setup_teardown(
			ten_million_items_cross_between_two_threads_in_order, make_ring, free_ring),
		cmocka_unit_test(what_an_item_points_to_crosses_with_it_in_both_directions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
