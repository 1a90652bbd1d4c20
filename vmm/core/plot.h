// SPDX-License-Identifier: BSD-2-Clause
/*
 * Plots, drawn by gnuplot: as SVG or PNG, by the ending of FILE's name. A caller writes the numbers
 * into FILE.dat and what to draw of them into FILE.gp. Both files stay, so that `gnuplot FILE.gp`
 * draws FILE again: in another style, or where gnuplot is installed. They may be moved together.
 *
 * plot_begin() starts the script: in the rest of it, `data` is the name of FILE.dat, short(x) is a
 * number as a label, and line types 1 to 8 are colours that differ for the colour-blind, too.
 */
#ifndef MINIVET_CORE_PLOT_H
#define MINIVET_CORE_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#define PLOT_ENDINGS ".svg or .png"

struct plot {
    FILE *data, *script;
    char *file;
};

/* Whether the file's name has one of the endings. */
bool plot_takes(const char *file);

/* Creates FILE.dat and FILE.gp. Reported. */
int plot_open(struct plot *p, const char *file);

/* The size is in pixels at one to one; a PNG has twice as many. */
void plot_begin(const struct plot *p, double width, double height);

/* Writes a string of gnuplot's, in which nothing is special; a long one is cut. */
void plot_text(const struct plot *p, const char *text);

/* Writes an element of a list of tics: that text at that place. */
void plot_tic(const struct plot *p, const char *text, double at);

/*
 * Closes both files and has gnuplot draw, for which it waits. Without gnuplot it says what to
 * install and to run, and returns 0. Reported.
 */
int plot_finish(struct plot *p);

#endif
