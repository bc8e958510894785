/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pipe/chunk.h"

#define CHUNKS 64u

static int make_pool(void **state)
{
	struct ft_error error;

	return ft_pool_create(CHUNKS, false, (struct ft_pool **)state, &error);
}

static int free_pool(void **state)
{
	ft_pool_free(*state);
	return 0;
}

static void a_pool_lends_every_chunk_once_and_then_none(void **state)
{
	struct ft_chunk *taken[CHUNKS];

	for (unsigned i = 0; i < CHUNKS; i++) {
		taken[i] = ft_pool_take(*state);
		assert_non_null(taken[i]);
		for (unsigned j = 0; j < i; j++)
			assert_ptr_not_equal(taken[i], taken[j]);
	}
	assert_null(ft_pool_take(*state));
}

static void chunks_do_not_overlap_and_can_be_written_to_their_end(void **state)
{
	struct ft_chunk *taken[CHUNKS];

	for (unsigned i = 0; i < CHUNKS; i++) {
		taken[i] = ft_pool_take(*state);
		taken[i]->data[0] = (uint8_t)i;
		taken[i]->data[FT_CHUNK_BYTES - 1] = (uint8_t)~i;
	}
	for (unsigned i = 0; i < CHUNKS; i++) {
		assert_int_equal(taken[i]->data[0], (uint8_t)i);
		assert_int_equal(taken[i]->data[FT_CHUNK_BYTES - 1], (uint8_t)~i);
	}
}

static void both_rings_hold_every_chunk_of_the_pool(void **state)
{
	struct ft_pool *pool = *state;
	struct ft_chunk *chunk;

	while ((chunk = ft_pool_take(pool)) != NULL)
		assert_true(ft_ring_push(&pool->filled, chunk));
	while ((chunk = ft_ring_pop(&pool->filled)) != NULL)
		assert_true(ft_ring_push(&pool->empty, chunk));
	for (unsigned i = 0; i < CHUNKS; i++)
		assert_non_null(ft_pool_take(pool));
}

static void a_chunk_given_back_comes_again_empty(void **state)
{
	struct ft_pool *pool = *state;
	struct ft_chunk *chunk = ft_pool_take(pool);

	while (ft_pool_take(pool) != NULL)
		;
	chunk->used_bytes = 4096;
	chunk->frames[0] = chunk->frames[1] = 7;
	chunk->frame_bytes = 420;
	ft_ring_push(&pool->empty, chunk);
	assert_ptr_equal(ft_pool_take(pool), chunk);
	assert_int_equal(chunk->used_bytes, 0);
	assert_int_equal(chunk->frames[0], 0);
	assert_int_equal(chunk->frames[1], 0);
	assert_int_equal(chunk->frame_bytes, 0);
}

static void a_quiet_capture_keeps_to_one_chunk(void **state)
{
	struct ft_pool *pool = *state;
	struct ft_chunk *first = ft_pool_take(pool);

	for (unsigned i = 0; i < 3 * CHUNKS; i++) {
		ft_ring_push(&pool->empty, first);
		assert_ptr_equal(ft_pool_take(pool), first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_pool_lends_every_chunk_once_and_then_none,
						make_pool, free_pool),
		cmocka_unit_test_setup_teardown(
			chunks_do_not_overlap_and_can_be_written_to_their_end, make_pool,
			free_pool),
		cmocka_unit_test_setup_teardown(both_rings_hold_every_chunk_of_the_pool, make_pool,
						free_pool),
		cmocka_unit_test_setup_teardown(a_chunk_given_back_comes_again_empty, make_pool,
						free_pool),
		cmocka_unit_test_setup_teardown(a_quiet_capture_keeps_to_one_chunk, make_pool,
						free_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
