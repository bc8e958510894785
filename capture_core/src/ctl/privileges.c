/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cap-ng.h>

#include "ctl/syscalls.h"

static unsigned count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned count = 0;

	if (tasks == NULL)
		return 0;
	while ((entry = readdir(tasks)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

/* As seen without the capabilities that let root pass: it must not have them in force. */
static bool writes_in_all(const char *const *directories, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (faccessat(AT_FDCWD, directories[i], W_OK | X_OK, AT_EACCESS) != 0)
			return false;
	return true;
}

static int give_up_capabilities(const char *const *directories, unsigned count,
				struct ft_privileges *kept)
{
	bool has_override, has_setpcap;

	if (capng_get_caps_process() != 0)
		return -EIO;
	has_override = capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
	has_setpcap = capng_have_capability(CAPNG_PERMITTED, CAP_SETPCAP);
	if (has_override) {
		capng_clear(CAPNG_SELECT_CAPS);
		capng_update(CAPNG_ADD, CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
		if (has_setpcap) /* to empty the bounding set below */
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETPCAP);
		if (capng_apply(CAPNG_SELECT_CAPS) != 0)
			return -EPERM;
		kept->dac_override = !writes_in_all(directories, count);
	}
	capng_clear(CAPNG_SELECT_ALL);
	if (kept->dac_override)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			     CAP_DAC_OVERRIDE);
	/* The bounding set is for those to change who may; no_new_privs stands for it with others.
	 */
	if (has_setpcap && capng_apply(CAPNG_SELECT_BOUNDS) != 0)
		return -EPERM;
	/* The ambient set goes with the permitted one. */
	return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : -EPERM;
}

int ft_privileges_drop(const char *const *directories, unsigned count, struct ft_privileges *kept,
		       struct ft_error *error)
{
	int rc;

	*kept = (struct ft_privileges){0};
	if (count_threads() > 1)
		return ft_fail(error, -EBUSY, "privileges must be dropped before threads start");
	rc = give_up_capabilities(directories, count, kept);
	if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		rc = -errno;
	if (rc != 0)
		return ft_fail(error, rc, "privileges cannot be dropped: %s", strerror(-rc));
	kept->dropped = true;
	kept->seccomp = ft_syscalls_restrict() == 0;
	return 0;
}

json_t *ft_privileges_describe(const struct ft_privileges *kept)
{
	json_t *capabilities = json_array();

	if (!kept->dropped)
		return json_null();
	if (kept->dac_override)
		json_array_append_new(capabilities, json_string("cap_dac_override"));
	return json_pack("{s:o, s:b, s:b}", "capabilities", capabilities, "no_new_privs", 1,
			 "seccomp", kept->seccomp);
}
