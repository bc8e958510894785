/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verify walk: what a capture file really holds, block by block, in one pass. Whoever compares
 * it with what a receipt claims needs nothing else of the file. The file is untrusted.
 *
 * `ft-extract --verify FILE... [--report FILE]` prints one object (on stdout without --report):
 *
 *   {"schema": "fieldtap.walk/1", "files": [{
 *     "path":       as given, made absolute,
 *     "error":      null, or why the file cannot be read (then the rest is as far as it was read),
 *     "format":     "pcapng" | "pcap" | null,
 *     "size_bytes": whole file,
 *     "sha256":     64 hexadecimal digits, of the whole file,
 *     "packets":    count,
 *     "bytes":      captured bytes of the packets,
 *     "first_ns":   lowest and
 *     "last_ns":    highest stamp, UTC; both null without packets,
 *     "late":       packets whose stamp is below the highest before them in the file,
 *     "late_in_source": the same among the packets of one hot thread: 0 unless a clock stepped back
 *                   or a port delivers out of order; packets of no chunk count as one source,
 *     "link_type":  LINKTYPE_ of the first interface, null without one,
 *     "session":    32 hexadecimal digits, of the first chunk; null: the file has no chunks,
 *     "chunks":     {"count", "intact",  both counts; "first_sequence", "last_sequence" or null},
 *     "interfaces": [{"name": text or null, "link_type", "packets", "bytes",
 *                     "statistics": null, or what the interface's last statistics block says:
 *                       {"now_ns", "received", "missed", "accepted", "os_drops", "ring_drops",
 *                        "disk_drops", "excess", "delivered"}, each null where it is not told}],
 *     "gaps":       [{"offset": in the file, "what": KIND, "text": a sentence}], the first 100,
 *     "gap_count":  how many there are
 *   }]}
 *
 * KIND is one of
 *   "sequence"    a chunk does not follow the one before it
 *   "session"     a chunk is of another run than the file's first
 *   "crc"         a chunk's bytes are not those that were written
 *   "unmarked"    blocks that belong to no chunk, in a file that has chunks
 *   "mended"      filler where a repair found no whole blocks
 *   "structure"   no valid block begins here; the walk goes on at the next intact chunk, if any
 *   "cut"         the file ends within a block
 * Exit code: 0 when every file could be read, whatever it holds, else 1.
 */
#ifndef FT_WALK_H
#define FT_WALK_H

#include <jansson.h>

#include "ft/error.h"

#define FT_WALK_SCHEMA	 "fieldtap.walk/1"
#define FT_WALK_MAX_GAPS 100u

/*
 * Walk one file: the object of "files" above, owned by the caller. NULL only without memory. A file
 * that cannot be read is an object with its "error" set.
 */
json_t *ft_walk_file(const char *path);

#endif
