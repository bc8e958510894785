/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a ptp4l said of itself while a run lasted: the state of its port, its own estimate of the
 * offset, whom it followed. For the receipt; verdicts are `fieldtap clock`'s.
 *
 * It is asked over its management socket (linuxptp uds.c, tlv.h; IEEE 1588 management messages),
 * with a GET, from an address that has no name in the file system. So it must run in the same
 * network namespace. Nothing here waits: an answer is taken at the next sample.
 */
#ifndef FT_CTL_PTP_HISTORY_H
#define FT_CTL_PTP_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define FT_PTP_IDENTITY_BYTES  8u
#define FT_PTP_STATES	       11u /* IEEE 1588 port states 1 to 10; 0 stands for any other */
#define FT_PTP_SOCKET_VARIABLE "FIELDTAP_PTP_SOCKET"

/* What the answers to one sample's questions said. */
struct ft_ptp_answers {
	bool has_state, has_offset;
	uint8_t state; /* of the port that receives time: a slave before any other */
	int64_t offset_ns;
	bool present; /* the grandmaster, by TIME_STATUS_NP */
	uint8_t grandmaster[FT_PTP_IDENTITY_BYTES];
};

/* Owned by the main thread. Zero is a good beginning. */
struct ft_ptp_history {
	bool opened;
	int fd;		     /* -1: no socket could be made */
	const char *path;    /* of the daemon that was asked last, NULL: none was there */
	uint64_t sampled_ns; /* monotonic; 0: never */
	uint16_t sequence;
	struct ft_ptp_answers answers;
	uint64_t asked, answered;
	uint64_t states[FT_PTP_STATES]; /* answers, by state */
	uint64_t offsets;		/* estimates, in state SLAVE alone */
	int64_t offset_min_ns, offset_max_ns;
	uint64_t grandmaster_changes;
	bool followed;
	uint8_t first[FT_PTP_IDENTITY_BYTES], last[FT_PTP_IDENTITY_BYTES];
};

/*
 * Take in any bytes that came as an answer to the questions of `sequence`. False, and nothing
 * changed, for what is no whole answer to one of them.
 */
bool ft_ptp_answer_parse(const uint8_t *message, size_t bytes, uint16_t sequence,
			 struct ft_ptp_answers *answers);

/* Ask once a second, however often it is called, and take in what was answered since. */
void ft_ptp_history_sample(struct ft_ptp_history *history);

/*
 * {socket, asked, answered, states: {NAME: samples}, offset_samples, offset_min_ns, offset_max_ns,
 * grandmaster_first, grandmaster_last, grandmaster_changes}; offsets and grandmasters are null
 * where there were none. null where no management socket was there.
 */
json_t *ft_ptp_history_report(const struct ft_ptp_history *history);

void ft_ptp_history_free(struct ft_ptp_history *history);

#endif
