/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/cpus.h"

#include <stdio.h>

#define ISOLATED "/sys/devices/system/cpu/isolated" /* "2-3,6" */

int ft_cpu_isolated(unsigned n)
{
	FILE *file = fopen(ISOLATED, "re");
	int first = -1, last;

	while (file != NULL && fscanf(file, "%d", &first) == 1) {
		last = first;
		if (fscanf(file, "-%d", &last) == 1 && last < first)
			last = first;
		if (n <= (unsigned)(last - first)) {
			first += (int)n;
			break;
		}
		n -= (unsigned)(last - first) + 1;
		first = -1;
		if (fscanf(file, ",") == EOF)
			break;
	}
	if (file != NULL)
		fclose(file);
	return first;
}
