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
/* The first line of each FILE.dat. */
#define PLOT_DATA_BEGINS "# minivet plot data\n"

struct plot {
    FILE *data, *script; /* the script is memory: what gnuplot runs no other user has written */
    FILE *kept;          /* FILE.gp, a copy of the script */
    char *file;
    double width, height; /* pixels */
};

/* Whether the file's name has one of the endings. */
bool plot_takes(const char *file);

/* Creates FILE.dat and FILE.gp. Reported. */
int plot_open(struct plot *p, const char *file);

/* The size is in pixels at one to one; a PNG has twice as many. What follows counts from left and
 * top. */
void plot_begin(struct plot *p, double width, double height);

/* Where the next graph's frame is; its tics and their labels are outside. */
void plot_frame(const struct plot *p, double left, double right, double top, double bottom);

#define PLOT_TITLE "font 'sans-serif Bold,18'"

/* A line of text that begins there. */
void plot_note(const struct plot *p, const char *text, double x, double y, const char *style);

/* Writes a string of gnuplot's, in which nothing is special; a long one is cut. */
void plot_text(const struct plot *p, const char *text);

/* Labels a row: the text ends left of the graph, at that place on its y axis. (A tic's text would
 * be a format, and be cut at 50 bytes.) */
void plot_row(const struct plot *p, const char *text, int y);

/*
 * Closes both files and has gnuplot draw, for which it waits. Without gnuplot it says what to
 * install and to run, and returns 0. Reported.
 */
int plot_finish(struct plot *p);

#endif
