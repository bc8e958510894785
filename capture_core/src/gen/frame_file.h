/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture file of frames that a generator sends: what it would send (`-o file:`) or what it has
 * handed to a port (`--tap`). Written as PATH.partial; what has the name already is moved aside
 * (store/names.h). Not for two threads at a time.
 */
#ifndef FT_GEN_FRAME_FILE_H
#define FT_GEN_FRAME_FILE_H

#include <stdint.h>

#include "ft/error.h"

struct ft_frame_file;

/*
 * Which format a name asks for: pcapng for .pcapng, pcap (nanoseconds) for .pcap. -EINVAL for any
 * other; `option` names the user's option in the sentence.
 */
int ft_frame_file_check(const char *option, const char *path, struct ft_error *error);

/* `port` is what the file says of where the frames went. -EACCES, -EBUSY, ... */
int ft_frame_file_open(const char *option, const char *path, const char *port,
		       struct ft_frame_file **file, struct ft_error *error);

/* A frame of `bytes` without FCS, stamped in UTC. An errno of writing, with the sentence. */
int ft_frame_file_add(struct ft_frame_file *file, const uint8_t *frame, uint32_t bytes,
		      uint64_t stamp_ns, struct ft_error *error);

const char *ft_frame_file_path(const struct ft_frame_file *file);
uint64_t ft_frame_file_frames(const struct ft_frame_file *file);

/* Write what is left, sync and rename. The file is complete, or keeps its .partial name. */
int ft_frame_file_finish(struct ft_frame_file *file, struct ft_error *error);

/* Accepts NULL. A file that holds no frame and was not finished is removed. */
void ft_frame_file_free(struct ft_frame_file *file);

#endif
