/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/syscalls.h"

#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <linux/bpf.h>
#include <linux/ptp_clock.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <seccomp.h>

#define SOCKET_TYPE_MASK 0xfu /* without SOCK_CLOEXEC and SOCK_NONBLOCK */

static const char allowed[] =
	/* files: rotation, recovery, retention, index, report */
	"open openat openat2 creat close close_range read readv pread64 preadv preadv2 write "
	"writev pwrite64 pwritev pwritev2 lseek _llseek fsync fdatasync sync_file_range "
	"syncfs fallocate ftruncate ftruncate64 truncate flock fcntl fcntl64 fadvise64 "
	"readahead copy_file_range sendfile splice stat lstat fstat newfstatat fstatat64 "
	"statx statfs fstatfs statfs64 fstatfs64 access faccessat faccessat2 readlink "
	"readlinkat getcwd getdents64 rename renameat renameat2 link linkat unlink unlinkat "
	"mkdir mkdirat rmdir chmod fchmod fchmodat umask utimensat dup dup2 dup3 memfd_create "
	"io_uring_setup io_uring_enter io_uring_register "
	/* waiting and waking */
	"poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait "
	"epoll_pwait2 eventfd2 pipe pipe2 timerfd_create timerfd_settime timerfd_gettime "
	"signalfd4 futex futex_waitv nanosleep clock_nanosleep sched_yield pause "
	"restart_syscall "
	/* sockets that are there: ports, clients; see allow_sockets for new ones */
	"accept accept4 bind listen getsockname getpeername getsockopt setsockopt recvfrom "
	"recvmsg recvmmsg sendto sendmsg sendmmsg shutdown "
	/* memory */
	"mmap mmap2 munmap mremap mprotect madvise msync mincore mlock mlock2 munlock mbind "
	"set_mempolicy get_mempolicy brk membarrier "
	/* clocks and what the machine says of itself */
	"clock_gettime clock_gettime64 clock_getres gettimeofday time times adjtimex "
	"clock_adjtime uname sysinfo getrusage getrlimit prlimit64 getrandom getcpu "
	/* threads and their priority; the guardian's end */
	"clone clone3 set_robust_list get_robust_list set_tid_address rseq gettid getpid "
	"getppid prctl arch_prctl sched_getaffinity sched_setaffinity sched_getscheduler "
	"sched_setscheduler sched_getparam sched_setparam sched_getattr sched_setattr "
	"sched_get_priority_min sched_get_priority_max getpriority setpriority ioprio_get "
	"ioprio_set exit exit_group wait4 waitid "
	/* signals, to itself; who it is */
	"rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending rt_sigsuspend "
	"sigaltstack tgkill getuid geteuid getgid getegid getgroups getresuid getresgid "
	"capget "
#ifdef __SANITIZE_ADDRESS__
	/* The leak check at the end of a build for tests. */
	"ptrace process_vm_readv kill "
#endif
	"";

/* Questions to interfaces, clocks, files and terminals. Without privileges they change nothing. */
static const unsigned long asked[] = {
	SIOCETHTOOL,
	SIOCGIFNAME,
	SIOCGIFINDEX,
	SIOCGIFFLAGS,
	SIOCGIFMTU,
	SIOCGIFHWADDR,
	SIOCGHWTSTAMP,
	PTP_CLOCK_GETCAPS,
	PTP_SYS_OFFSET,
	PTP_SYS_OFFSET_PRECISE,
	PTP_SYS_OFFSET_EXTENDED,
	FIONREAD,
	FIONBIO,
	TCGETS,
	TIOCGWINSZ,
};

static int allow_calls(scmp_filter_ctx filter)
{
	char names[sizeof(allowed)], *rest;
	int rc = 0;

	memcpy(names, allowed, sizeof(names));
	for (char *name = strtok_r(names, " ", &rest); rc == 0 && name != NULL;
	     name = strtok_r(NULL, " ", &rest)) {
		int call = seccomp_syscall_resolve_name(name);

		if (call != __NR_SCMP_ERROR) /* else too new for this library, and unused */
			rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
	}
	return rc;
}

static int allow_asking(scmp_filter_ctx filter)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < sizeof(asked) / sizeof(asked[0]); i++)
		/* The kernel looks at the lower half of a request alone. */
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, asked[i]));
	return rc;
}

/* To ask the kernel for counters and settings; connect() is refused. */
static int allow_sockets(scmp_filter_ctx filter)
{
	static const struct {
		int family, type;
	} sockets[] = {
		{AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},	  {AF_NETLINK, SOCK_RAW},
		{AF_INET, SOCK_DGRAM},	{AF_NETLINK, SOCK_DGRAM},
	};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < sizeof(sockets) / sizeof(sockets[0]); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].family),
				      SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK,
					      (scmp_datum_t)sockets[i].type));
	return rc;
}

/*
 * To close an XDP program's window, to read its counts, and to have one make frames: with maps and
 * programs that are open already. The kernel lets an unprivileged process make and load none.
 */
static int allow_bpf(scmp_filter_ctx filter)
{
	static const enum bpf_cmd commands[] = {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM,
						BPF_MAP_DELETE_ELEM, BPF_PROG_TEST_RUN};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				      SCMP_A0(SCMP_CMP_EQ, commands[i]));
	return rc;
}

int ft_syscalls_restrict(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (filter == NULL)
		return -ENOMEM;
	rc = allow_calls(filter);
	if (rc == 0)
		rc = allow_asking(filter);
	if (rc == 0)
		rc = allow_sockets(filter);
	if (rc == 0)
		rc = allow_bpf(filter);
	if (rc == 0) /* a search in place of a walk through the list */
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}
