/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/realtime.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "ctl/cpus.h"

/* Above all normal threads is enough; the kernel's own real-time threads go first. */
#define PRIORITY 1
/* One that spins must leave room for the receiver, the main thread and the kernel's. */
#define LEAST_CPUS 4

void ft_realtime_permit(const void *frames, size_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_RTPRIO, &limit) == 0 && limit.rlim_cur < PRIORITY) {
		limit.rlim_cur = PRIORITY;
		if (limit.rlim_max < PRIORITY)
			limit.rlim_max = PRIORITY;
		setrlimit(RLIMIT_RTPRIO, &limit);
	}
	/* Not all of the process: a locked stack or heap could not grow once the right is gone. */
	mlock(frames, bytes);
}

static bool has_room(void)
{
	cpu_set_t usable;

	return sched_getaffinity(0, sizeof(usable), &usable) == 0 &&
	       CPU_COUNT(&usable) >= LEAST_CPUS;
}

int ft_realtime_start(pthread_t *thread, void *(*run)(void *), void *argument,
		      struct ft_realtime *got)
{
	const struct sched_param priority = {.sched_priority = PRIORITY};
	pthread_attr_t attributes;
	cpu_set_t pinned;
	int rc = EPERM;

	*got = (struct ft_realtime){.cpu = ft_cpu_isolated(0)};
	pthread_attr_init(&attributes);
	if (got->cpu >= 0) {
		CPU_ZERO(&pinned);
		CPU_SET((unsigned)got->cpu, &pinned);
		pthread_attr_setaffinity_np(&attributes, sizeof(pinned), &pinned);
	}
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	got->fifo = got->cpu >= 0 || has_room();
	if (got->fifo) {
		pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
		pthread_attr_setschedparam(&attributes, &priority);
		rc = pthread_create(thread, &attributes, run, argument);
	}
	if (rc == EPERM) {
		/* As the program was started: chrt(1) may have given what is not taken here. */
		got->fifo = sched_getscheduler(0) == SCHED_FIFO;
		pthread_attr_setinheritsched(&attributes, PTHREAD_INHERIT_SCHED);
		rc = pthread_create(thread, &attributes, run, argument);
	}
	pthread_attr_destroy(&attributes);
	return rc;
}
