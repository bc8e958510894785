/* SPDX-License-Identifier: Apache-2.0 */
#include "port/phc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/timex.h>
#include <unistd.h>

#define NS_PER_SECOND  1000000000ll
#define SAMPLES	       5u
#define TAI_UTC_S      37 /* since 2017 (IERS Bulletin C) */
#define SAME_ENOUGH_NS NS_PER_SECOND

static int64_t ns_of(const struct ptp_clock_time *time)
{
	return time->sec * NS_PER_SECOND + time->nsec;
}

/* Both clocks latched at once by hardware. */
static int compare_precisely(int fd, int64_t *ahead_ns)
{
	struct ptp_sys_offset_precise at = {0};

	if (ioctl(fd, PTP_SYS_OFFSET_PRECISE, &at) < 0)
		return -errno;
	*ahead_ns = ns_of(&at.device) - ns_of(&at.sys_realtime);
	return 0;
}

/* The reading of the clock lies between two of the system's: the closest pair says most. */
static void judge_sample(const struct ptp_clock_time *before, const struct ptp_clock_time *device,
			 const struct ptp_clock_time *after, int64_t *window_ns, int64_t *ahead_ns)
{
	int64_t between_ns = ns_of(after) - ns_of(before);

	if (between_ns >= *window_ns)
		return;
	*window_ns = between_ns;
	*ahead_ns = ns_of(device) - (ns_of(before) + between_ns / 2);
}

static int compare_closely(int fd, int64_t *ahead_ns)
{
	struct ptp_sys_offset_extended at = {.n_samples = SAMPLES};
	int64_t window_ns = INT64_MAX;

	if (ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &at) < 0)
		return -errno;
	for (unsigned i = 0; i < SAMPLES; i++)
		judge_sample(&at.ts[i][0], &at.ts[i][1], &at.ts[i][2], &window_ns, ahead_ns);
	return 0;
}

static int compare_plainly(int fd, int64_t *ahead_ns)
{
	struct ptp_sys_offset at = {.n_samples = SAMPLES};
	int64_t window_ns = INT64_MAX;

	if (ioctl(fd, PTP_SYS_OFFSET, &at) < 0)
		return -errno;
	for (unsigned i = 0; i < SAMPLES; i++)
		judge_sample(&at.ts[2 * i], &at.ts[2 * i + 1], &at.ts[2 * i + 2], &window_ns,
			     ahead_ns);
	return 0;
}

int ft_phc_compare(int index, int64_t *ahead_ns)
{
	char path[32];
	int fd, rc;

	snprintf(path, sizeof(path), "/dev/ptp%d", index);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = compare_precisely(fd, ahead_ns);
	if (rc != 0)
		rc = compare_closely(fd, ahead_ns);
	if (rc != 0)
		rc = compare_plainly(fd, ahead_ns);
	close(fd);
	return rc;
}

enum ft_phc_scale ft_phc_judge(int64_t ahead_ns, int tai_utc_s)
{
	if (llabs(ahead_ns) < SAME_ENOUGH_NS)
		return FT_PHC_UTC;
	if (llabs(ahead_ns - tai_utc_s * NS_PER_SECOND) < SAME_ENOUGH_NS)
		return FT_PHC_TAI;
	return FT_PHC_FREE;
}

int ft_clock_tai_utc_s(void)
{
	struct timex kernel = {0};

	return adjtimex(&kernel) >= 0 && kernel.tai > 0 ? kernel.tai : TAI_UTC_S;
}

void ft_system_clock_describe(char *text, size_t bytes)
{
	struct timex kernel = {0};

	if (adjtimex(&kernel) < 0)
		snprintf(text, bytes, "system clock, state unknown");
	else if (kernel.status & STA_UNSYNC)
		snprintf(text, bytes, "system clock, not synchronised");
	else
		snprintf(text, bytes, "system clock, synchronised, estimated error %ld us",
			 kernel.esterror);
}
