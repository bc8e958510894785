/* SPDX-License-Identifier: Apache-2.0 */
/* Which file a frame goes to, with several threads at once. Also built with ThreadSanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pipe/rotation.h"

#define THREADS	  4u
#define FRAMES	  50000u /* a thread */
#define PER_FILE  47u
#define MAX_FILES (THREADS * FRAMES / PER_FILE + 64)

struct worker {
	pthread_t thread;
	struct ft_rotation *rotation;
	uint32_t frames[MAX_FILES];
	int went_back;
};

static uint64_t admit(struct ft_rotation *rotation)
{
	uint64_t file;

	do
		file = ft_rotation_next(rotation);
	while (!ft_rotation_admit(rotation, file));
	return file;
}

static void *admit_all(void *argument)
{
	struct worker *worker = argument;
	uint64_t last = 0;

	for (unsigned i = 0; i < FRAMES; i++) {
		uint64_t file = admit(worker->rotation);

		worker->went_back |= file < last;
		last = file;
		worker->frames[file]++;
		ft_rotation_note_bytes(worker->rotation, file, 100);
	}
	return NULL;
}

static struct worker workers[THREADS];

/* Frames of all threads in each file. */
static void run_workers(struct ft_rotation *rotation, uint32_t *frames)
{
	memset(workers, 0, sizeof(workers));
	memset(frames, 0, MAX_FILES * sizeof(*frames));
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].rotation = rotation;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, admit_all, &workers[i]),
				 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_false(workers[i].went_back);
		for (unsigned file = 0; file < MAX_FILES; file++)
			frames[file] += workers[i].frames[file];
	}
}

static uint32_t frames[MAX_FILES];

static void every_file_gets_exactly_its_frames_however_many_threads_there_are(void **state)
{
	struct ft_rotation rotation = {.frames_per_file = PER_FILE};
	uint32_t left = THREADS * FRAMES;

	(void)state;
	run_workers(&rotation, frames);
	for (unsigned file = 0; left > 0; file++) {
		assert_int_equal(frames[file], left < PER_FILE ? left : PER_FILE);
		left -= frames[file];
	}
}

static void the_frame_that_fills_a_file_is_its_last_up_to_one_a_thread(void **state)
{
	struct ft_rotation rotation = {.bytes_per_file = 100000};
	uint32_t all = 0, file;

	(void)state;
	run_workers(&rotation, frames);
	for (file = 0; file < ft_rotation_file(&rotation); file++) {
		/* Frames that were admitted and not yet counted when it was filled. */
		assert_in_range(frames[file], 1000, 1000 + THREADS);
		all += frames[file];
	}
	assert_int_equal(all + frames[file], THREADS * FRAMES);
}

static void a_file_ends_once_however_often_that_is_asked(void **state)
{
	struct ft_rotation rotation = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		ft_rotation_end(&rotation, 0);
	assert_int_equal(ft_rotation_file(&rotation), 1);
	assert_int_equal(admit(&rotation), 1);
}

static void ending_a_file_early_starts_the_next_one_from_zero(void **state)
{
	struct ft_rotation rotation = {.frames_per_file = 3};

	(void)state;
	assert_int_equal(admit(&rotation), 0);
	ft_rotation_end(&rotation, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(admit(&rotation), 1);
	assert_int_equal(admit(&rotation), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_gets_exactly_its_frames_however_many_threads_there_are),
		cmocka_unit_test(the_frame_that_fills_a_file_is_its_last_up_to_one_a_thread),
		cmocka_unit_test(a_file_ends_once_however_often_that_is_asked),
		cmocka_unit_test(ending_a_file_early_starts_the_next_one_from_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
