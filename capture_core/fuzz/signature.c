/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: any bytes taken for a received frame of a generator's run. A valid one stays so
 * with a tag more.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ft/signature.h"

#define LONGEST_BYTES	(80u * 1024u)
#define ADDRESSES_BYTES 12u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static const struct ft_signature_run run = {.secret = 0x1234, .id = 0x56};

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* A tag that a device pushes hides nothing, unless there are already as many as are looked through.
 */
static void push_tag(const uint8_t *frame, size_t count, const struct ft_signature *before)
{
	static const uint8_t tag[] = {0x81, 0x00, 0x00, 0x07};
	uint8_t *tagged = malloc(count + sizeof(tag));
	struct ft_signature after;

	memcpy(tagged, frame, ADDRESSES_BYTES);
	memcpy(tagged + ADDRESSES_BYTES, tag, sizeof(tag));
	memcpy(tagged + ADDRESSES_BYTES + sizeof(tag), frame + ADDRESSES_BYTES,
	       count - ADDRESSES_BYTES);
	must(ft_signature_read(tagged, count + sizeof(tag), &run, &after) == FT_SIGNATURE_VALID);
	must(after.sequence == before->sequence && after.stream == before->stream &&
	     after.sent_ns == before->sent_ns && after.reflected == before->reflected);
	free(tagged);
}

static bool is_tagged(const uint8_t *frame)
{
	return frame[ADDRESSES_BYTES] == 0x81 || frame[ADDRESSES_BYTES] == 0x88 ||
	       frame[ADDRESSES_BYTES] == 0x91;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct ft_signature signature;
	uint8_t *frame;

	if (count > LONGEST_BYTES)
		return 0;
	/* Exactly as long, so that a byte read beyond is seen. */
	frame = malloc(count > 0 ? count : 1);
	memcpy(frame, bytes, count);
	if (ft_signature_read(frame, count, &run, &signature) == FT_SIGNATURE_VALID &&
	    !is_tagged(frame))
		push_tag(frame, count, &signature);
	free(frame);
	return 0;
}
