// SPDX-License-Identifier: BSD-2-Clause
/* The files of a command line, before any of them is opened for writing. */
#ifndef MINIVET_CORE_OUTPUTS_H
#define MINIVET_CORE_OUTPUTS_H

enum file_use {
    FILE_INPUT,
    FILE_CAPTURE, /* outputs: what is in the file if an earlier run wrote it */
    FILE_RECORDING,
    FILE_TREE,
    FILE_DRAWING,
    FILE_JSON,
    FILE_LOG, /* it is added to what is there, whatever that is */
};

struct named_file {
    enum file_use use;
    const char *option; /* such as "--record" */
    const char *path;   /* NULL: the option was not given */
};

/*
 * 0 if each output may be written to: it is no other file of the list (by whatever name, or as one
 * block device), and it is new, empty, or written by an earlier run for the same use. FIFOs and
 * character devices are left to what opens them. Else -EINVAL or the host's error, reported.
 */
int outputs_check(const struct named_file *files, unsigned count);

/* What a timeline is written as. */
enum timeline_format {
    TIMELINE_UNKNOWN,
    TIMELINE_TABLE, /* for people */
    TIMELINE_JSON,
    TIMELINE_TRACE, /* Chrome's trace events */
    TIMELINE_PLOT,  /* a picture, drawn by gnuplot */
};

/* By the ending of a file's name; TIMELINE_UNKNOWN if it has none of those; NULL: a table. */
enum timeline_format timeline_format_of(const char *path);

#endif
