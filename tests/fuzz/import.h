// SPDX-License-Identifier: BSD-2-Clause
/* From what a real guest did to scripts: seeds for the fuzzers. */
#ifndef MINIVET_TESTS_FUZZ_IMPORT_H
#define MINIVET_TESTS_FUZZ_IMPORT_H

/*
 * Reads a tape (core/tape/tape.h) and writes the first of what each device saw as scripts, into
 * DIR/TARGET/. 0, or 1 after a line that says why not.
 */
int fuzz_import(const char *path, const char *dir);

#endif
