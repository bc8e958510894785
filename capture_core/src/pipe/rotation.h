/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file of a ring a frame belongs to. Shared by the hot threads of a run and the main thread,
 * without a lock: the number of the current file and what it holds are one word, changed by
 * compare-and-swap, so that with `frames_per_file` every file gets exactly that many frames,
 * however many threads there are.
 */
#ifndef FT_PIPE_ROTATION_H
#define FT_PIPE_ROTATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A file's number (from 0) in the upper bits, a count of frames or bytes in the lower ones. */
#define FT_ROTATION_COUNT_BITS 40u
#define FT_ROTATION_COUNT_MASK ((1ull << FT_ROTATION_COUNT_BITS) - 1)

struct ft_rotation {
	/* Set before any thread starts; 0: no such limit. */
	uint64_t frames_per_file;
	uint64_t bytes_per_file;
	/* Written by hot threads and the main thread. */
	_Atomic uint64_t file_and_frames;
	_Atomic uint64_t file_and_bytes;
};

/* The number of the file that is being filled. */
static inline uint64_t ft_rotation_file(const struct ft_rotation *rotation)
{
	return atomic_load_explicit(&rotation->file_and_frames, memory_order_relaxed) >>
	       FT_ROTATION_COUNT_BITS;
}

/* The next file begins, unless it has already: `file` is the one that ends. */
static inline void ft_rotation_end(struct ft_rotation *rotation, uint64_t file)
{
	uint64_t word = atomic_load_explicit(&rotation->file_and_frames, memory_order_relaxed);

	while (word >> FT_ROTATION_COUNT_BITS == file &&
	       !atomic_compare_exchange_weak(&rotation->file_and_frames, &word,
					     (file + 1) << FT_ROTATION_COUNT_BITS))
		;
}

/* The file that one more frame would go to. */
static inline uint64_t ft_rotation_next(const struct ft_rotation *rotation)
{
	uint64_t word = atomic_load_explicit(&rotation->file_and_frames, memory_order_relaxed);
	bool full = rotation->frames_per_file != 0 &&
		    (word & FT_ROTATION_COUNT_MASK) >= rotation->frames_per_file;

	return (word >> FT_ROTATION_COUNT_BITS) + full;
}

/* One more frame for `file`; false when it goes to a later one by now. */
static inline bool ft_rotation_admit(struct ft_rotation *rotation, uint64_t file)
{
	uint64_t word, next;

	word = atomic_load_explicit(&rotation->file_and_frames, memory_order_relaxed);
	do {
		next = word + 1;
		if (rotation->frames_per_file == 0)
			next = word;
		else if ((word & FT_ROTATION_COUNT_MASK) >= rotation->frames_per_file)
			next = (((word >> FT_ROTATION_COUNT_BITS) + 1) << FT_ROTATION_COUNT_BITS) +
			       1;
		if (next >> FT_ROTATION_COUNT_BITS != file)
			return false;
	} while (next != word &&
		 !atomic_compare_exchange_weak(&rotation->file_and_frames, &word, next));
	return true;
}

/* The frame's bytes are in `file`; with `bytes_per_file`, the one that fills it is its last. */
static inline void ft_rotation_note_bytes(struct ft_rotation *rotation, uint64_t file,
					  uint64_t bytes)
{
	uint64_t word, next;

	if (__builtin_expect(rotation->bytes_per_file == 0, 1))
		return;
	word = atomic_load_explicit(&rotation->file_and_bytes, memory_order_relaxed);
	do {
		if (word >> FT_ROTATION_COUNT_BITS > file)
			return; /* that file has ended already */
		next = word >> FT_ROTATION_COUNT_BITS == file
			       ? word + bytes
			       : (file << FT_ROTATION_COUNT_BITS) + bytes;
	} while (!atomic_compare_exchange_weak(&rotation->file_and_bytes, &word, next));
	if ((next & FT_ROTATION_COUNT_MASK) >= rotation->bytes_per_file)
		ft_rotation_end(rotation, file);
}

#endif
