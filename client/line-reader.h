/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* Lines of bytes: cut at "\n", not otherwise looked at. Empty lines are passed over; a last line may lack
 * its "\n". */
typedef struct LineReader {
    GString *rest;   /* the beginning of a line whose end has not been read */
    uint64_t number; /* of the line read last, empty ones counted */
} LineReader;

/* One line, closed by NUL; negative: stop with it. */
typedef int (*LineHandler)(const char *line, void *userdata);

void line_reader_init(LineReader *reader);
void line_reader_done(LineReader *reader);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(LineReader, line_reader_done)

/* Hands out every line that is complete with this. -EILSEQ: a line holds a NUL byte, which no argument
 * can. */
int line_reader_feed(LineReader *reader, const char *data, size_t size, LineHandler handler, void *userdata);
/* Hands out what is left. */
int line_reader_end(LineReader *reader, LineHandler handler, void *userdata);

int line_reader_report_nul(Client *client, const LineReader *reader, const char *name);

/* All lines of a file, "-": of stdin. Reports what cannot be read; what the handler returns was reported
 * by it. */
int line_reader_read_file(Client *client, const char *path, LineHandler handler, void *userdata);
