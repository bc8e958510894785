/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending what a crash, a power cut or a full disk left: after it every reader takes the file to
 * its end without a word. Nothing is invented, and nothing is lost: what has to be cut off or
 * written over is kept beside the file as NAME.torn, one piece after the other, and is safe on disk
 * before the file is touched. A file that needs no mending is not changed, so a second run does
 * nothing.
 *
 * A capture of ours is judged chunk by chunk. A chunk that was not written to its end keeps its
 * frames up to the first block that is not whole; in a .partial also only up to the first one in
 * which a whole disk sector reads as zeros, because that may never have been written. Where intact
 * chunks of the same run follow, filler blocks, which readers pass over, take the place between.
 * Other captures are cut after their last whole block or record.
 *
 * A crash tears only what no sync had followed yet. So of a .partial of ours the end is judged that
 * way, the last 512 MiB and more, and what lies before by the marks of its chunks alone, a page
 * each, unless those do not follow each other back to the file's header. Other damage there, a
 * failing disk's, is found by the verify walk and mended when the file, under its final name, is
 * repaired again.
 */
#ifndef FT_REPAIR_H
#define FT_REPAIR_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

struct ft_repair {
	char path[PATH_MAX];	 /* what the file is called now; empty: it held nothing */
	char torn[PATH_MAX + 8]; /* where what was taken out is; empty: nothing but zeros was */
	uint64_t size_bytes;	 /* of the file now */
	uint64_t cut_bytes;	 /* taken off its end */
	uint64_t filled_bytes;	 /* turned into filler */
	bool changed;		 /* the file's bytes are other ones than before */
};

/*
 * Mend `path` in place, and give a NAME.partial its name, or the first free of NAME.1, NAME.2 ...
 * -EBUSY: a running capture is writing it. -EBADMSG: not a capture, or one that cannot be mended.
 */
int ft_repair_file(const char *path, struct ft_repair *repair, struct ft_error *error);

#endif
