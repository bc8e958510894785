/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: what a peer may answer on the management socket. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ptp_history.h"

#define SEQUENCE_AT 30u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ft_ptp_answers answers = {0}, before = {0};
	uint16_t sequence = size > SEQUENCE_AT + 1
				    ? (uint16_t)(data[SEQUENCE_AT] << 8 | data[SEQUENCE_AT + 1])
				    : 0;

	if (!ft_ptp_answer_parse(data, size, sequence, &answers) &&
	    memcmp(&answers, &before, sizeof(before)) != 0)
		abort();
	if (answers.state >= FT_PTP_STATES)
		abort();
	return 0;
}
